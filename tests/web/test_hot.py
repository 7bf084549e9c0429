"""The shortcut: what it answers, what it leaves to the ordinary way, and that nobody can tell the two apart."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import re
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pypicache.events import Again, Answered
from pypicache.index.lease import Lease
from pypicache.index.lru import ByteLRU
from pypicache.index.rendering import Rendering
from pypicache.web.arrivals import ALONE
from pypicache.web.hot import COPIED, LONGEST, Shortcut
from pypicache.web.ledger import MOST
from pypicache.web.limits import Limits
from pypicache.web.pace import Pace
from pypicache.web.repeats import Repeats
from pypicache.web.request import Repeatable, Request
from pypicache.web.server import Protocol, Server
from pypicache.web.sheet import LARGEST, LEAST, OFTEN
from tests.clock import EPOCH, ManualClock
from tests.web.serving import Run, run

__all__ = ["run"]

BODY = b"the page\n"


def head(path: str, *headers: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request without a body."""
    return "\r\n".join((f"{method} {path} HTTP/{version}", "Host: x", *headers, "", "")).encode()


class Site:
    """A handler of its own: `/page` may be repeated while `good`, all else may not. It counts what it is asked."""

    def __init__(self, *, shortcut: bool = True, body: bytes = BODY) -> None:
        self.clock = ManualClock(EPOCH + 0.5)
        self.repeats = Repeats(clock=self.clock)
        self.body = body
        self.good = "good"
        self.renderings: ByteLRU[str, Rendering] = ByteLRU(1 << 30)
        self.renderings.put("tag", Rendering(body, '"tag"', "identity"), len(body))
        self.hit = asyncio.Event()
        self.handled: list[str] = []
        self._records: list[tuple[str, int, int, str]] = []
        self.gate: asyncio.Event | None = None
        self.server = Server(
            self.handle,
            takers=[self],
        )
        self.server.repeats = self.repeats if shortcut else None

    @property
    def records(self) -> list[tuple[str, int, int, str]]:
        """Method and path, status, bytes and client of what has been answered, and told."""
        self.server.ledger.settle()
        return self._records

    @property
    def hits(self) -> int:
        """How many answers the handler had no part in."""
        return len(self.records) - len(self.handled)

    def use(self, repeats: Repeats) -> None:
        """Another table takes the place of the one in force, as after a reload."""
        self.repeats = self.server.repeats = repeats

    def take(self, record: Answered) -> None:
        self._records.append((f"{record.method} {record.path}", record.status, record.sent, record.client))
        if len(self._records) > len(self.handled):
            self.hit.set()

    def take_again(self, again: Sequence[Again], prefix: str, first: int) -> None:
        for each in again:
            assert each.at == self.clock()
            for _ in range(each.times):
                self.take(replace(each.record, client=each.client))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        assert isinstance(request, Request)
        self.handled.append(request.path)
        if self.gate is not None:
            await self.gate.wait()
        if request.path == "/other":
            await request.read()
            response = web.Response(body=b"other\n")
        else:
            since = EPOCH - 10
            reads = ((lambda _: self.good, None, self.good),)
            request.repeatable = Repeatable(
                Lease(-math.inf, EPOCH + 1000, reads), (self.renderings, "tag"), since
            )
            age = str(int(self.clock() - since))
            if request.headers.get("If-None-Match") == '"tag"':
                request.repeatable = Repeatable(request.repeatable.lease, None, since)
                response = web.Response(status=304, headers={"Age": age, "ETag": '"tag"'})
            else:
                response = web.Response(body=self.body, headers={"Age": age, "ETag": '"tag"'})
        await response.prepare(request)
        await response.write_eof()
        if request.repeatable is not None:
            request.keep = self.repeats.keep
        return response


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 4)})
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Line:
    """One connection to a site, without a network: what is sent arrives as it is cut."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.wire = Wire()
        self.protocol = site.server()
        self.protocol.connection_made(self.wire)

    async def send(self, *pieces: bytes, at_once: bool = False) -> bytes:
        """Send these pieces, each when all is quiet unless all at once, and give what comes back."""
        before = len(self.wire.written)
        for piece in pieces:
            if not at_once:
                await quiet()
            if not self.wire.closed:
                self.protocol.data_received(piece)
        await quiet()
        return self.wire.written[before:]

    def end(self) -> None:
        self.protocol.connection_lost(None)


async def quiet() -> None:
    """Let everything happen that waits for nothing but its turn."""
    for _ in range(25):
        await asyncio.sleep(0)


@asynccontextmanager
async def line(site: Site | None = None) -> AsyncIterator[Line]:
    one = Line(site or Site())
    try:
        yield one
    finally:
        one.end()
        await quiet()


def undated(data: bytes) -> bytes:
    """The responses, with their heads in one order, without the Date and the request's name."""
    parts = re.split(rb"(HTTP/1\.1 [^\r]*\r\n)((?:[^\r]+\r\n)*)\r\n", data)
    for place in range(2, len(parts), 3):
        own = (b"Date: ", b"X-Request-Id: ")
        lines = (each for each in parts[place].splitlines() if not each.startswith(own))
        parts[place] = b"\n".join(sorted(lines)) + b"\n\n"
    return b"".join(parts)


