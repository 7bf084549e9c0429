"""How slow is too slow: a watch under a clock that a test turns."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from pypicache.web.pace import Pace, Watch, limit_silence


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time a test moves on."""

    now = 0.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


class Client:
    """What a client has taken, and whether it was cut off."""

    def __init__(self, loop: Loop, pace: Pace) -> None:
        self._loop = loop
        self.taken = 0
        self.cut = 0
        self.watch = self._made(pace)

    def _made(self, pace: Pace) -> Watch:
        async def make() -> Watch:
            return Watch(lambda: self.taken, self._cut, pace=pace)

        return self._loop.run_until_complete(make())

    def _cut(self) -> None:
        self.cut += 1

    def after(self, seconds: float, taking: int = 0) -> int:
        """Let time pass; how often it was cut off by then."""
        self.taken += taking
        self._loop.now += seconds
        self._loop.run_until_complete(asyncio.sleep(0))
        return self.cut


PACE = Pace(least=100, period=10)


def test_a_client_that_takes_enough_is_left_alone(loop: Loop) -> None:
    client = Client(loop, PACE)
    with client.watch:
        for _ in range(50):
            assert client.after(5, taking=500) == 0


@pytest.mark.parametrize("taking", [0, 499])
def test_a_client_that_takes_too_little_is_cut_off_once(loop: Loop, taking: int) -> None:
    client = Client(loop, PACE)
    with client.watch:
        assert client.after(5, taking=taking) == 0
        assert client.after(5, taking=taking) == 1
        assert client.after(50) == 1


def test_the_average_counts(loop: Loop) -> None:
    """A pause is forgiven when it was made up for within the period; what was taken long ago doesn't count."""
    client = Client(loop, PACE)
    with client.watch:
        assert client.after(9.5) == 0
        assert client.after(0.5, taking=100_000) == 0
        assert client.after(9.5) == 0
        assert client.after(0.5) == 1


def test_only_time_in_which_there_is_something_to_take_counts(loop: Loop) -> None:
    """A slow mirror is no fault of the client's."""
    client = Client(loop, PACE)
    for _ in range(9):
        with client.watch:
            assert client.after(1) == 0
        assert client.after(1000) == 0
    with client.watch:
        assert client.after(1) == 1
    assert client.after(1000) == 1


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_the_kernels_limit_is_set_where_it_is_known(family: socket.AddressFamily) -> None:
    with socket.socket(family) as listener:
        limit_silence(listener, 7.5)
        if family != socket.AF_UNIX:
            assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7500


def test_the_sockets_of_uvloop_take_the_option_too() -> None:
    async def story() -> None:
        server: Any = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        for listener in server.sockets:
            limit_silence(listener, 7.5)
            assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7500
        server.close()
        await server.wait_closed()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
