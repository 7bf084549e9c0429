"""One mirror, measured: what `pypicache mirrors` asks of it, through the same client as the daemon's.

Everything is bounded, in seconds and in bytes, and a failure is a value: what can't be measured is left out, with the
reason in one line. What the figures mean is for `rules.appraisal`.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pypicache.errors import NotFound, ProjectNotFound, UpstreamError, UpstreamRefused
from pypicache.simple.model import Digest, File, ProjectName, load
from pypicache.upstream.client import Client
from pypicache.upstream.source import Copy, Listing
from pypicache.upstream.standing import said_something

FILE_BYTES = 8 << 20
"""Bytes of the file after which enough is known of the throughput."""

FILE_SECONDS = 5.0
"""Seconds after which enough is known of it, too."""

ANSWER = 10.0
"""Seconds for the answer to a question beside pages."""

MAX_SIDECAR = 1 << 20
FIREWALL = 403

Sidecars = Literal["yes", "no", "broken"]
"""`no`: its pages promise none. `broken`: they do, and it isn't there, or hashes otherwise."""


@dataclass(slots=True)
class Findings:
    """What was found out of one mirror."""

    pages: dict[ProjectName, bytes] = field(default_factory=dict)
    """Its pages, as `simple.model.dump` writes them."""
    denied: set[ProjectName] = field(default_factory=set)
    """The projects that it says don't exist."""
    answered: bool = False
    """Whether it gave any answer at all, if only an error."""
    first_bytes: list[float] = field(default_factory=list)
    """Seconds to the first byte of each page; the first one includes connecting."""
    rate: float | None = None
    """Bytes a second of a file."""
    sidecars: Sidecars | None = None
    ranges: bool | None = None
    errors: list[str] = field(default_factory=list)
    """Why something isn't known, a line each."""


async def ask_for_pages(client: Client, projects: Sequence[ProjectName], findings: Findings) -> None:
    """Ask for these projects, one after the other; a mirror that is silent, or fails twice, isn't asked for the rest."""
    failures = 0
    for project in projects:
        try:
            answer = await client.project(project)
        except ProjectNotFound:
            findings.answered = True
            findings.denied.add(project)
        except UpstreamError as error:
            failures += 1
            findings.errors.append(_told(error))
            findings.answered |= said_something(error)
            if failures > 1 or not said_something(error):
                return
        else:
            assert isinstance(answer, Listing), "nothing was asked conditionally"
            findings.answered = True
            findings.pages[project] = answer.page
            findings.first_bytes.append(answer.first_byte or 0.0)


async def ask_for_file(
    client: Client,
    project: ProjectName,
    filename: str,
    findings: Findings,
    *,
    seconds: float = FILE_SECONDS,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Fetch (the beginning of) that file for the throughput, a range of it, and its sidecar."""
    file = load(findings.pages[project]).file(filename)
    assert file is not None, "who asks has seen it on the page"
    (copy,) = client.copies(project, file, client.name)
    (sidecar,) = client.copies(project, file, client.name, sidecar=True)
    try:
        findings.rate = await _rate(copy, seconds, monotonic)
        findings.ranges = await _has_ranges(copy, file)
    except (UpstreamError, NotFound, TimeoutError) as error:
        findings.errors.append(_told(error))
    findings.sidecars = await _sidecars(sidecar, file, findings) if file.has_sidecar else "no"


async def _rate(copy: Copy, seconds: float, monotonic: Callable[[], float]) -> float | None:
    """Bytes a second, from the first byte on."""
    async with asyncio.timeout(ANSWER):
        body = await copy.open()
    received, began = 0, monotonic()
    async with body:
        try:
            async with asyncio.timeout(seconds):
                async for piece in body.chunks():
                    received += len(piece)
                    if received >= FILE_BYTES:
                        break
        except TimeoutError:
            pass  # what has come by then tells
    return received / max(monotonic() - began, 1e-6) if received else None


async def _has_ranges(copy: Copy, file: File) -> bool | None:
    """Whether it sends a part of the file where a part is asked for; None where the file is too short to tell."""
    if file.size is not None and file.size < 3:  # noqa: PLR2004 - a first, a last and one between
        return None
    async with asyncio.timeout(ANSWER), await copy.open(1, 2) as body:
        return body.status == 206 and body.start == 1  # noqa: PLR2004 - Partial Content (RFC 9110 section 15.3.7)


async def _sidecars(copy: Copy, file: File, findings: Findings) -> Sidecars | None:
    """Whether the sidecar that the page promises is there, and is the one that it promises."""
    content = b""
    try:
        async with asyncio.timeout(ANSWER), await copy.open() as body:
            async for piece in body.chunks():
                content += piece
                if len(content) > MAX_SIDECAR:
                    return "broken"
    except NotFound:
        return "broken"
    except (UpstreamError, TimeoutError) as error:
        findings.errors.append(_told(error))
        return None
    promised = file.core_metadata if isinstance(file.core_metadata, tuple) else ()
    return "yes" if all(_matches(digest, content) for digest in promised) else "broken"


def _matches(digest: Digest, content: bytes) -> bool:
    """Whether the content has that digest; one by an algorithm that isn't known proves nothing."""
    if digest.algorithm not in hashlib.algorithms_guaranteed or digest.algorithm.startswith("shake"):
        return True
    return hashlib.new(digest.algorithm, content, usedforsecurity=False).hexdigest() == digest.value


def _told(error: BaseException) -> str:
    """The error in one line, without the mirror's name."""
    if isinstance(error, TimeoutError):
        return f"no answer within {ANSWER:g} s"
    text = str(error)
    if isinstance(error, UpstreamError):
        text = text.removeprefix(f"{error.origin}: ")
    if isinstance(error, UpstreamRefused) and error.http_status == FIREWALL:
        text += " (a firewall? `headers` can give it another User-Agent)"
    return text
