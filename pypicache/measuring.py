"""Mirrors measured side by side: the part of the composition root that `pypicache mirrors` runs.

The clients are the daemon's own, so proxies, certificates, headers, credentials and the guard count as they do there; no
daemon runs, and nothing is kept. Pages are asked of all mirrors at once; files of one mirror after the other, since they
would share the line. So it takes at most about half a minute, and a few seconds more for each mirror.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from pypicache.config import schema
from pypicache.connecting import own_name, wire_to
from pypicache.errors import ConfigError
from pypicache.offload import Offload
from pypicache.rules.appraisal import Figures, Lag, Pages, Place, common_file, lag, suggest
from pypicache.simple.model import ProjectName, load
from pypicache.upstream.client import Client
from pypicache.upstream.probe import FILE_SECONDS, Findings, ask_for_file, ask_for_pages

PAGES_WITHIN = 30.0
"""Seconds for all pages of one mirror."""

FILE_WITHIN = 25.0
"""Seconds for the file, the range and the sidecar of one mirror."""

Step = Callable[[str], None]
"""Told what has been done, once for the pages of each mirror and once for its file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One mirror, and what was found out."""

    mirror: schema.Mirror
    findings: Findings
    first_byte: float | None
    """Seconds to the first byte of a page: the (lower) median, so that connecting counts only where there is one."""
    lag: Lag | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All mirrors, in the order they were given, and the order that is suggested."""

    mirrors: tuple[Measured, ...]
    places: tuple[Place, ...]


async def compare(
    mirrors: Sequence[schema.Mirror],
    projects: Sequence[ProjectName],
    *,
    step: Step,
    file_seconds: float = FILE_SECONDS,
) -> Comparison:
    """Measure these mirrors by these projects. Raises nothing for a mirror that fails: its findings say how."""
    findings = [Findings() for _ in mirrors]
    async with AsyncExitStack() as stack:
        offload = await stack.enter_async_context(Offload())
        clients = [
            await _open(stack, mirror, offload, found)
            for mirror, found in zip(mirrors, findings, strict=True)
        ]
        pairs = list(zip(clients, findings, strict=True))
        await asyncio.gather(*(_pages(client, projects, found, step) for client, found in pairs))
        pages = [{name: load(page) for name, page in found.pages.items()} for found in findings]
        common = common_file(pages)
        for (client, found), own in zip(pairs, pages, strict=True):
            await _file(client, own, common, found, step, file_seconds)
    return _judged(mirrors, findings, pages, time.time())


async def _open(
    stack: AsyncExitStack, mirror: schema.Mirror, offload: Offload, findings: Findings
) -> Client | None:
    """A client as the daemon has it; None where its settings can't be used."""
    client = Client(wire=wire_to(mirror, via=own_name()), offload=offload, connections=mirror.connections)
    try:
        return await stack.enter_async_context(client)
    except ConfigError as error:
        findings.errors += error.problems
        return None


async def _pages(
    client: Client | None, projects: Sequence[ProjectName], findings: Findings, step: Step
) -> None:
    if client is not None:
        try:
            async with asyncio.timeout(PAGES_WITHIN):
                await ask_for_pages(client, projects, findings)
        except TimeoutError:
            findings.errors.append(
                f"{len(findings.pages)} of {len(projects)} pages within {PAGES_WITHIN:g} s"
            )
        step(client.name)


async def _file(
    client: Client | None,
    pages: Pages,
    common: tuple[ProjectName, str] | None,
    findings: Findings,
    step: Step,
    seconds: float,
) -> None:
    """Measure with the file that most mirrors have; where this one lacks it, with one of its own."""
    if client is None:
        return
    if common is not None and (common[0] not in pages or pages[common[0]].file(common[1]) is None):
        common = common_file([pages])
    if common is not None:
        try:
            async with asyncio.timeout(FILE_WITHIN):
                await ask_for_file(client, *common, findings, seconds=seconds)
        except TimeoutError:
            findings.errors.append(f"{common[1]}: not measured within {FILE_WITHIN:g} s")
    step(client.name)


def _judged(
    mirrors: Sequence[schema.Mirror], findings: Sequence[Findings], pages: Sequence[Pages], now: float
) -> Comparison:
    measured = []
    for place, (mirror, found) in enumerate(zip(mirrors, findings, strict=True)):
        others = [other for index, other in enumerate(pages) if index != place]
        waits = sorted(found.first_bytes)
        measured.append(
            Measured(
                mirror=mirror,
                findings=found,
                first_byte=waits[(len(waits) - 1) // 2] if waits else None,
                lag=lag(pages[place], found.denied, others, now),
            )
        )
    figures = [
        Figures(
            name=each.mirror.name,
            first_byte=each.first_byte,
            rate=each.findings.rate,
            lag=each.lag,
            trusted=each.mirror.serves,
        )
        for each in measured
    ]
    return Comparison(mirrors=tuple(measured), places=suggest(figures))