PAGE = head("/page", "User-Agent: pip")


async def test_a_request_that_comes_again_is_answered_alike_without_the_handler() -> None:
    async with line() as one:
        first = await one.send(PAGE)
        assert first.endswith(b"\r\n\r\n" + BODY)
        again = [await one.send(PAGE) for _ in range(3)]
        assert [undated(each) for each in again] == [undated(first)] * 3
        assert one.site.handled == ["/page"]
        assert one.site.records == [("GET /page", 200, len(BODY), "192.0.2.1")] * 4


@pytest.mark.parametrize(
    "request_",
    [
        head("/page", method="HEAD"),
        head("/page", 'If-None-Match: "tag"'),
        head("/page", "Connection: keep-alive"),
    ],
)
async def test_heads_and_304s_are_repeated_too(request_: bytes) -> None:
    async with line() as one:
        first, second = await one.send(request_), await one.send(request_)
        assert undated(first) == undated(second)
        assert one.site.hits == 1
        assert one.site.records[0] == one.site.records[1]


async def test_every_connection_profits() -> None:
    site = Site()
    async with line(site) as one, line(site) as other:
        first, second = await one.send(PAGE), await other.send(PAGE)
        assert undated(first) == undated(second)
        assert site.hits == 1


def change_what_it_was_read_from(site: Site) -> None:
    site.good = "better"


def let_time_pass(site: Site) -> None:
    site.clock.advance(2000)


def let_its_body_go(site: Site) -> None:
    site.renderings.clear()


@pytest.mark.parametrize("change", [change_what_it_was_read_from, let_time_pass, let_its_body_go])
async def test_an_answer_that_holds_no_longer_is_made_again(change: Callable[[Site], None]) -> None:
    site = Site()
    async with line(site) as one:
        first = await one.send(PAGE, PAGE)
        assert site.hits == 1
        change(site)
        assert (await one.send(PAGE)).endswith(BODY)
        assert first.count(BODY) == 2
        assert site.hits == 1


async def test_answers_given_again_are_told_in_their_place() -> None:
    """Before whatever is answered after them, and before its handler looks."""
    site = Site()
    async with line(site) as one:
        await one.send(PAGE, PAGE)
        assert len(site._records) == 1
        site.gate = asyncio.Event()
        await one.send(head("/other"))
        assert [told[0] for told in site._records] == ["GET /page"] * 2
        site.gate.set()
        await one.send()
        assert [told[0] for told in site._records] == ["GET /page"] * 2 + ["GET /other"]


async def test_answers_given_again_are_told_in_a_moment_or_when_they_are_many() -> None:
    site = Site()
    async with line(site) as one:
        await one.send(PAGE)
        for _ in range(MOST):
            one.protocol.data_received(PAGE)
        await quiet()
        assert len(site._records) == 1 + MOST
        await one.send(PAGE)
        assert len(site._records) == 1 + MOST
        site.hit.clear()
        await site.hit.wait()
        assert len(site._records) == 2 + MOST


