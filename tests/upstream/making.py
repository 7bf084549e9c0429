"""What the tests of this folder make again and again: pages and clients."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urljoin

import pytest

from pypicache.errors import UpstreamError
from pypicache.offload import Offload
from pypicache.simple.model import Digest, File, ProjectName
from pypicache.upstream.client import Client
from pypicache.upstream.source import Body, Copy
from pypicache.upstream.wire import Wire
from tests.upstream.raw import PRIME

DEMO = ProjectName("demo")
JSON = "application/vnd.pypi.simple.v1+json"
SHA = "a" * 64
WHEEL = "demo-1.0-py3-none-any.whl"


PRIMED = False
"""Whether clients have a connection before anything is asked for, and so take the shortcut (`both_ways`)."""


@pytest.fixture(params=["ordinary", "shortcut"], autouse=True)
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """For modules that import it: each test is made with and without the shortcut."""
    monkeypatch.setattr("tests.upstream.making.PRIMED", request.param == "shortcut")


def page(
    *, url: str = f"/files/{WHEEL}", sha256: str | None = SHA, size: int | None = 5, name: str = "demo"
) -> bytes:
    """A JSON page with one file."""
    described: dict[str, object] = {
        "filename": WHEEL,
        "url": url,
        "hashes": {"sha256": sha256} if sha256 else {},
    }
    if size is not None:
        described["size"] = size
    content = {"meta": {"api-version": "1.1"}, "name": name, "versions": ["1.0"], "files": [described]}
    return json.dumps(content).encode()


def file(url: str, *, sha256: str | None = SHA, size: int | None = 5) -> File:
    """The page's file, with a link of the test's own."""
    hashes = () if sha256 is None else (Digest("sha256", sha256),)
    return File(filename=WHEEL, url=url, hashes=hashes, size=size)


@asynccontextmanager
async def open_client(
    url: str,
    *,
    name: str = "mirror",
    page_budget: float = 10.0,
    monotonic: Callable[[], float] | None = None,
    **wire: Any,
) -> AsyncIterator[Client]:
    """A client with short timeouts unless told, which does all its parsing at once."""
    settings: dict[str, Any] = {"connect_timeout": 5.0, "read_timeout": 5.0, **wire}
    extra: dict[str, Any] = {} if monotonic is None else {"monotonic": monotonic}
    async with Offload(inline=1 << 20) as offload:
        wires = Wire(name=name, url=url, **settings)
        async with Client(wire=wires, offload=offload, page_budget=page_budget, **extra) as client:
            if PRIMED:
                with suppress(UpstreamError):
                    reply = await wires.get(urljoin(url, PRIME), lane="files", headers={})
                    await reply.response.content.read()
            yield client


def only_copy(client: Client, wanted: File, *, origin: str = "mirror", sidecar: bool = False) -> Copy:
    """The one copy that a single client has."""
    (copy,) = client.copies(DEMO, wanted, origin, sidecar=sidecar)
    return copy


async def drain(body: Body) -> bytes:
    """All bytes of an open body, which is closed then."""
    async with body:
        return b"".join([piece async for piece in body.chunks()])
