"""Of whom a download is asked: of all mirrors together until bytes turn out wrong, then of one after the other.

::

    they bring no more       while together                       it is over
                             one of several alone                 the next one, alone
                             the last one alone                   it is over
    the bytes are wrong      one mirror's, from the first on      it is set aside; the others, each alone
                             several had a part in it             each alone: then it shows who was wrong
                             the last one's                       it is over

Something on the way may have broken what a mirror sent. So where not all agree on wrong bytes, but some just bring
nothing, those that were set aside get a second chance, once, before it is over. This asks nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pypicache.upstream.source import Copy


class Suspects:
    """The copies that may still be asked."""

    def __init__(self, copies: Sequence[Copy]) -> None:
        self._left = list(copies)
        self._aside: list[Copy] = []
        self._together = True
        self._silence = False
        self._second_chance = True

    @property
    def asked(self) -> Sequence[Copy]:
        """Those to ask now."""
        return self._left if self._together else self._left[:1]

    def brought_no_more(self) -> bool:
        """None of them goes on; whether there is somebody else."""
        self._left = [] if self._together else self._left[1:]
        self._silence = True
        return self._others()

    def were_wrong(self, origins: Collection[str], *, certain: bool) -> bool:
        """What these mirrors brought isn't the file; `certain`: all of it was one mirror's. Whether there is somebody else."""
        if certain:
            self._aside += [copy for copy in self._left if copy.origin in origins]
            self._left = [copy for copy in self._left if copy.origin not in origins]
        return self._others()

    def _others(self) -> bool:
        self._together = False
        if not self._left and self._silence and self._second_chance:
            self._left, self._aside = self._aside, []
            self._second_chance = False
        return bool(self._left)