async def test_date_and_age_are_those_of_the_moment() -> None:
    site = Site()
    async with line(site) as one:
        await one.send(PAGE)
        for seconds, age, date in ((0.0, 10, "20"), (0.4, 10, "20"), (0.2, 11, "21"), (60.0, 71, "21")):
            site.clock.advance(seconds)
            answer = await one.send(PAGE)
            assert f"\r\nAge: {age}\r\n".encode() in answer
            assert re.search(rf"Date: Tue, 14 Nov 2023 22:1[34]:{date} GMT\r\n".encode(), answer)
        site.clock.jump(-61)
        assert b":20 GMT\r\n" in await one.send(PAGE)
        assert len(site.handled) == 1


@pytest.mark.parametrize(
    "request_",
    [
        head("/page", version="1.0"),
        head("/page", "Connection: keep-alive", version="1.0"),
        head("/page", "Connection: close"),
        head("/page", "Connection: keep-alive, upgrade", "Upgrade: websocket"),
        head("/page", "Expect: 100-continue"),
        head("/page", "Content-Length: 0"),
        head("/page", f"X: {'x' * LONGEST}"),
        head("/other"),
    ],
)
async def test_what_is_unusual_is_never_kept(request_: bytes) -> None:
    site = Site()
    async with line(site) as one:
        await one.send(request_)
    assert not site.repeats


@pytest.mark.parametrize("cut", range(1, len(PAGE)))
async def test_a_head_in_pieces_goes_the_ordinary_way(cut: int) -> None:
    async with line() as one:
        first = await one.send(PAGE)
        assert undated(await one.send(PAGE[:cut], PAGE[cut:])) == undated(first)
        assert one.site.hits == 0
        assert undated(await one.send(PAGE)) == undated(first)


async def test_a_known_head_inside_something_else_is_no_request() -> None:
    """Not as a body, nor as the rest of a head."""
    async with line() as one:
        await one.send(PAGE)
        post = head("/other", f"Content-Length: {len(PAGE)}", method="POST")
        answer = await one.send(post, PAGE)
        assert answer.endswith(b"other\n")
        assert answer.count(b"HTTP/1.1 ") == 1
        assert undated(await one.send(PAGE)).endswith(BODY)
        begun = b"GET /other HTTP/1.1\r\nHost: x\r\nX: "
        answer = await one.send(begun, PAGE)
        assert answer.startswith(b"HTTP/1.1 400 ") or answer.endswith(b"other\n")
        assert answer.count(b"HTTP/1.1 ") == 1


async def test_answers_keep_the_order_of_their_requests() -> None:
    """While a handler is at work, and when several come at once, nothing overtakes."""
    site = Site()
    async with line(site) as one:
        await one.send(PAGE)
        site.gate = asyncio.Event()
        assert await one.send(head("/other"), PAGE) == b""
        site.gate.set()
        answer = await one.send()
        assert answer.index(b"other\n") < answer.index(BODY)
        site.gate = None
        answer = await one.send(PAGE + head("/other") + PAGE)
        assert [answer.count(each) for each in (BODY, b"other\n")] == [2, 1]


async def test_a_connection_that_is_to_end_answers_nothing_more() -> None:
    async with line() as one:
        await one.send(PAGE)
        one.protocol.close()
        assert await one.send(PAGE) == b""


async def test_the_table_is_bounded() -> None:
    site = Site()
    async with line(site) as one:
        site.use(Repeats(clock=site.clock, memory=20_000))
        for number in range(50):
            await one.send(head("/page", f"X: {number}"))
        assert 2 < len(site.repeats) < 12


async def test_a_table_that_has_been_replaced_answers_no_more() -> None:
    site = Site()
    async with line(site) as one:
        await one.send(PAGE)
        site.use(Repeats(clock=site.clock))
        await one.send(PAGE, PAGE)
        assert (len(site.handled), site.hits) == (2, 1)


# What comes in one turn of the event loop


