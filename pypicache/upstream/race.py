"""One question, put to mirrors in turn: the next one is asked when one fails, says no, or is silent for too long.

    a page, or "unchanged"      that is the answer; who is still silent is left to itself, and reports when it is done
    "no such project"           the next one is asked at once; those that are silent are waited for a little longer
    a failure                   the next one is asked at once
    silence                     after a while (`Mirror.hedge_delay`) the next one is asked too, if that can be afforded

Where the asker has nothing to fall back on, a mirror's failure doesn't count for ever: when nobody else is left, and
that was a while ago (`rules.retry`), it is asked once more. So mirrors that fail by turns cost no answer.

Who may be asked and in which order, and what noes and failures come to, is for `mirrors`; how a single one is asked is
given as `ask`, which bounds its own time and raises UpstreamError or ProjectNotFound only.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

from pypicache.errors import ProjectNotFound, UpstreamError
from pypicache.rules.hedge import Allowance
from pypicache.rules.retry import second_chance_at
from pypicache.upstream.source import Listing, NotModified
from pypicache.upstream.standing import Mirror

LAST_WORD = 3.0
"""Seconds for which silent mirrors are waited for after another one has said no."""

Answer = Listing | NotModified
Ask = Callable[[Mirror, int], Coroutine[None, None, Answer]]
"""Asks a mirror; the number is how many mirrors haven't been asked yet."""


class Stragglers:
    """Requests that nobody waits for any more, and the budget for sending such."""

    def __init__(self) -> None:
        self.allowance = Allowance()
        self._tasks: set[asyncio.Task[Answer]] = set()

    def leave(self, task: asyncio.Task[Answer], *, debtor: Mirror | None) -> None:
        """Let it end by itself; until then `debtor` owes an answer."""
        if debtor is not None:
            debtor.owing += 1

        def ended(done: asyncio.Task[Answer]) -> None:
            self._tasks.discard(done)
            if debtor is not None:
                debtor.owing -= 1
            if not done.cancelled():
                done.exception()  # looked at: it was told when it happened

        self._tasks.add(task)
        task.add_done_callback(ended)

    async def close(self) -> None:
        """Cancel them all."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Runner:
    mirror: Mirror
    place: int
    began: float
    at: float
    """The same by the loop's clock."""


class Race:
    """One question. `mirrors` are asked in their order, those that don't allow it only for want of others.

    `twice`: those that failed may be asked once more.
    """

    def __init__(
        self,
        mirrors: Sequence[Mirror],
        ask: Ask,
        *,
        stragglers: Stragglers,
        clock: Callable[[], float],
        twice: bool = False,
    ) -> None:
        self.answer: Answer | None = None
        """The first good answer; without one, `absent` and `failed` tell."""
        self.absent: list[str] = []
        self.failed: list[UpstreamError] = []
        self._waiting = deque(mirrors)
        self._second: list[_Runner] = []
        self._twice = dict.fromkeys(mirrors, twice)
        self._unlikely = not any(mirror.allows("pages") for mirror in mirrors)
        self._ask = ask
        self._stragglers = stragglers
        self._clock = clock
        self._running: dict[asyncio.Task[Answer], _Runner] = {}
        self._hedge_at = 0.0
        self._began = 0.0
        self._last_word_at: float | None = None

    async def run(self) -> None:
        """Ask until there is an answer, or nobody is left."""
        self._stragglers.allowance = self._stragglers.allowance.earn()
        self._began = asyncio.get_running_loop().time()
        try:
            self._next()
            while self._running:
                done, _ = await asyncio.wait(
                    self._running, timeout=self._patience(), return_when=asyncio.FIRST_COMPLETED
                )
                if not done and not self._hedge():
                    return
                for task in sorted(done, key=lambda task: self._running[task].place):
                    if self._take(task):
                        return
        except asyncio.CancelledError:
            for task in self._running:
                task.cancel()
            raise
        finally:
            self._leave_the_rest(None)

    def _take(self, task: asyncio.Task[Answer]) -> bool:
        """Whether what one mirror said is the answer; where it isn't, the next one is asked."""
        runner = self._running.pop(task)
        try:
            self.answer = task.result()
        except ProjectNotFound:
            self.absent.append(runner.mirror.name)
            if self._last_word_at is None:
                self._last_word_at = asyncio.get_running_loop().time() + LAST_WORD
        except UpstreamError as error:
            self.failed = [each for each in self.failed if each.origin != error.origin] + [error]
            if self._twice[runner.mirror] and error.retry_after is None:
                # Who was asked first is first again, whoever failed first: it had the most time to recover.
                insort(self._second, runner, key=lambda each: each.at)
        else:
            self._leave_the_rest(runner)
            return True
        self._next()
        return False

    def _next(self) -> bool:
        """Ask the next mirror; False when there is none to be asked now."""
        if not self._waiting:
            self._revive()
        if not self._waiting:
            return False
        # A no is confirmed by mirrors in good standing; for want of a page, the others are asked when nobody is left.
        if not self._waiting[0].allows("pages") and (self.absent or (self._running and not self._unlikely)):
            return False
        mirror = self._waiting.popleft()
        now = asyncio.get_running_loop().time()
        hedge_delay = mirror.hedge_delay
        if mirror.allows("pages"):
            mirror.probe("pages")  # here, so that whoever comes next goes elsewhere
        task = asyncio.get_running_loop().create_task(
            self._ask(mirror, len(self._waiting)), name=f"asking {mirror.name}"
        )
        self._running[task] = _Runner(mirror, len(self._running), self._clock(), now)
        self._hedge_at = now + hedge_delay
        return True

    def _revive(self) -> None:
        """Put the one that was asked first at the end of the line again, if that was long ago and nobody has said no."""
        due = self._revival
        if due is not None and asyncio.get_running_loop().time() >= due:
            mirror = self._second.pop(0).mirror
            self._twice[mirror] = False
            self._waiting.append(mirror)

    @property
    def _revival(self) -> float | None:
        """When a mirror may be asked a second time, by the loop's clock; None: not any more, or there is none."""
        if not self._second or self.absent:
            return None
        now = asyncio.get_running_loop().time()
        return second_chance_at(self._second[0].at, began=self._began, now=now)

    def _patience(self) -> float | None:
        """Seconds until something is due beside answers; None: nothing is."""
        due = [at for at in (self._last_word_at,) if at is not None]
        if self._waiting:
            due.append(self._hedge_at)
        elif (revival := self._revival) is not None:
            due.append(max(self._hedge_at, revival))
        return max(0.0, min(due) - asyncio.get_running_loop().time()) if due else None

    def _hedge(self) -> bool:
        """All who were asked are silent: ask another, if that can be afforded. False: it isn't worth the wait any more."""
        now = asyncio.get_running_loop().time()
        if self._last_word_at is not None and now >= self._last_word_at:
            return False
        free = all(runner.mirror.suspect for runner in self._running.values())
        allowance = self._stragglers.allowance if free else self._stragglers.allowance.spend()
        if allowance is not None and self._next():
            self._stragglers.allowance = allowance
        elif now >= self._hedge_at:
            self._hedge_at = now + max(runner.mirror.hedge_delay for runner in self._running.values())
        return True

    def _leave_the_rest(self, winner: _Runner | None) -> None:
        """Who was asked before the winner and is silent was overtaken."""
        now = self._clock()
        for task, runner in self._running.items():
            behind = winner is None or runner.place < winner.place
            if behind and not task.done():
                runner.mirror.overtaken(now - runner.began)
            self._stragglers.leave(task, debtor=runner.mirror if behind else None)
        self._running.clear()
