"""Pins and quotas: what eviction spares, and what an index may have of the cache.

Both go by what the link records say of a file (`holdings`), which is read when it is needed. A file counts for
each index that links to it.

All of it blocks. It may not import anything of the package but rules.eviction and its own folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

from pypicache.rules import eviction
from pypicache.rules.eviction import Candidate
from pypicache.store.holdings import Holdings
from pypicache.store.keeper import Keeper

YOUNG = 2.0
"""Seconds in which a stored file's link may not be written yet."""

POOL = 1 << 14
"""Files of one index that go at a time: what is over then goes the next time."""

AGAIN = 1.0
"""Seconds between two looks at the links for the sake of pins."""


class Shares:
    """The pins and quotas of a configuration; `pinned` tells of a project's name whether its files stay."""

    def __init__(
        self,
        keeper: Keeper,
        *,
        pinned: Callable[[str], bool] | None,
        quotas: Mapping[str, int],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keeper = keeper
        self._pins = pinned is not None
        self._quotas = quotas
        self._now = now
        self._holdings = Holdings(keeper.root, pinned=pinned or (lambda _: False), indexes=quotas)
        self._over = False

    def spared(self, candidate: Candidate) -> bool:
        """Whether the blob is pinned; asked by whoever evicts, in any thread, one at a time."""
        if not self._pins:
            return False
        holdings = self._holdings
        if candidate.used_at >= holdings.refreshed_at - YOUNG and self._now() - holdings.refreshed_at > AGAIN:
            holdings.refresh(self._now)
        # A link is written after its file: of one that has only just come nobody knows whose it is.
        return candidate.used_at >= holdings.refreshed_at - YOUNG or holdings.pins(candidate.sha256)

    def enforce(self) -> None:
        """Evict what indexes have beyond their quotas, their coldest first."""
        if self._quotas and (self._holdings.refresh(self._now) or self._over):
            self._keeper.uses.flush()
            over = [self._enforce(index, quota) for index, quota in self._quotas.items()]
            self._over = any(over)

    def _enforce(self, index: str, quota: int) -> bool:
        """Whether the index had more than its quota."""
        held = 0

        def candidates() -> Iterator[Candidate]:
            nonlocal held
            for sha256 in self._holdings.of(index):
                candidate = self._keeper.files.look(sha256)
                if candidate is not None:
                    held += candidate.size
                    if not self._holdings.pins(sha256):
                        yield candidate

        coldest = eviction.coldest(candidates(), POOL)
        over = held - quota
        if over > 0:
            going = eviction.choose(coldest, over + quota // 50)
            self._keeper.evictor.evict(going, "quota")
        return over > 0
