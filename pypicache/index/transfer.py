"""One download, many readers.

A transfer fills a spool from a file's copies, verifies it and publishes it. It is owned by the library,
never by a client: whoever caused it may leave.

States and what moves between them::

    CONNECT  --body accepted-->        STREAM
    CONNECT  --copy failed-->          CONNECT (the next copy) | FAILED (none is left)
    STREAM   --end of the file-->      VERIFY
    STREAM   --break, stall, early end--> CONNECT (at the written offset, clients notice nothing)
    VERIFY   --digests agree-->        PUBLISHED
    VERIFY   --they don't-->           CONNECT (from zero, without that copy) | FAILED

What the page gives (size, digests) is checked before anything is published. Readers follow the spool by
offset, each at its own pace, and are shown all but the last `HOLD` bytes until the digest agrees: whoever
has the whole file has the right one. A download that starts from zero again begins a new epoch; a reader
that took bytes of an older one is told so and breaks its connection.

Which response may continue which bytes is decided in `rules.resume`. This module knows no HTTP.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Sequence

from pypicache.errors import (
    AllUpstreamsFailed,
    FileNotFound,
    IntegrityError,
    PypicacheError,
    StoreError,
    UpstreamError,
    UpstreamGarbled,
)
from pypicache.events import FileRejected, FileStored, MirrorFailed, Observer, TransferFailed, TransferResumed
from pypicache.index.pump import Pump, skipping
from pypicache.rules import resume
from pypicache.simple.model import Digest, File
from pypicache.store.blobs import Blob, BlobStore, Spool
from pypicache.upstream.source import Body, Copy

HOLD = 64 << 10
"""Bytes at the end that no reader sees before the digest agrees. A file that is smaller is never begun in vain:
until it is verified its readers can still be told what is wrong."""

TRIES = 2
"""How often in a row a copy may fail without bringing a byte."""


class State(enum.Enum):
    """See the table in the module's docstring."""

    CONNECT = "connect"
    STREAM = "stream"
    VERIFY = "verify"
    PUBLISHED = "published"
    FAILED = "failed"


