"""Host names to addresses, in threads of their own.

The system's resolver can hang for half a minute, and a thread with it. The loop's own threads serve others too, so
each mirror has a few of its own: its DNS trouble is nobody else's. The names that its pages link to have others, since
they may be anyone's, and be silent on purpose. A question takes no longer than a connection may, and
one that nobody waits for any more doesn't hold up the end of the process, as a pool's would.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading

from aiohttp.abc import AbstractResolver, ResolveResult

THREADS = 2
"""For each mirror's own name; questions about one name are asked once at a time anyway."""

FOREIGN = 8
"""For all other names that its pages lead to."""


class Resolver(AbstractResolver):
    """Asks the system's resolver."""

    def __init__(self, *, name: str, seconds: float, threads: int = THREADS) -> None:
        self._name = name
        self._seconds = seconds
        self._free = asyncio.Semaphore(threads)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The host's addresses. Raises OSError; TimeoutError is one."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def ask() -> None:
            outcome: list[ResolveResult] | Exception
            try:
                outcome = _lookup(host, port, family)
            except Exception as error:  # noqa: BLE001 - whatever it is, who asked is told
                outcome = error
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(ended, outcome)

        def ended(outcome: list[ResolveResult] | Exception) -> None:
            self._free.release()
            if answer.done():
                return  # nobody waits any more
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)

        async with asyncio.timeout(self._seconds):
            await self._free.acquire()
            try:
                threading.Thread(target=ask, name=f"dns {self._name}", daemon=True).start()
            except RuntimeError as error:
                self._free.release()
                raise OSError(errno.EAGAIN, "no thread to ask with") from error
            return await answer

    async def close(self) -> None:
        """Threads end by themselves."""


def _lookup(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [
        ResolveResult(
            hostname=host,
            # With a scope where there is one, for link-local addresses.
            host=socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0],
            port=port,
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in found
    ]