async def test_what_comes_in_one_turn_is_answered_and_told_as_it_came() -> None:
    """On many connections: the same, others, and what goes the ordinary way; then they come one at a time, and together again."""
    site = Site()
    unchanged = head("/page", 'If-None-Match: "tag"')
    async with line(site) as first, line(site) as second, line(site) as third:
        for each in (PAGE, unchanged):
            await first.send(each)
        second.protocol.peer = "192.0.2.2"
        for _ in range(3):
            site.records.clear()
            for one, data in (
                (first, PAGE),
                (third, PAGE),
                (second, PAGE),
                (second, unchanged),
                (first, PAGE),
            ):
                one.protocol.data_received(data)
            third.protocol.data_received(head("/other"))
            await quiet()
            assert site.records == [
                *[("GET /page", 200, len(BODY), "192.0.2.1")] * 2,
                ("GET /page", 200, len(BODY), "192.0.2.2"),
                ("GET /page", 304, 0, "192.0.2.2"),
                ("GET /page", 200, len(BODY), "192.0.2.1"),
                ("GET /other", 200, 6, "192.0.2.1"),
            ]
            for _ in range(2 * ALONE):
                assert (await first.send(PAGE)).endswith(BODY)
        assert first.wire.written.count(BODY) == second.wire.written.count(BODY) * 2 + 48 + 1
        assert third.wire.written.count(b"other\n") == third.wire.written.count(BODY) == 3


async def test_what_holds_no_longer_goes_the_ordinary_way_for_all_who_ask_in_that_turn() -> None:
    site = Site()
    async with line(site) as one, line(site) as other:
        await one.send(PAGE)
        change_what_it_was_read_from(site)
        for each in (one, other):
            each.protocol.data_received(PAGE)
        await quiet()
        assert (len(site.handled), one.wire.written.count(BODY), other.wire.written.count(BODY)) == (3, 2, 1)


async def test_a_client_that_closes_its_side_in_the_turn_of_its_request_is_answered() -> None:
    async with line() as one:
        await one.send(PAGE)
        for request, answer in ((PAGE, BODY), (head("/other"), b"other\n")):
            before = len(one.wire.written)
            one.protocol.data_received(request)
            stays = one.protocol.eof_received()
            assert stays or one.wire.written[before:].endswith(answer)
            await quiet()
            assert one.wire.written[before:].endswith(answer)


async def test_a_client_that_has_just_said_something_is_not_idle() -> None:
    async with line() as one:
        await one.send(PAGE)
        one.protocol._next_keepalive_close_time = 0.0
        one.protocol.data_received(PAGE)
        one.protocol._process_keepalive()
        await quiet()
        assert one.wire.written.count(BODY) == 2
        assert not one.wire.closed


async def test_a_client_that_leaves_in_the_turn_of_its_request_leaves_nothing_behind() -> None:
    site = Site()
    async with line(site) as one, line(site) as other:
        await one.send(PAGE)
        for part in (PAGE, PAGE[:9]):
            gone = Line(site)
            await quiet()
            gone.protocol.data_received(part)
            gone.end()
            other.protocol.data_received(PAGE)
            await quiet()
            assert gone.protocol._deadline is None
            assert gone.wire.written == b""
        assert other.wire.written.count(BODY) == 2


async def test_what_befalls_one_of_them_is_not_the_others_affair(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    said: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: said.append(str(context["exception"]))
    )
    async with line(site) as one, line(site) as broken, line(site) as other:
        await one.send(PAGE)

        def fail(data: object) -> None:
            raise RuntimeError("a wire that is cut")

        monkeypatch.setattr(broken.wire, "writelines", fail)
        for each in (one, broken, other):
            each.protocol.data_received(PAGE)
        await quiet()
        assert said == ["a wire that is cut"]
        assert broken.wire.closed
        assert (one.wire.written.count(BODY), other.wire.written.count(BODY)) == (2, 1)
        assert len(site.records) == 3


