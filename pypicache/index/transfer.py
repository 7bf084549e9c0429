"""One download, many readers.

A transfer brings a file from its mirrors into a spool, verifies it and publishes it. It is owned by the library,
never by a client: whoever caused it may leave.

What it goes through is `state.State`. What the page gives (size, digests) is checked before anything is published. Readers follow the spool by offset,
each at its own pace, and are shown all but the last `HOLD` bytes until the digest agrees: whoever has the whole
file has the right one. A download that begins again begins a new epoch; a reader that took bytes of an older one is
told so, and its connection breaks.

How the bytes come is `fill`'s business. This module knows no HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence

from pypicache.errors import AllUpstreamsFailed, IntegrityError, PypicacheError, StoreError, UpstreamGarbled
from pypicache.events import FileRejected, FileStored, Observer, TransferFailed
from pypicache.index.budget import Budget
from pypicache.index.claim import Claim
from pypicache.index.fill import Fill
from pypicache.index.remains import Remains
from pypicache.index.signal import Signal
from pypicache.index.state import ENDED, State
from pypicache.index.suspects import Suspects
from pypicache.rules import finish, pieces
from pypicache.rules.pieces import Spans
from pypicache.simple.model import Digest, File
from pypicache.store.blobs import Blob, BlobStore
from pypicache.upstream.source import Copy

HOLD = 64 << 10
"""Bytes at the end that no reader sees before the digest agrees. A file that is smaller is never begun in vain:
until it is verified its readers can still be told what is wrong."""


class Transfer:
    """One file on its way. `run` does the work; any number of readers watch it (`reader.Reader`)."""

    def __init__(
        self,
        *,
        key: str,
        file: File,
        copies: Sequence[Copy],
        store: BlobStore,
        lanes: Budget,
        observer: Observer,
        max_size: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.key, self.file, self.copies = key, file, copies
        self.state = State.CLAIM
        self.sha256: str | None = file.sha256
        self.error: PypicacheError | None = None
        self.rejected: set[str] = set()
        """The mirrors whose bytes turned out wrong."""
        self.readers = 0
        self.changed = Signal()
        """Given when readers may have more bytes, or nothing more will happen."""
        self.observer = observer
        self._monotonic, self._lanes, self._max_size = monotonic, lanes, max_size
        self.began = self._alone_since = monotonic()
        self.fill: Fill | None = None
        """What brings the bytes, once it is this process's turn."""
        self._restarts = 0
        self._claim = Claim(key=key, file=file, store=store, progress=self.changed.give)
        self._blob: Blob | None = None
        self._told: tuple[int, bool, int] | None = None
        self.remains = Remains()

    def __repr__(self) -> str:
        return f"<Transfer {self.file.filename} {self.state.value} {self.written}/{self.size} readers={self.readers}>"

    # What readers and the status page see

    @property
    def size(self) -> int | None:
        """The whole size, from the page or else from a mirror."""
        if self._blob is not None:
            return self._blob.size
        return self.fill.size if self.fill is not None and self.fill.size is not None else self._claim.size

    @property
    def epoch(self) -> int:
        """How often bytes that readers may have taken were given up."""
        return self._claim.lost + self._restarts + (self.fill.restarts if self.fill is not None else 0)

    @property
    def held(self) -> Spans:
        """The spans of bytes that have arrived."""
        return ((0, self._blob.size),) if self._blob is not None else self._claim.held

    @property
    def written(self) -> int:
        """Bytes that have arrived, from the start on."""
        return pieces.mark(self.held)

    @property
    def rate(self) -> float:
        """Bytes a second that arrive; 0 when that isn't known."""
        return self.fill.rate if self.fill is not None else 0.0

    @property
    def touched(self) -> float:
        """When the last byte came, by the monotonic clock, as far as that is known here."""
        return self.fill.touched if self.fill is not None else time.monotonic()

    @property
    def origins(self) -> tuple[str, ...]:
        """The mirrors that bring it."""
        return tuple(sorted(self.fill.origins)) if self.fill is not None else ()

    @property
    def answered(self) -> bool:
        """Whether a mirror has answered, and so said the size if it ever will."""
        return self._claim.followed or (self.fill is not None and self.fill.answered)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ENDED

    @property
    def visible(self) -> int:
        """Bytes that readers may have, from the start on."""
        if self.state is State.PUBLISHED:
            return self.written
        return max(0, min(self.written, (self.size if self.size is not None else self.written) - HOLD))

    @property
    def kept(self) -> bytes | None:
        """All of it, once it is published, if memory has it still (`Claim.kept`)."""
        return self._claim.kept

    @property
    def data(self) -> bytearray | None:
        """What readers read, while it is in memory; None: `fileno` has it."""
        return None if self._blob is not None else self._claim.data

    def fileno(self) -> int:
        """The descriptor that readers read from. Only while there are visible bytes, and `data` isn't."""
        if self.remains.fd >= 0:
            return self.remains.fd
        return self._blob.fileno() if self._blob is not None else self._claim.fileno()

    def joined(self) -> None:
        """A reader has come."""
        self.readers += 1

    def left(self) -> None:
        """A reader has gone. After the last one of an ended transfer, its descriptor is given back."""
        self.readers -= 1
        self._alone_since = self._monotonic()
        if self.ended and not self.readers:
            self.close()

    async def suspect(self) -> None:
        """Reading failed: have the blob judged, if there is one."""
        if self._blob is not None:
            await self._blob.suspect()

    def close(self) -> None:
        """Give descriptors back; for the library, when the transfer has ended and nobody reads."""
        if self._blob is not None:
            self._blob.close()
        self.remains.close()

    def _become(self, state: State) -> None:
        self.state = state
        if state not in {State.FILL, State.VERIFY}:  # these are nothing to whoever waits for bytes
            self.changed.give()

    def _progressed(self) -> None:
        """Wake readers if there is more for them: there isn't while only the last `HOLD` bytes grow."""
        if self.changed.awaited and self._told != (told := (self.visible, self.answered, self.epoch)):
            self._told = told
            self.changed.give()

    # The work

    async def run(self) -> str:
        """Download, verify, publish. The SHA-256 of what was published; raises what `error` then holds too."""
        began = self._monotonic()
        try:
            sha256 = await self._run()
        except BaseException as error:
            await self._fail(error)
            raise
        if self.fill is not None and self._blob is not None:
            name, size, origin = self.file.filename, self._blob.size, ", ".join(self.origins)
            took = self._monotonic() - began
            self.observer(FileStored(filename=name, sha256=sha256, size=size, origin=origin, seconds=took))
        self.sha256 = sha256
        self._become(State.PUBLISHED)
        return sha256

    async def _run(self) -> str:
        suspects = Suspects(self.copies)
        while True:
            self._become(State.CLAIM)
            if (blob := await self._claim.obtain()) is not None:
                self._blob = blob
                return blob.sha256
            resumed = bool(self._claim.held)
            try:
                sha256 = await self._bring(suspects.asked)
            except AllUpstreamsFailed:
                if not suspects.brought_no_more():
                    raise
                continue
            wrong = await self._judge(sha256)
            if wrong is None:
                self._blob = await self._claim.publish(sha256)
                return sha256
            self._report(wrong)
            whole = len(self.origins) == 1 and not (resumed or self.fill is None or self.fill.shared)
            others = suspects.were_wrong(self.origins, certain=whole)
            await self._claim.reject()
            if not others:
                raise wrong

    async def _bring(self, copies: Sequence[Copy]) -> str:
        """Fill the spool from these copies; the SHA-256 of all of it."""
        spool = self._claim.spool
        assert spool is not None
        self._restarts += self.fill.restarts if self.fill is not None else 0
        self.fill = Fill(
            file=self.file,
            copies=copies,
            spool=spool,
            lanes=self._lanes,
            observer=self.observer,
            progress=self._progressed,
            goes_on=self._goes_on,
            max_size=self._max_size,
            shares=not self.rejected,
        )
        self._become(State.FILL)
        await self.fill.run()
        self._become(State.VERIFY)
        return await spool.digest("sha256")

    def _goes_on(self) -> bool:
        return finish.goes_on(
            held=sum(stop - start for start, stop in self.held),
            size=self.size,
            readers=self.readers,
            alone=self._monotonic() - self._alone_since,
        )

    async def _judge(self, sha256: str) -> IntegrityError | None:
        """What is wrong with the bytes, if the page's best digest doesn't agree with them."""
        promised = self.file.best_digest
        if promised is None:
            return None
        assert self._claim.spool is not None
        got = sha256 if promised.algorithm == "sha256" else await self._claim.spool.digest(promised.algorithm)
        if got == promised.value:
            return None
        seen = Digest(promised.algorithm, got)
        return IntegrityError(
            f"{self.file.filename} from {', '.join(self.origins)}", expected=str(promised), got=str(seen)
        )

    def _report(self, wrong: IntegrityError) -> None:
        self.rejected.update(self.origins)
        name, origins = self.file.filename, ", ".join(self.origins)
        self.observer(FileRejected(filename=name, origin=origins, expected=wrong.expected, got=wrong.got))

    async def _fail(self, error: BaseException) -> None:
        """Record why it ended, and leave of the spool what is worth keeping."""
        why = f"{self.file.filename}: the download was broken off ({type(error).__name__})"
        self.error = error if isinstance(error, PypicacheError) else UpstreamGarbled("", why)
        await asyncio.shield(self._clear(error))
        self.observer(TransferFailed(filename=self.file.filename, reason=str(self.error)))
        self._become(State.FAILED)

    async def _clear(self, error: BaseException) -> None:
        """Keep the spool if somebody can go on with it."""
        with contextlib.suppress(StoreError):
            if isinstance(error, StoreError):
                # Readers go on without the store, and need what they have had to verify the rest.
                self.remains.take(self._claim)
                await self._claim.discard()
            elif self.file.best_digest is None:
                await self._claim.discard()
        self._claim.let_go()
