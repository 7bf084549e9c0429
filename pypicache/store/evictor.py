"""Evicting: what is freed first, how the coldest files are found among a million, and that nobody is disturbed by it.

In this order: what was set aside as damaged; broken downloads that nobody goes on with, the oldest first; then blobs, by
`rules.eviction`. A blob that somebody reads stays.

No list of all files is kept. A *pass* goes through the directory shard by shard, books exactly what it finds (so that a pass
also repairs the sums), and keeps the `POOL` coldest, in bounded memory. While the pool lasts they are evicted one after the
other, each only after another look: since a file's standing only rises, and everything else stood higher, what is left
of the pool are still the coldest. A pool that has been there for `PATIENCE` times as long as its pass took is made anew, which
bounds what passes cost. Who needs room before a pass is through takes the coldest of a sample: digests are random, so any
few thousand files are one.

All of it blocks, one caller at a time. It may not import anything of the package but rules.eviction and its own folder.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pypicache.rules import eviction
from pypicache.rules.eviction import Candidate
from pypicache.store import parts
from pypicache.store.blobfiles import BlobFiles
from pypicache.store.quarantine import Quarantine
from pypicache.store.usage import SHARDS, Usage
from pypicache.store.uses import Uses

POOL = 1 << 14
"""Candidates kept in memory."""

SAMPLE = 4096
"""Files that are enough to choose from before a pass is through."""

PATIENCE = 20.0

BRIEF = 0.002
"""Seconds that a step of the survey takes at least, if there is so much to do: most shards of a small cache take less than the hop to a thread."""

DEAR = 0.5
"""Seconds of a pass: where one takes longer and finds nothing that may go, the next isn't made at once."""

Why = Literal["size", "age", "quota"]


@dataclass(frozen=True, slots=True)
class Gone:
    """A blob that was evicted; `why` tells which limit it was for."""

    blob: Candidate
    why: Why


class Evictor:
    """Frees room. `told` hears of each blob that went, `count_links` is called for each shard of a pass, to count its links too."""

    def __init__(
        self,
        *,
        files: BlobFiles,
        spools: Path,
        quarantine: Quarantine,
        uses: Uses,
        told: Callable[[Gone], object],
        usage: Usage,
        count_links: Callable[[int], object] = lambda _: None,
        pool: int = POOL,
    ) -> None:
        self._files = files
        self._spools = spools
        self._quarantine = quarantine
        self._uses = uses
        self._told = told
        self._usage = usage
        self._count_links = count_links
        self._most = pool
        self._lock = threading.Lock()
        self._pool: list[Candidate] = []
        self._found: list[Candidate] = []
        self._left: list[int] = []
        self._cut = float("inf")
        """What stands higher isn't among the coldest of this pass."""
        self._ended = self._barren_until = float("-inf")
        self._took = self._taking = 0.0
        """Seconds of work that the last pass was, and that this one has been: pauses between its steps don't count."""
        self.spared: Callable[[Candidate], bool] = lambda _: False
        """What stays, whatever happens; asked in any thread."""

    @property
    def surveyed(self) -> bool:
        """Whether a pass has gone through since the start."""
        return self._ended > float("-inf")

    def free(self, need: Callable[[], int], *, most: int | None = None) -> int:
        """Free what is needed, with at most so many blobs; how many blobs went for it. Raises StoreError."""
        with self._lock:
            self._uses.flush()
            self._drop_remains(need)
            if time.monotonic() < self._barren_until:
                return 0
            fresh = False
            count = 0
            while need() > 0 and (most is None or count < most):
                candidate = self._pop()
                if candidate is not None:
                    count += self._evict(candidate, "size")
                elif fresh or not self._hurry():
                    break
                else:
                    fresh = not self._left
            if fresh and self._took > DEAR and need() > 0:
                self._barren_until = time.monotonic() + PATIENCE * self._took
            return count

    def evict(self, candidates: Sequence[Candidate], why: Why) -> int:
        """Evict these, but for those that somebody reads or that are spared; how many went. Raises StoreError.

        One that was used since it was looked at stays.
        """
        with self._lock:
            self._uses.flush()
            count = 0
            for candidate in candidates:
                known = self._files.look(candidate.sha256)
                if known is not None and known.used_at <= candidate.used_at:
                    count += self._evict(known, why)
            return count

    def drop_remains(self) -> None:
        """Remove what is nobody's any more: what was set aside, and downloads that broke off."""
        with self._lock:
            self._drop_remains(lambda: 1)

    def survey(self) -> list[Candidate]:
        """One shard more of the pass, or as many as take no time, and their blobs; a new pass begins when the last one is through."""
        with self._lock:
            began, found = time.monotonic(), self._step()
            while self._left and time.monotonic() - began < BRIEF:
                found = found + self._step()
            return found

    @property
    def passing(self) -> bool:
        """Whether a pass is under way."""
        return bool(self._left)

    def _step(self) -> list[Candidate]:
        if not self._left:
            self._left = list(range(SHARDS))
            self._found, self._taking, self._cut = [], 0.0, float("inf")
        began = time.monotonic()
        shard = self._left.pop()
        found = self._files.count(shard)
        self._count_links(shard)
        self._taking += time.monotonic() - began
        self._found += [candidate for candidate in found if candidate.standing <= self._cut]
        if len(self._found) > 2 * self._most:
            self._found = eviction.coldest(self._found, self._most)
            self._cut = self._found[0].standing
        if not self._left:
            self._pool, self._found = eviction.coldest(self._found, self._most), []
            self._ended, self._took = time.monotonic(), self._taking
        return found

    def _hurry(self) -> bool:
        """Find candidates now; whether there are any."""
        seen = 0
        while seen < SAMPLE:
            seen += len(self._step())
            if not self._left:
                break
        if self._left:
            self._pool = eviction.coldest(self._found, self._most // 16)
        return bool(self._pool)

    def _pop(self) -> Candidate | None:
        """The coldest of the pool that is still as cold as it was."""
        if self.surveyed and time.monotonic() - self._ended > max(1.0, PATIENCE * self._took):
            self._pool = []
        while self._pool:
            candidate = self._pool.pop()
            known = self._files.look(candidate.sha256)
            if known is not None and known.standing <= candidate.standing:
                return known
        return None

    def _evict(self, candidate: Candidate, why: Why) -> int:
        if self.spared(candidate) or self._files.evict(candidate.sha256) is None:
            return 0
        self._told(Gone(candidate, why))
        return 1

    def _drop_remains(self, need: Callable[[], int]) -> None:
        """What is nobody's any more: what was set aside, and downloads that broke off."""
        while need() > 0 and self._quarantine.drop_oldest():
            pass
        for path in parts.abandoned(self._spools) if need() > 0 else ():
            booked = parts.give_up(path, self._quarantine)
            if booked is not None:
                with self._usage.locked() as sums:
                    sums.spools -= booked
                if need() <= 0:
                    return