MESSAGES = [
    PAGE,
    PAGE,
    head("/page", 'If-None-Match: "tag"'),
    head("/page", method="HEAD"),
    head("/other"),
    head("/other", "Content-Length: 4", method="POST") + b"\r\n\r\n",
    head("/other", f"Content-Length: {len(PAGE)}", method="POST") + PAGE,
    head("/other", "Transfer-Encoding: chunked", method="POST") + b"3\r\nabc\r\n0\r\n\r\n",
    b"\r\n" + PAGE,
    head("/page", "Connection: close"),
    b"nonsense\r\n\r\n",
]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    messages=st.lists(st.sampled_from(MESSAGES), max_size=6),
    cuts=st.lists(st.integers(0, 900), max_size=6),
    at_once=st.booleans(),
)
@example(messages=[PAGE] * 6, cuts=[len(PAGE) * n for n in range(1, 6)], at_once=False)
@example(messages=[PAGE] * 6, cuts=[len(PAGE) * n for n in range(1, 6)], at_once=True)
@example(messages=[PAGE] * 40 + [head("/other")] * 3, cuts=[len(PAGE) * 33, len(PAGE) * 40], at_once=False)
def test_however_requests_come_the_answers_are_the_same(
    messages: list[bytes], cuts: list[int], *, at_once: bool
) -> None:
    """Any messages, cut anywhere, read in one turn of the loop or in several: with the shortcut and without, the client reads the same."""
    stream = PAGE + b"".join(messages)
    edges = sorted({0, len(PAGE), *(len(PAGE) + cut for cut in cuts if len(PAGE) + cut < len(stream))})
    pieces = [stream[a:b] for a, b in zip(edges, [*edges[1:], len(stream)], strict=True)]

    async def answers(*, shortcut: bool) -> bytes:
        site = Site(shortcut=shortcut)
        async with line(site) as one:
            return undated(await one.send(*filter(None, pieces), at_once=at_once))

    assert asyncio.run(answers(shortcut=True)) == asyncio.run(answers(shortcut=False))


# Over real sockets


@asynccontextmanager
async def listening(
    site: Site, *, shutdown_timeout: float = 5.0
) -> AsyncIterator[tuple[web.ServerRunner, int]]:
    runner = web.ServerRunner(site.server, shutdown_timeout=shutdown_timeout)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield runner, runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int) -> bytes:
    """Ask for the page, and read its head and so many bytes."""
    writer.write(PAGE)
    return await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(size)


@pytest.mark.parametrize(
    ("size", "sheet"), [(LEAST - 1, False), (LEAST, True), (LARGEST, True), (LARGEST + 1, False)]
)
def test_an_answer_that_is_wanted_often_is_put_on_the_connection_by_the_kernel(
    run: Run, size: int, sheet: bool
) -> None:
    """The same bytes, with the Date of the moment, for a client that has no room, too; its descriptor isn't left open."""

    async def check() -> None:
        site = Site(body=random.Random(size).randbytes(size))
        async with listening(site) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            first = await exchange(reader, writer, size)
            for _ in range(OFTEN + 1):
                assert undated(await exchange(reader, writer, size)) == undated(first)
            site.server.ledger.settle()  # told, before it is later
            site.clock.advance(1)
            later = await exchange(reader, writer, size)
            prepared = site.repeats.find(PAGE)
            found = prepared is not None and prepared.sheet is not None
            del prepared  # what an assertion looks at lives as long as its frame
            assert found == sheet
            assert not sheet or b"Date: Tue, 14 Nov 2023 22:13:21 GMT" in later
            assert b"Age: 11" in later
            assert later.endswith(site.body)
            loop = asyncio.get_running_loop()
            with socket.socket() as slow:
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
                slow.setblocking(False)
                await loop.sock_connect(slow, ("127.0.0.1", port))
                for _ in range(20):  # more than its connection has room for
                    await loop.sock_sendall(slow, PAGE)
                    await exchange(reader, writer, size)
                arrived = b""
                while arrived.count(site.body) < 20 and (more := await loop.sock_recv(slow, 1 << 20)):
                    arrived += more
            assert (arrived.count(site.body), arrived.count(b"HTTP/1.1 200 ")) == (20, 20)
            sheets = site.repeats._sheets
            assert sheets.count == sheet
            site.repeats.drop(PAGE)
            assert sheets.count == 0
            writer.close()

    run(check())


