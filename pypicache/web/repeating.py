"""The server's part in the shortcut (`hot`): it finds the answers that are ready, for all that has come in a turn of the loop, and notes them in runs.

It is also where answers are made ready for those who ask next (`rehearsal`).
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from aiohttp import web

from pypicache.web.arrivals import Arrivals
from pypicache.web.ledger import Ledger
from pypicache.web.quiet import Quiet
from pypicache.web.repeats import Prepared, Repeats
from pypicache.web.request import Request
from pypicache.web.turn import Turn

if TYPE_CHECKING:
    from pypicache.web.hot import Shortcut


class Repeating(web.Server):
    """What a `Shortcut` needs of its server."""

    repeats: Repeats | None = None
    """The table of the edge in force; None: no shortcut is taken."""

    turn: Turn
    """What its connections share."""

    ledger: Ledger
    """Where answers are noted that are given again."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.arrivals: Arrivals[Shortcut] = Arrivals(self._answer_all)
        self.quiet = Quiet()
        """Where answers are made ready for the next one who asks."""
        super().__init__(*args, **kwargs)

    def client_of(self, peer: str, forwarded: Sequence[str]) -> str:
        """The client's address, when X-Forwarded-For says that."""
        raise NotImplementedError

    def answer(self, connection: Shortcut, data: bytes) -> None:
        """Answer a request that has an answer ready; all else goes the ordinary way.

        What stands here, and in `_answer_all`, is done for every hot answer: to the last line, it is what those take.
        """
        repeats = self.repeats
        if repeats is None or not connection.waits() or (prepared := repeats.find(data)) is None:
            connection.receive(data)
            return
        began = monotonic()
        now = repeats.clock()
        parts = prepared.parts(now)
        if parts is None:
            repeats.drop(data)
        elif connection.hand_over(prepared, parts, began):
            self._note(prepared, connection.peer, now, monotonic() - began, 1)
            return
        connection.receive(data)

    async def rehearse(self, request: Request) -> None:
        """Have its answer made once more, for the table that is in force by now."""
        if request.again is not None and self.repeats is not None:
            await request.again(request, self.repeats)

    def _answer_all(self, came: Sequence[tuple[Shortcut, bytes]], began: float) -> None:
        """The same for many, which have waited since then (monotonic).

        Nothing else happens meanwhile: one look at the clock does for all, and an answer that holds for one of them holds for
        the next who asks for it.
        """
        repeats = Repeats(clock=time) if self.repeats is None else self.repeats
        now, find = repeats.clock(), repeats.find
        latest: Prepared | None = None
        parts: tuple[bytes, bytes] | None = None
        peer, count = "", 0
        for connection, data in came:
            try:
                if not connection.waits() or (prepared := find(data)) is None:
                    connection.receive(data)
                    continue
                if prepared is not latest or connection.peer != peer:
                    if latest is not None:
                        self._note(latest, peer, now, monotonic() - began, count)
                    latest, peer, count = prepared, connection.peer, 0
                    parts = prepared.parts(now)
                if parts is None:
                    repeats.drop(data)
                elif connection.hand_over(prepared, parts, began):
                    count += 1
                    continue
                connection.receive(data)
            except Exception as error:  # noqa: BLE001 - what befalls one of them isn't the others' affair
                connection.fail(error)
        if latest is not None:
            self._note(latest, peer, now, monotonic() - began, count)

    def _note(self, prepared: Prepared, peer: str, now: float, seconds: float, times: int) -> None:
        """It was given so often to a client there, and each time took so long."""
        if times:
            prepared.times += times
            client = self.client_of(peer, prepared.forwarded) if prepared.forwarded else peer
            self.ledger.note(prepared.record, client, now, seconds, times)
