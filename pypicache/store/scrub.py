"""Hashing every stored file again, slowly, so that damage is found before a client meets it.

One place after the other (`rules.scrub`) is looked through: what isn't a blob's file is set aside, and so is a file whose
bytes don't hash to its name. It is then fetched again when somebody asks for it. How far it came is in `root/scrub`, so that a
restart goes on there. It runs at idle priority, and what it read of files that nobody used lately is dropped from the
page cache.

All of it blocks, on one thread. It may not import anything of the package but rules.scrub and its own folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import platform
import sys
import threading
from collections.abc import Iterator

from pypicache.rules.scrub import PLACES
from pypicache.store.files import replace_file
from pypicache.store.inspection import Damage
from pypicache.store.keeper import Keeper

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "ppc64le": 273, "s390x": 282}
_IDLE = 3 << 13
_NICE = 10


class Scrub:
    """The scrub of a cache. `stop` ends a step before its end."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._file = keeper.root / "scrub"
        self.stop = threading.Event()

    def place(self) -> int:
        """The next place, by what was written down; 0 when nothing is."""
        with contextlib.suppress(OSError, ValueError):
            return int(self._file.read_bytes()[:20]) % PLACES
        return 0

    def step(self, place: int, count: int) -> list[Damage]:
        """Look through so many places; what was wrong there, and is set aside now. Less of it after `stop`."""
        be_idle()
        found: list[Damage] = []
        for number, shard in itertools.groupby(range(place, place + count), lambda each: each % PLACES >> 8):
            there = self._keeper.inspection.places(number)
            for each in shard:
                if self.stop.is_set():
                    return found
                if each % PLACES in there or not each & 0xFF:
                    found += self._look(each % PLACES)
        with contextlib.suppress(OSError):
            replace_file(self._file, self._file.with_name("scrub.new"), b"%d\n" % ((place + count) % PLACES))
        return found

    def _look(self, place: int) -> Iterator[Damage]:
        inspection, shard = self._keeper.inspection, place >> 8
        if not place & 0xFF:
            # Once a shard: what stands beside the directories, and above all shards with the first.
            for stray in (*(inspection.strays() if not shard else ()), *inspection.strays(shard)):
                inspection.set_aside(stray)
                yield stray
        for sha256 in inspection.names(place):
            damage = inspection.judge(sha256, stop=self.stop)
            if damage is not None:
                yield damage


def be_idle() -> None:
    """Have this thread wait for everyone else, at the disk and at the processor, where the system can do that."""
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
    number = _IOPRIO_SET.get(platform.machine())
    if number is not None:
        ctypes.CDLL(None).syscall(number, 1, 0, _IDLE)