@pytest.mark.parametrize("size", [0, 100, COPIED, COPIED + 1, 5_000_000])
def test_bodies_of_any_size_arrive(run: Run, size: int) -> None:
    async def check() -> None:
        site = Site(body=bytes(size))
        async with listening(site) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            answers = [undated(await exchange(reader, writer, size)) for _ in range(4)]
            assert len(set(answers)) == 1
            uvloop = type(asyncio.get_running_loop()).__module__.startswith("uvloop")
            assert site.hits == (3 if uvloop or size <= COPIED else 0)
            writer.close()

    run(check())


def test_an_idle_connection_ends_so_long_after_its_last_answer(run: Run) -> None:
    async def check() -> None:
        site = Site()
        site.server.limit(Limits(keepalive_timeout=1.2))
        loop = asyncio.get_running_loop()
        async with listening(site) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            began = loop.time()
            await exchange(reader, writer, len(BODY))
            while loop.time() < began + 1.4:
                await asyncio.wait([loop.create_task(asyncio.sleep(0.4))])
                await exchange(reader, writer, len(BODY))
            last = loop.time()
            assert await reader.read() == b""
            assert loop.time() - last > 0.9
            assert len(site.handled) == 1
            writer.close()

    run(check())


SLOW = 8_000_000


def test_a_client_that_takes_next_to_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Shortcut, "pace", Pace(least=1e6, period=0.3))

    async def check() -> None:
        site = Site(body=bytes(SLOW))
        async with listening(site) as (_, port):
            connection = await ask_and_take_nothing(site, port)
            reader, writer = await asyncio.open_connection(sock=connection)
            await asyncio.sleep(0.7)  # it takes nothing for two periods
            with contextlib.suppress(ConnectionError):
                assert len(await reader.read(-1)) < SLOW
            assert not site.server.connections
            writer.close()

    run_on_uvloop(check())


def test_a_server_that_ends_tells_what_it_has_noted(run: Run) -> None:
    async def check() -> None:
        site = Site()
        async with listening(site) as (runner, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(2):
                writer.write(PAGE)
                assert await reader.readuntil(BODY)
            assert len(site._records) == 1
            await runner.cleanup()
            assert len(site._records) == 2
            writer.close()

    run(check())


def test_a_shutdown_waits_for_a_client_that_is_slow() -> None:
    async def check() -> None:
        site = Site(body=bytes(SLOW))
        async with listening(site) as (runner, port):
            connection = await ask_and_take_nothing(site, port)
            ending = asyncio.create_task(runner.cleanup())
            await quiet()
            assert not ending.done()
            reader, writer = await asyncio.open_connection(sock=connection)
            data = await reader.read(-1)
            assert len(data.partition(b"\r\n\r\n")[2]) == SLOW
            await ending
            writer.close()

    run_on_uvloop(check())


def test_a_shutdown_waits_no_longer_than_it_may() -> None:
    async def check() -> None:
        site = Site(body=bytes(SLOW))
        loop = asyncio.get_running_loop()
        async with listening(site, shutdown_timeout=0.3) as (runner, port):
            connection = await ask_and_take_nothing(site, port)
            began = loop.time()
            await runner.cleanup()
            assert loop.time() - began < 3
            connection.close()

    run_on_uvloop(check())


async def ask_and_take_nothing(site: Site, port: int) -> socket.socket:
    """Have the page in the table, and a connection that was handed it and hasn't read a byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await exchange(reader, writer, SLOW)
    await exchange(reader, writer, SLOW)
    assert site.hits == 1
    site.hit.clear()
    writer.close()
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, ("127.0.0.1", port))
    await loop.sock_sendall(connection, PAGE)
    await site.hit.wait()
    return connection


def run_on_uvloop(work: Coroutine[object, object, None]) -> None:
    import uvloop  # noqa: PLC0415 - the only loop whose transports keep references

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def test_the_server_takes_the_shortcut() -> None:
    assert issubclass(Protocol, Shortcut)
