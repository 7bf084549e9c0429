"""Answers that can be given again, ready to be sent, under the heads of their requests: the table that `hot` looks into.

An answer is kept when its handler offers it (`Repeatable`) and nothing about the request or the response is unusual. Whether it
holds is found out each time it is wanted, from its lease. Its body isn't kept here, only looked up where it is held.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate

from aiohttp import HttpVersion11, hdrs, web

from pypicache.events import Answered
from pypicache.web.request import Repeatable, Request
from pypicache.web.sheet import Sheet, Sheets

MEMORY = 8 << 20
"""Bytes of heads and what belongs to them. Bodies aren't counted: they are held elsewhere, and only looked up."""

_OBJECTS = 1500
"""About what an entry's objects weigh beside its bytes."""

_UNUSUAL = (hdrs.EXPECT, hdrs.UPGRADE, hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING, "X-Request-Id")
"""What a request mustn't have, to be kept: the last one since it is another one each time."""

_REMADE = {hdrs.DATE, hdrs.AGE, "X-Request-Id"}
"""What a response has of its own each time."""


class Prepared:
    """An answer, ready to be sent again."""

    __slots__ = (
        "_confirmed_at",
        "_fixed",
        "_from",
        "_head",
        "_key",
        "_lease",
        "_peek",
        "_reads",
        "_sheets",
        "_until",
        "_use",
        "forwarded",
        "record",
        "sheet",
        "stored",
        "times",
        "used",
    )

    def __init__(
        self,
        request: Request,
        response: web.StreamResponse,
        repeatable: Repeatable,
        record: Answered,
        sheets: Sheets,
    ) -> None:
        self._sheets = sheets
        self.times = 0
        """How often it has been given with the head that it has now."""
        self.sheet: Sheet | None = None
        """The answer as `parts` gives it, if it has one: for its body, which must be this one."""
        self._lease = repeatable.lease
        self._reads = repeatable.lease.reads
        self._peek = self._use = None
        self._key = ""
        if repeatable.body is not None and request.method != hdrs.METH_HEAD:
            held, self._key = repeatable.body
            self._peek, self._use = held.peek, held.get
        self.stored = None if request.method == hdrs.METH_HEAD else repeatable.stored
        """Opens the file that is its body, if that is one; `parts` gives the head alone then."""
        self._confirmed_at = repeatable.confirmed_at
        self.record = record
        """What is told of it, but for what is another client's."""
        self.forwarded = tuple(request.headers.getall("X-Forwarded-For", ()))
        kept = {name: text for name, text in response.headers.items() if name not in _REMADE}
        lines = "".join(f"{name}: {text}\r\n" for name, text in kept.items())
        self._fixed = f"HTTP/1.1 {response.status} {response.reason}\r\n{lines}"
        self._head = b""
        self._from = math.inf
        self._until = self.used = -math.inf
        """`used`: when it was last, to the second."""

    @property
    def weight(self) -> int:
        """What it costs to keep, in bytes."""
        return 2 * len(self._fixed) + _OBJECTS

    def parts(self, now: float) -> tuple[bytes, bytes] | None:
        """Head and body, as they are to be sent at that time; None when the answer holds no longer.

        This is asked again and again, so the lease's own `holds` is spelled out, with its times those of the head.
        """
        if not self._from <= now < self._until and not self._renew(now):
            return None
        for read, key, value in self._reads:
            found = read(key)
            if found is not value and found != value:
                return None
        if self._peek is None:
            return self._head, b""
        made = self._peek(self._key)
        return None if made is None else (self._head, made.body)

    def spoil(self) -> None:
        """It holds no longer."""
        self._lease = replace(self._lease, until=-math.inf)
        self._until = -math.inf

    def _renew(self, now: float) -> bool:
        """Say in the head what time it is: right until the second, or the page's age, changes. False: its time is over."""
        lease = self._lease
        if not lease.since <= now < lease.until:
            return False
        lease.use()
        made = None if self._use is None else self._use(self._key)
        text = f"{self._fixed}Date: {_date(int(now))}\r\n"
        until = min(math.floor(now) + 1.0, lease.until)
        if (since := self._confirmed_at) is not None:
            passed = max(0, int(now - since))
            text += f"Age: {passed}\r\n"
            until = min(until, since + passed + 1)
        self._head = f"{text}\r\n".encode()
        self._from, self._until, self.used = now, until, now
        times, self.times, self.sheet = self.times, 0, None
        if made is not None and self._sheets.worth(times, made.body):
            self.sheet = self._sheets.make(self._head, made.body)
        return True


class Repeats:
    """Prepared answers by the heads of their requests: a bounded number, those used last.

    To find one isn't noted; when there are too many, the quarter that wasn't used for longest goes, by what their heads say.
    """

    def __init__(self, *, clock: Callable[[], float], memory: int = MEMORY) -> None:
        self.clock = clock
        self._limit = memory
        self._weight = 0
        self._held: dict[bytes, Prepared] = {}
        self._sheets = Sheets()
        self.find = self._held.get
        """The answer that was given to a request of that head, if it is kept; whether it holds, it says itself."""

    def __len__(self) -> int:
        return len(self._held)

    def drop(self, head: bytes) -> None:
        """Keep it no longer."""
        if (prepared := self._held.pop(head, None)) is not None:
            self._weight -= len(head) + prepared.weight

    def _make_room(self) -> None:
        order = sorted(self._held, key=lambda head: self._held[head].used)
        for head in order:
            if self._weight <= self._limit * 3 // 4:
                break
            self.drop(head)

    def keep(self, request: Request, response: web.StreamResponse) -> None:
        """Keep the answer that the request was given and that has been recorded, if it may be given again."""
        if (
            request.head is not None
            and request.record is not None
            and request.repeatable is not None
            and request.repeatable.lease.holds(self.clock())
            and not request.guarded  # each time, the gate looks at who asks
            and usual(request)
            and _framed(response)
        ):
            self.drop(request.head)
            prepared = Prepared(request, response, request.repeatable, request.record, self._sheets)
            prepared.used = self.clock()
            self._held[request.head] = prepared
            self._weight += len(request.head) + prepared.weight
            if self._weight > self._limit:
                self._make_room()


@functools.lru_cache(maxsize=2)
def _date(second: int) -> str:
    """That second as a Date header has it: many answers are given in one."""
    return formatdate(second, usegmt=True)


def usual(request: Request) -> bool:
    """Whether there is nothing about the request that keeps its answer from being kept."""
    return (
        request.version == HttpVersion11
        and request.keep_alive
        and request.headers.get(hdrs.CONNECTION, "keep-alive").lower() == "keep-alive"
        and not any(name in request.headers for name in _UNUSUAL)
    )


def _framed(response: web.StreamResponse) -> bool:
    """Whether the client knows where it ends, and the connection stays."""
    length = hdrs.CONTENT_LENGTH in response.headers or response.status == 304  # noqa: PLR2004 - Not Modified
    return length and bool(response.keep_alive) and hdrs.CONNECTION not in response.headers
