"""Of whom a download is asked: of all mirrors together until bytes turn out wrong, then of one after the other.

::

    they bring no more       while together, or the last one alone    who sent wrong bytes gets a second chance, once;
                                                                      else it is over
                             one of several alone                     the next one, alone
    the bytes are wrong      one mirror's, from the first on          it is set aside; the others, each alone
                             several had a part in it                 each alone: then it shows who was wrong

Something on the way may have broken what a mirror sent, so it isn't set aside for ever. This asks nobody.
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

    @property
    def asked(self) -> Sequence[Copy]:
        """Those to ask now."""
        return self._left if self._together else self._left[:1]

    def brought_no_more(self) -> bool:
        """None of them goes on; whether there is somebody else."""
        rest = [] if self._together else self._left[1:]
        self._left, self._aside = (rest, self._aside) if rest else (self._aside, [])
        self._together = False
        return bool(self._left)

    def were_wrong(self, origins: Collection[str], *, certain: bool) -> bool:
        """What these mirrors brought isn't the file; `certain`: all of it was one mirror's. Whether there is somebody else."""
        if certain:
            self._aside += [copy for copy in self._left if copy.origin in origins]
            self._left = [copy for copy in self._left if copy.origin not in origins]
        self._together = False
        return bool(self._left)
