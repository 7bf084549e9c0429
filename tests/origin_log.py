"""What the scripted origin was asked, and a way to wait until it has been.

Tests read it from their own thread or loop while the origin's thread writes. It decides nothing.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from tests.origin_wire import Request, State

PATIENCE = 20.0
"""Seconds until a wait gives up, unless the test says otherwise: an upper bound, never a pace."""


class RequestLog:
    """Every request in order of arrival, and who waits for one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watchers: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._finished = 0
        self.requests: list[Request] = []
        """All that was asked since the start or the last `forget`, in order of arrival."""

    def forget(self) -> None:
        """Empty the log; requests still under way are not in it again."""
        with self._changed:
            self.requests = []

    def count(self, path: str = "", method: str | None = "GET") -> int:
        """How many requests had `path` somewhere in their (decoded) path; `method` None counts all methods."""
        return len([r for r in self.requests if path in r.path and method in {None, r.method}])

    def gets(self, filename: str) -> list[Request]:
        """The GET requests for exactly this filename, or for the project page of that name."""
        return [
            r
            for r in self.requests
            if r.method == "GET" and (r.filename == filename or r.path.endswith(f"/simple/{filename}/"))
        ]

    def bytes_sent(self, filename: str) -> int:
        """How many bytes of bodies went out for this filename, over all requests."""
        return sum(request.bytes_sent for request in self.gets(filename))

    @property
    def stalled(self) -> int:
        """How many answers are being held back now."""
        return len([r for r in self.requests if r.state == "stalled"])

    @property
    def in_flight(self) -> int:
        """How many answers are not over yet, stalled ones included."""
        return len([r for r in self.requests if r.finished is None])

    def wait_for(self, predicate: Callable[[], bool], timeout: float = PATIENCE) -> None:
        """Block until `predicate()` holds; it is asked again whenever anything happens here.

        For plain tests: in a coroutine it would stop the loop it waits for, so there it refuses.
        """
        if _in_coroutine():
            raise AssertionError("in a coroutine, await until() instead of calling wait_for()")
        with self._changed:
            if not self._changed.wait_for(predicate, timeout):
                raise AssertionError(f"not within {timeout} s; {self.told()}")

    def quiet(self, timeout: float = PATIENCE) -> None:
        """Block until no answer is under way.

        A client can have the last byte a moment before the log says so: call this (or await `until`) before looking
        at states, `finished` or `bytes_sent`.
        """
        self.wait_for(lambda: self.in_flight == 0, timeout)

    async def until(self, predicate: Callable[[], bool], timeout: float = PATIENCE) -> None:  # noqa: ASYNC109 - as wait_for
        """Wait in a coroutine until `predicate()` holds; it is asked again whenever anything happens here."""
        watcher = (asyncio.get_running_loop(), asyncio.Event())
        with self._changed:
            self._watchers.add(watcher)
        try:
            async with asyncio.timeout(timeout):
                while not predicate():
                    await watcher[1].wait()
                    watcher[1].clear()
        except TimeoutError:
            raise AssertionError(f"not within {timeout} s; {self.told()}") from None
        finally:
            with self._changed:
                self._watchers.discard(watcher)

    def told(self) -> str:
        """The log as text, for a failure's message."""
        lines = [
            f"{r.number}: {r.method} {r.target} {r.headers.get('range', '')} -> {r.status} {r.state} {r.bytes_sent} B"
            for r in self.requests
        ]
        return "\n".join(["requests:", *lines])

    def arrived(self, connection: int, method: str, target: str, headers: dict[str, str]) -> Request:
        """Log a request (called by its connection)."""
        with self._changed:
            request = Request(
                number=len(self.requests),
                connection=connection,
                method=method,
                target=target,
                headers=headers,
            )
            self.requests.append(request)
            self.notify()
        return request

    def changed(self, request: Request, state: State | None = None) -> None:
        """Note progress, or a new state (called by the request's connection)."""
        with self._changed:
            if state is not None:
                request.state = state
                if state not in {"open", "stalled"}:
                    request.closed_at, request.finished = time.monotonic(), self._finished
                    self._finished += 1
            self.notify()

    def notify(self) -> None:
        """Ask everyone's predicate again."""
        with self._changed:
            self._changed.notify_all()
            for loop, event in self._watchers:
                loop.call_soon_threadsafe(event.set)


def _in_coroutine() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