class Transfer:
    """One file on its way. `run` does the work; any number of `Reader`s watch it."""

    def __init__(
        self,
        *,
        key: str,
        file: File,
        copies: Sequence[Copy],
        store: BlobStore,
        observer: Observer,
        max_size: int | None = None,
    ) -> None:
        self.key = key
        self.file = file
        self.state = State.CONNECT
        self.size = file.size
        self.epoch = 0
        self.readers = 0
        self.sha256: str | None = file.sha256
        self.origin = ""
        self.error: PypicacheError | None = None
        self._copies = copies
        self._store = store
        self._observer = observer
        self._max_size = max_size
        self._spool: Spool | None = None
        self._blob: Blob | None = None
        self._written = 0
        self._waiters: set[asyncio.Future[None]] = set()
        self._failures: dict[str, int] = {}
        self._causes: list[UpstreamError] = []

    def __repr__(self) -> str:
        return f"<Transfer {self.file.filename} {self.state.value} {self._written}/{self.size} readers={self.readers}>"

    # What readers and the status page see

    @property
    def written(self) -> int:
        """Bytes that have arrived, from the start on."""
        return self._written

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in {State.PUBLISHED, State.FAILED}

    @property
    def visible(self) -> int:
        """Bytes that readers may have, from the start on."""
        if self.state is State.PUBLISHED:
            return self._written
        end = self._written if self.size is None else min(self._written, self.size)
        return max(0, min(end, (self.size if self.size is not None else end) - HOLD))

    def fileno(self) -> int:
        """The descriptor that readers read from. Only while there are visible bytes."""
        held = self._blob or self._spool
        assert held is not None
        return held.fileno()

    async def changed(self) -> None:
        """Wait until there are more bytes, or the state is another."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _notify(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _become(self, state: State) -> None:
        self.state = state
        self._notify()

    # The work

    async def run(self) -> str:
        """Download, verify, publish. The SHA-256 of what was published; raises what `error` then holds too."""
        began = time.monotonic()
        try:
            self._spool = await self._store.spool(self.key, self.size)
            sha256 = await self._fill_and_verify(self._spool)
            self._blob = await self._store.publish(self._spool, sha256)
        except BaseException as error:
            self.error = (
                error if isinstance(error, PypicacheError) else StoreError(f"{self.file.filename}: {error!r}")
            )
            if self._spool is not None:
                await asyncio.shield(self._spool.discard())
            self._observer(TransferFailed(filename=self.file.filename, reason=str(self.error)))
            self._become(State.FAILED)
            raise
        self.size = self._written
        self.sha256 = sha256
        self._observer(
            FileStored(
                filename=self.file.filename,
                sha256=sha256,
                size=self.size,
                origin=self.origin,
                seconds=time.monotonic() - began,
            )
        )
        self._become(State.PUBLISHED)
        return sha256

    def close(self) -> None:
        """Give the descriptor back; for the library, when the transfer has ended and the last reader left."""
        if self._blob is not None:
            self._blob.close()

    async def _fill_and_verify(self, spool: Spool) -> str:
        while True:
            await self._fill(spool)
            self._become(State.VERIFY)
            sha256 = await spool.digest("sha256")
            mismatch = await self._mismatch(spool, sha256)
            if mismatch is None:
                return sha256
            expected, got = mismatch
            self._observer(
                FileRejected(filename=self.file.filename, origin=self.origin, expected=expected, got=got)
            )
            self._failures[self.origin] = TRIES
            self._causes.append(UpstreamGarbled(self.origin, f"sent {got} where {expected} was promised"))
            if not self._candidates():
                raise IntegrityError(self.file.filename, expected=expected, got=f"{got} from {self.origin}")
            await self._start_over(spool)

    async def _mismatch(self, spool: Spool, sha256: str) -> tuple[str, str] | None:
        """(expected, got) of the digest that doesn't agree, or None."""
        promised = self.file.best_digest
        if promised is None:
            return None
        got = sha256 if promised.algorithm == "sha256" else await spool.digest(promised.algorithm)
        return None if got == promised.value else (str(promised), str(Digest(promised.algorithm, got)))

    def _candidates(self) -> list[Copy]:
        """The copies still worth asking: fewest failures first, else in their order."""
        left = [copy for copy in self._copies if self._failures.get(copy.origin, 0) < TRIES]
        return sorted(left, key=lambda copy: self._failures.get(copy.origin, 0))

    async def _fill(self, spool: Spool) -> None:
        """Bring the spool to its whole size, from one copy after the other. Raises when no copy is left."""
        if_range: tuple[str, str] | None = None
        while candidates := self._candidates():
            copy = candidates[0]
            before = self._written
            self._become(State.CONNECT)
            try:
                validator = if_range[1] if if_range and if_range[0] == copy.origin and before else None
                async with await copy.open(before, if_range=validator) as body:
                    etag = if_range[1] if if_range and if_range[0] == copy.origin else None
                    skip = await self._accept(spool, body, before, etag)
                    if_range = (copy.origin, body.etag) if body.etag else None
                    self.origin = copy.origin
                    self._become(State.STREAM)
                    await self._pour(spool, body, skip)
                    self._check_end(body)
                    return
            except (UpstreamError, FileNotFound) as error:
                cause = (
                    error if isinstance(error, UpstreamError) else UpstreamGarbled(copy.origin, str(error))
                )
                self._blame(copy.origin, cause, progress=self._written > before)
        raise AllUpstreamsFailed(self.file.filename, self._causes)

    def _blame(self, origin: str, cause: UpstreamError, *, progress: bool) -> None:
        if progress:
            # A mirror that brings bytes isn't dead: everyone gets a fresh start.
            self._failures.clear()
            self._causes.clear()
            self._observer(
                TransferResumed(
                    filename=self.file.filename, origin=origin, offset=self._written, reason=str(cause)
                )
            )
        else:
            self._observer(MirrorFailed(origin=origin, what=self.file.filename, reason=str(cause)))
        self._failures[origin] = self._failures.get(origin, 0) + 1
        self._causes.append(cause)

    async def _accept(self, spool: Spool, body: Body, asked_from: int, etag_before: str | None) -> int:
        """Judge the response; the number of its bytes to throw away. Raises UpstreamGarbled if it can't continue."""
        if body.content_encoding is not None and self.file.best_digest is None:
            raise UpstreamGarbled(body.origin, f"sent with Content-Encoding {body.content_encoding}")
        splice = resume.judge(
            held=self._written,
            expected_size=self.size,
            status=body.status,
            content_range=body.content_range,
            content_length=body.content_length,
            etag_before=etag_before,
            etag_now=body.etag,
            requested_start=asked_from or None,
            has_digest=self.file.best_digest is not None,
        )
        skip = 0
        match splice:
            case resume.Refuse(reason):
                raise UpstreamGarbled(body.origin, reason)
            case resume.StartOver():
                await self._start_over(spool)
                raise UpstreamGarbled(body.origin, "its file can't be continued")
            case resume.SkipThenAppend(count):
                skip = count
            case resume.Append():
                pass
        if self.size is None and body.total is not None:
            self.size = body.total
        if self._max_size is not None and (self.size or 0) > self._max_size:
            raise UpstreamGarbled(body.origin, f"{self.size} bytes, more than the {self._max_size} allowed")
        return skip

    async def _pour(self, spool: Spool, body: Body, skip: int) -> None:
        """The rest of the body into the spool, without its first `skip` bytes."""

        async def write(pieces: list[bytes]) -> None:
            size = sum(map(len, pieces))
            self._check_room(body, size)
            await spool.write(self._written, pieces)
            self._written += size
            self._notify()

        await Pump(skipping(skip, body.chunks()), write).run()

    def _check_room(self, body: Body, size: int) -> None:
        limit = self.size if self.size is not None else self._max_size
        if limit is not None and self._written + size > limit:
            raise UpstreamGarbled(body.origin, f"sent more than the {limit} bytes promised")

    def _check_end(self, body: Body) -> None:
        if self.size is not None and self._written < self.size:
            raise UpstreamGarbled(body.origin, f"ended after {self._written} of {self.size} bytes")

    async def _start_over(self, spool: Spool) -> None:
        self.epoch += 1
        self._written = 0
        self.size = self.file.size
        await spool.reset(self.size)
        self._notify()
