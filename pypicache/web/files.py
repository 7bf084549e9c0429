"""Files and their sidecars: `/{index}/packages/{path…}`, whole or in ranges, conditional."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping
from concurrent.futures import Executor

from aiohttp import hdrs, web

from pypicache.index.catalog import ANSWER_WITHIN
from pypicache.index.content import Content
from pypicache.index.entry import Outcome
from pypicache.index.locate import SIDECAR
from pypicache.index.lru import ByteLRU
from pypicache.index.oldlinks import LoneFile
from pypicache.index.rendering import Rendering, compress
from pypicache.index.serving import Opened, Serving
from pypicache.rules import ranges
from pypicache.rules.conditional import not_modified
from pypicache.simple.negotiate import negotiate_coding
from pypicache.web import accel
from pypicache.web.errors import plain
from pypicache.web.following import Following
from pypicache.web.headers import IMMUTABLE, REVALIDATE, cache_status, joined
from pypicache.web.request import Repeatable, Request, note_mirror
from pypicache.web.sender import read_small, send

FILE_TYPE = "application/octet-stream"
"""All files: a type that says gzip makes clients unpack what they are to hash."""

SIDECAR_TYPE = "text/plain; charset=utf-8"

SMALL = 256 << 10
"""Bytes up to which a verified answer is read at once instead of streamed."""


WORTH_GZIP = 1 << 10
"""Bytes from which on a sidecar is compressed for clients that accept it."""

PACKED = 4 << 20
"""Bytes of compressed sidecars held in memory."""

HELD = 16 << 20
"""Bytes of small answers held in memory, for those who ask for them again in the same words (`hot`)."""


class Files:
    """Answers requests for files. `following` fetches ahead what clients will want next."""

    def __init__(
        self,
        *,
        indexes: Mapping[str, Serving],
        disk: Executor,
        accel: bool = False,
        following: Following | None = None,
    ) -> None:
        self._indexes = indexes
        self._disk = disk
        self._following = following
        self._accel = accel
        self._packed_sidecars: ByteLRU[str, bytes] = ByteLRU(PACKED)
        self._held: ByteLRU[str, Rendering] = ByteLRU(HELD)

    async def file(self, request: web.BaseRequest, name: str, path: tuple[str, ...]) -> web.StreamResponse:
        """The file of that index, or the part of it that the client asks for."""
        index = self._indexes[name]
        if self._following is None or not path[-1].endswith(SIDECAR):
            return await self.of(request, index, path)
        with self._following.awaited():
            return await self.of(request, index, path)

    async def of(
        self, request: web.BaseRequest, index: Serving | LoneFile, path: tuple[str, ...]
    ) -> web.StreamResponse:
        """The file at that path of whatever has files, or the part of it that the client asks for."""
        sidecar = path[-1].endswith(SIDECAR)
        if request.method == hdrs.METH_HEAD and not sidecar:
            return await self._head(request, index, path)
        try:
            return await self._opened(request, index, path)
        except ConnectionError:
            raise
        except OSError:
            # Nothing was sent: the file couldn't be read, has been judged since, and is fetched again if it is damaged.
            return await self._opened(request, index, path)

    async def _opened(
        self, request: web.BaseRequest, index: Serving | LoneFile, path: tuple[str, ...]
    ) -> web.StreamResponse:
        """The file or sidecar. Raises OSError, and has the stored file judged, when it can't be read."""
        opened = await index.open_file(path)
        opened.content.patience = ANSWER_WITHIN  # as long as there is a status to tell it by
        answer: web.StreamResponse
        try:
            if path[-1].endswith(SIDECAR):
                answer = metadata = await self._sidecar(request, opened)
                if self._following is not None and not isinstance(index, LoneFile):
                    await self._following.metadata(request, index, path, opened, metadata)
            else:
                if self._following is not None and not isinstance(index, LoneFile):
                    self._following.file(request, index, path)
                answer = await self._body(request, opened)
        except ConnectionError:
            raise
        except OSError:
            await opened.content.suspect()
            raise
        else:
            if not isinstance(index, LoneFile):
                self._offer(request, index, path, opened, answer)
            return answer
        finally:
            note_mirror(request, opened.content.origin)
            opened.content.close()

    async def _head(
        self, request: web.BaseRequest, index: Serving | LoneFile, path: tuple[str, ...]
    ) -> web.StreamResponse:
        """What a GET would say, from what is known of the file: nothing is downloaded."""
        file, size, sha256 = await index.facts_of(path)
        headers = _headers(sha256, immutable=file.best_digest is not None)
        headers["Cache-Status"] = "pypicache; hit; detail=head"
        if _unmodified(request, headers):
            return _unchanged(headers)
        if size is not None:
            headers["Content-Length"] = str(size)
        return web.Response(headers=headers)

    async def _sidecar(self, request: web.BaseRequest, opened: Opened) -> web.Response:
        size = await opened.content.whole()
        offered = ("gzip",) if size >= WORTH_GZIP else ()
        coding = negotiate_coding(joined(request, "Accept-Encoding"), offered)
        tag = opened.content.sha256
        if tag is not None and coding != "identity":
            tag = f"{tag}-{coding}"
        headers = _headers(tag, immutable=opened.immutable)
        del headers["Accept-Ranges"]
        headers["Content-Type"] = SIDECAR_TYPE
        headers["Vary"] = "Accept-Encoding"
        headers["Cache-Status"] = cache_status(opened.outcome, collapsed=opened.collapsed)
        if _unmodified(request, headers):
            return _unchanged(headers)
        if coding != "identity":
            headers["Content-Encoding"] = coding
            return web.Response(body=await self._packed(opened, size, coding), headers=headers)
        return web.Response(body=await read_small(opened.content, 0, size, self._disk), headers=headers)

    def _offer(
        self,
        request: web.BaseRequest,
        index: Serving,
        path: tuple[str, ...],
        opened: Opened,
        answer: web.StreamResponse,
    ) -> None:
        """Let the answer be given again, if it comes out of the cache: a small one, or all of a larger file."""
        sha256, etag = opened.content.sha256, answer.headers.get(hdrs.ETAG)
        if not isinstance(request, Request) or sha256 is None or etag is None:
            return
        if opened.outcome is not Outcome.HIT or opened.collapsed:
            request.next_time = functools.partial(index.link_lease, path, sha256)
            return
        # Metadata are looked at each time until their wheel is stored: whoever has them may come for it (`following`).
        if (
            opened.wheel is not None
            or request.head is None
            or (lease := index.link_lease(path, sha256)) is None
        ):
            return
        if not isinstance(answer, web.Response):
            if answer.status == 200 and opened.content.size == answer.content_length:  # noqa: PLR2004 - OK
                stored = functools.partial(index.stored, sha256, opened.content.size)
                request.repeatable = Repeatable(lease, None, None, stored)
            return
        if not answer.body:
            request.repeatable = Repeatable(lease, None, None)
            return
        key = f"{etag} {answer.headers.get(hdrs.CONTENT_RANGE)}"
        if self._held.get(key) is None:
            assert isinstance(answer.body, bytes | bytearray)
            body = bytes(answer.body)
            self._held.put(key, Rendering(body, etag, ""), len(body))
        request.repeatable = Repeatable(lease, (self._held, key), None)

    async def _packed(self, opened: Opened, size: int, coding: str) -> bytes:
        """The sidecar in that coding, made once."""
        key = f"{opened.content.sha256} {coding}"
        packed = self._packed_sidecars.get(key)
        if packed is None:
            whole = await read_small(opened.content, 0, size, self._disk)
            packed = await asyncio.get_running_loop().run_in_executor(
                self._disk, compress, bytes(whole), coding
            )
            self._packed_sidecars.put(key, packed, len(packed))
        return packed

    async def _body(self, request: web.BaseRequest, opened: Opened) -> web.StreamResponse:
        content = opened.content
        await content.begun()
        headers = _headers(content.sha256, immutable=opened.immutable)
        headers["Cache-Status"] = cache_status(opened.outcome, collapsed=opened.collapsed)
        if _unmodified(request, headers):
            return _unchanged(headers)
        if self._accel:
            if (response := accel.redirect(request, content, headers)) is not None:
                return response
            headers.update(accel.UNBUFFERED)
        extent: ranges.Extent = ranges.Whole()
        # A Range counts for GET only (RFC 9110 section 14.2).
        if content.size is not None and request.method == hdrs.METH_GET:
            extent = ranges.resolve(
                joined(request, "Range"),
                joined(request, "If-Range"),
                size=content.size,
                etag=headers.get("ETag"),
            )
        if isinstance(extent, ranges.Unsatisfiable):
            return plain(
                416,
                "no such bytes",
                {
                    "Content-Range": ranges.content_range(extent),
                    "Accept-Ranges": "bytes",
                    "Cache-Status": headers["Cache-Status"],
                },
            )
        if isinstance(extent, ranges.Slice):
            headers["Content-Range"] = ranges.content_range(extent, content.size)
        return await self._bytes(request, content, extent, headers)

    async def _bytes(
        self,
        request: web.BaseRequest,
        content: Content,
        extent: ranges.Whole | ranges.Slice,
        headers: dict[str, str],
    ) -> web.StreamResponse:
        start, stop, status = 0, content.size, 200
        if isinstance(extent, ranges.Slice):
            start, stop, status = extent.start, extent.stop, 206
            if (some := await content.aside(start, stop)) is not None:
                return web.Response(status=status, body=some, headers=headers)
        # From here on there are bytes to send: what can be said with a status has been said before.
        mark = await content.available(start)
        if stop is not None and stop - start <= SMALL and mark >= stop:
            small = await read_small(content, start, stop, self._disk)
            return web.Response(status=status, body=small, headers=headers)
        response = web.StreamResponse(status=status, headers=headers)
        if stop is not None:
            response.content_length = stop - start
        elif request.version >= (1, 1):
            response.enable_chunked_encoding()
        if isinstance(request, Request) and request.rehearsed:
            return response  # nobody is there to whom it could be sent
        content.patience = None
        await send(request, response, content, start=start, stop=stop, disk=self._disk)
        return response


def _headers(sha256: str | None, *, immutable: bool) -> dict[str, str]:
    headers = {
        "Content-Type": FILE_TYPE,
        "Accept-Ranges": "bytes",
        "Cache-Control": IMMUTABLE if immutable else REVALIDATE,
        "X-Content-Type-Options": "nosniff",
    }
    if sha256 is not None:
        headers["ETag"] = f'"{sha256}"'
    return headers


def _unmodified(request: web.BaseRequest, headers: dict[str, str]) -> bool:
    """Whether the client has it already. Without an ETag nobody can know."""
    etag = headers.get("ETag")
    return etag is not None and not_modified(joined(request, "If-None-Match"), etag)


def _unchanged(headers: dict[str, str]) -> web.Response:
    """A 304: what a client's cache updates, and nothing that describes a body (RFC 9110 section 15.4.5)."""
    kept = {name: value for name, value in headers.items() if name not in {"Content-Type", "Accept-Ranges"}}
    return web.Response(status=304, headers=kept)
