"""Files from one mirror: what each kind of answer comes to, and where a copy is looked for."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from pypicache.errors import FileNotFound, UpstreamError, UpstreamGarbled, UpstreamRefused, UpstreamTimeout
from pypicache.upstream.files import LATER, SHARES, SLOW_FOR, FileBody
from pypicache.upstream.source import Body, NoneIdle, Share
from pypicache.upstream.wire import LIMITS
from tests.clock import ManualClock
from tests.origin import Drip, Origin
from tests.origin_pages import default_path
from tests.upstream.making import JSON, SHA, WHEEL, both_ways, drain, file, only_copy, open_client, page
from tests.upstream.raw import Answer, RawServer, reply
from tests.wheels import Artifact, artifact, wheel

__all__ = ["both_ways"]

TARGET = f"/files/{WHEEL}"
PAGE = "/simple/demo/"


async def test_whole_file_comes_as_it_was_sent(server: RawServer) -> None:
    server.on(TARGET, reply(b"12345", etag='"e"'))
    async with open_client(server.simple) as client:
        body = await only_copy(client, file(server.url + TARGET)).open()
        facts = (
            body.origin,
            body.status,
            body.start,
            body.total,
            body.etag,
            body.content_encoding,
            body.content_length,
        )
        assert facts == ("mirror", 200, 0, 5, '"e"', None, 5)
        assert await drain(body) == b"12345"
    assert server.asked[0].headers["accept-encoding"] == "identity"
    assert "range" not in server.asked[0].headers


RANGES = [
    (2, None, "bytes=2-", "bytes 2-4/5", b"345", 5),
    (0, 2, "bytes=0-1", "bytes 0-1/5", b"12", 5),
    (2, 4, "bytes=2-3", "bytes 2-3/*", b"34", None),
]


@pytest.mark.parametrize(("start", "stop", "asked", "answered", "content", "total"), RANGES)
async def test_part_of_a_file(
    server: RawServer,
    start: int,
    stop: int | None,
    asked: str,
    answered: str,
    content: bytes,
    total: int | None,
) -> None:
    server.on(TARGET, reply(content, 206, content_range=answered, etag='W/"weak"'))
    async with open_client(server.simple) as client:
        body = await only_copy(client, file(server.url + TARGET)).open(start, stop, if_range='"e"')
        assert (body.status, body.start, body.total, body.etag) == (206, start, total, None)
        assert (body.content_range, body.content_length) == (answered, len(content))
        assert await drain(body) == content
    assert server.asked[0].headers["range"] == asked
    assert server.asked[0].headers["if-range"] == '"e"'


async def test_range_that_is_ignored_gives_the_whole_file(server: RawServer) -> None:
    server.on(TARGET, reply(b"12345"))
    async with open_client(server.simple) as client:
        body = await only_copy(client, file(server.url + TARGET)).open(3)
        assert (body.status, body.start, body.total) == (200, 0, 5)
        assert await drain(body) == b"12345"


async def test_416_to_a_range_is_told_with_the_size_and_has_no_bytes(server: RawServer) -> None:
    server.on(TARGET, reply(b"no such range", 416, content_range="bytes */4"))
    async with open_client(server.simple) as client:
        body = await only_copy(client, file(server.url + TARGET)).open(9)
        assert (body.status, body.total, body.content_range) == (416, 4, "bytes */4")
        assert await drain(body) == b""


REFUSED: list[tuple[int, Answer, type[Exception], str]] = [
    (0, reply(status=404), FileNotFound, "404"),
    (0, reply(status=410), FileNotFound, "410"),
    (0, reply(status=403), UpstreamRefused, "403 Forbidden"),
    (0, reply(status=500), UpstreamRefused, "500 Internal Server Error"),
    (0, reply(status=416), UpstreamRefused, "416"),
    (0, reply(b"12", 206, content_range="bytes 0-1/5"), UpstreamGarbled, "usable range"),
    (3, reply(b"45", 206), UpstreamGarbled, "usable range"),
    (3, reply(b"45", 206, content_range="bytes 4-3/5"), UpstreamGarbled, "usable range"),
    (3, reply(b"45", 206, content_range="bytes 3-4/5", length=7), UpstreamGarbled, "disagree"),
    (3, reply(b"--x", 206, content_type="multipart/byteranges; boundary=x"), UpstreamGarbled, "usable range"),
    (
        0,
        Answer(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345"),
        UpstreamGarbled,
        "not an HTTP",
    ),
]


@pytest.mark.parametrize(("start", "answer", "kind", "message"), REFUSED)
async def test_answer_that_is_no_file_is_an_error(
    server: RawServer, start: int, answer: Answer, kind: type[Exception], message: str
) -> None:
    server.on(TARGET, answer)
    async with open_client(server.simple) as client:
        with pytest.raises(kind, match=message):
            await only_copy(client, file(server.url + TARGET)).open(start)


def _chunked(data: bytes) -> bytes:
    return (
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-4/5\r\nTransfer-Encoding: chunked\r\n\r\n"
        + data
    )


BROKEN: dict[str, tuple[int, Answer, type[UpstreamError], str]] = {
    "cut short": (0, reply(b"123", length=5, then="close"), UpstreamRefused, "ended early"),
    "reset": (0, reply(b"123", length=5, then="reset"), UpstreamRefused, "ended early"),
    "silent": (0, reply(b"123", length=5, then="hang"), UpstreamTimeout, "silent for 0.2 s"),
    "chunks that stop": (3, Answer(_chunked(b"1\r\n4\r\n"), "close"), UpstreamRefused, "ended early"),
    "less than its range": (3, Answer(_chunked(b"1\r\n4\r\n0\r\n\r\n")), UpstreamRefused, "ended early"),
    "more than its range": (
        3,
        Answer(_chunked(b"3\r\n456\r\n0\r\n\r\n")),
        UpstreamGarbled,
        "more than the 2 bytes",
    ),
    "no chunk": (3, Answer(_chunked(b"1\r\n4\r\nzz\r\n")), UpstreamError, ""),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_body_that_breaks_off_is_an_error_after_its_bytes(server: RawServer, case: str) -> None:
    start, answer, kind, message = BROKEN[case]
    server.on(TARGET, answer)
    async with open_client(server.simple, read_timeout=0.2) as client:
        copy = only_copy(client, file(server.url + TARGET))
        with pytest.raises(kind) as caught:
            await drain(await copy.open(start))
    assert message in str(caught.value)


async def test_body_longer_than_its_length_ends_there_and_the_rest_is_nobodys_answer(
    server: RawServer,
) -> None:
    """What follows Content-Length isn't taken for the answer to the next request."""
    smuggled = reply(b"evil!").data
    server.on(TARGET, Answer(reply(b"12345").data + smuggled), reply(b"next!"))
    async with open_client(server.simple) as client:
        copy = only_copy(client, file(server.url + TARGET))
        assert await drain(await copy.open()) == b"12345"
        assert await drain(await copy.open()) == b"next!"


async def test_coding_nobody_asked_for_is_told_and_the_bytes_stay(server: RawServer) -> None:
    server.on(TARGET, reply(b"\x1f\x8b...", content_encoding="gzip"))
    async with open_client(server.simple) as client:
        body = await only_copy(client, file(server.url + TARGET)).open()
        assert body.content_encoding == "gzip"
        assert await drain(body) == b"\x1f\x8b..."


async def test_body_without_a_length_has_no_total(server: RawServer) -> None:
    server.on(TARGET, Answer(b"HTTP/1.1 200 OK\r\n\r\n12345", "close"))
    async with open_client(server.simple) as client:
        body = await only_copy(client, file(server.url + TARGET)).open()
        assert body.total is None
        assert await drain(body) == b"12345"


async def test_crawl_is_a_timeout(server: RawServer) -> None:
    """A byte now and then isn't silence; time spent waiting for the network counts, and nothing else."""
    clock = ManualClock()
    server.on(TARGET, reply(b"12345"))

    def ticking() -> float:
        clock.advance(SLOW_FOR)
        return clock.monotonic()

    async with open_client(server.simple) as client:
        body = await only_copy(client, file(server.url + TARGET)).open()
        assert isinstance(body, FileBody)
        body._monotonic = ticking
        with pytest.raises(UpstreamTimeout, match="slower than 1 kB/s"):
            await drain(body)


async def test_urls_are_fetched_exactly_as_the_page_wrote_them(server: RawServer) -> None:
    target = "/f/a%21b%2Bc~!$&'()*+,;=:@/%7e/demo%2e1.whl?X-Sig=a%2Fb+c&d=%20"
    server.on(target, reply(b"12345"))
    async with open_client(server.simple) as client:
        assert await drain(await only_copy(client, file(server.url + target)).open()) == b"12345"
    assert server.targets == [target]


async def test_only_what_cannot_be_sent_is_encoded(server: RawServer) -> None:
    server.on("/f/a%20b%C3%A4.whl", reply(b"12345"))
    async with open_client(server.simple) as client:
        assert await drain(await only_copy(client, file(server.url + "/f/a b\u00e4.whl")).open()) == b"12345"


@pytest.mark.parametrize(
    ("query", "target"), [("", f"{TARGET}.metadata"), ("?sig=1", f"{TARGET}.metadata?sig=1")]
)
async def test_sidecar_is_beside_the_file_and_keeps_the_query(
    server: RawServer, query: str, target: str
) -> None:
    server.on(target, reply(b"Name: demo"))
    async with open_client(server.simple) as client:
        copy = only_copy(client, file(server.url + TARGET + query), sidecar=True)
        assert await drain(await copy.open()) == b"Name: demo"


async def test_file_of_another_mirrors_page_is_looked_up_on_our_own(server: RawServer) -> None:
    """By name and digest; the page is asked for once."""
    server.on(PAGE, reply(page(url=f"/mine/{WHEEL}"), content_type=JSON))
    server.on(f"/mine/{WHEEL}", reply(b"12345"))
    async with open_client(server.simple) as client:
        for _ in range(2):
            copy = only_copy(client, file("http://elsewhere.example.org/x.whl"), origin="other")
            assert await drain(await copy.open()) == b"12345"
    assert server.targets == [PAGE, f"/mine/{WHEEL}", f"/mine/{WHEEL}"]


async def test_page_for_looking_up_is_asked_for_again_after_a_minute(server: RawServer) -> None:
    clock = ManualClock()
    server.on(PAGE, reply(page(), content_type=JSON, etag='"p"'), reply(status=304))
    server.on(TARGET, reply(b"12345"))
    async with open_client(server.simple, monotonic=clock.monotonic) as client:
        for _ in range(2):
            await drain(await only_copy(client, file("http://e.example.org/x"), origin="other").open())
            clock.advance(61)
    assert server.targets == [PAGE, TARGET, PAGE, TARGET]
    assert server.asked[2].headers["if-none-match"] == '"p"'


LOOKUPS: list[tuple[Answer, str | None, int | None, type[Exception]]] = [
    (reply(status=404), SHA, 5, FileNotFound),
    (
        reply(page(name="demo").replace(b"demo-1.0-py3", b"demo-2.0-py3"), content_type=JSON),
        SHA,
        5,
        FileNotFound,
    ),
    (reply(page(sha256="b" * 64), content_type=JSON), SHA, 5, UpstreamGarbled),
    (reply(page(sha256=None, size=6), content_type=JSON), SHA, 5, UpstreamGarbled),
    (reply(page(sha256=None, size=None), content_type=JSON), None, None, UpstreamGarbled),
    (reply(status=503), SHA, 5, UpstreamRefused),
]


@pytest.mark.parametrize(("answer", "sha256", "size", "kind"), LOOKUPS)
async def test_file_that_our_page_does_not_have_is_not_fetched(
    server: RawServer, answer: Answer, sha256: str | None, size: int | None, kind: type[Exception]
) -> None:
    server.on(PAGE, answer)
    async with open_client(server.simple) as client:
        wanted = file("http://e.example.org/x", sha256=sha256, size=size)
        with pytest.raises(kind):
            await only_copy(client, wanted, origin="other").open()
    assert server.targets == [PAGE]


@pytest.mark.parametrize(
    ("listed", "wanted"),
    [((None, 5), (SHA, 5)), ((None, None), (SHA, 5)), ((SHA, 7), (SHA, 5)), ((None, 5), (None, 5))],
)
async def test_sizes_decide_where_digests_cannot(
    server: RawServer, listed: tuple[str | None, int | None], wanted: tuple[str | None, int | None]
) -> None:
    server.on(PAGE, reply(page(sha256=listed[0], size=listed[1]), content_type=JSON))
    server.on(TARGET, reply(b"12345"))
    async with open_client(server.simple) as client:
        copy = only_copy(
            client, file("http://e.example.org/x", sha256=wanted[0], size=wanted[1]), origin="other"
        )
        assert await drain(await copy.open()) == b"12345"


async def test_many_files_wait_for_their_turn(server: RawServer) -> None:
    """Waiting for a turn is no silence of the mirror; a body that is left gives its turn on."""
    server.on(TARGET, reply(b"1", length=5, then="hang"))
    async with open_client(server.simple) as client:
        copy = only_copy(client, file(server.url + TARGET))
        asked: list[str] = []
        bodies = [await copy.open(asking=lambda: asked.append("a request")) for _ in range(LIMITS["files"])]
        waiting = asyncio.ensure_future(copy.open(asking=lambda: asked.append("a request")))
        await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done()
        assert asked == ["a request"] * LIMITS["files"]
        async with bodies.pop():
            pass
        bodies.append(await waiting)
        for body in bodies:
            async with body:
                pass
    assert server.used == LIMITS["files"] + 1


async def test_failed_openings_give_their_turn_back(server: RawServer) -> None:
    server.on(TARGET, reply(status=500))
    async with open_client(server.simple) as client:
        copy = only_copy(client, file(server.url + TARGET))
        for _ in range(LIMITS["files"] + 1):
            with pytest.raises(UpstreamRefused):
                await copy.open()


async def test_finished_body_gives_its_connection_back(server: RawServer) -> None:
    server.on(TARGET, reply(b"12345"))
    async with open_client(server.simple) as client:
        for _ in range(3):
            await drain(await only_copy(client, file(server.url + TARGET)).open())
    assert server.used == 1


async def test_a_connection_that_is_kept_is_not_late_while_nobody_asks(origin: Origin) -> None:
    """Although the end of a body came before it was wanted, the limit for silence doesn't run on in the pool."""
    # Whose end comes while reading pauses depends on the pieces that the kernel makes; of so many sizes, some's do.
    large = [wheel("large", f"{number}.0", size=530_000 + number * 20_000) for number in range(12)]
    slow = artifact("slow", "1.0", "slow-1.0.tar.gz", bytes(60))
    for item in (*large, slow):
        origin.add(item)
    origin.script(slow.filename, Drip(100), repeat=True)
    async with open_client(origin.simple, read_timeout=0.4) as client:

        async def opened(item: Artifact) -> Body:
            wanted = file(origin.url + default_path(item), sha256=item.sha256, size=len(item.data))
            return await only_copy(client, wanted).open()

        for _ in range(2):
            bodies = await asyncio.gather(*map(opened, large))
            await drain(await opened(slow))  # meanwhile all of it has come
            assert await asyncio.gather(*map(drain, bodies)) == [item.data for item in large]
            await drain(await opened(slow))  # and here nobody asks on those connections


PART = reply(b"12", 206, content_range="bytes 0-1/5")
SAYS_SO = reply(b"12345", accept_ranges="bytes")
WHOLE = reply(b"12345")


@pytest.mark.parametrize(
    ("answers", "idle"),
    [
        ([WHOLE], [0]),  # it may serve parts, or not
        ([SAYS_SO], [1]),
        ([reply(b"12345", accept_ranges="none")], [0]),
        ([SAYS_SO, WHOLE], [1, 1]),  # it needn't say so each time
    ],
)
async def test_idle_connections_count_where_the_mirror_is_known_to_serve_parts(
    server: RawServer, answers: list[Answer], idle: list[int]
) -> None:
    server.on(TARGET, *answers)
    async with open_client(server.simple) as client:
        copy = only_copy(client, file(server.url + TARGET))
        assert copy.idle == 0
        for expected in idle:
            await drain(await copy.open())
            assert copy.idle == expected
        assert only_copy(client, file(server.url + "/files/other")).idle == idle[-1]


async def test_a_share_goes_over_what_is_idle_or_not_at_all(server: RawServer) -> None:
    server.on(TARGET, SAYS_SO, reply(b"1", 206, length=2, then="hang", content_range="bytes 2-3/5"))
    async with open_client(server.simple) as client:
        copy = only_copy(client, file(server.url + TARGET))
        await drain(await copy.open())
        made = server.connections
        async with await copy.open(2, 4, share=Share.BESIDE):
            with pytest.raises(NoneIdle):
                await copy.open(2, 4, share=Share.BESIDE)
        assert server.connections == made


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_no_share_goes_through_a_proxy(server: RawServer, scheme: str) -> None:
    """What lies idle there isn't known."""
    through = server.url.replace("http", scheme, 1)
    async with open_client("http://e.example/simple/", proxy=through) as client:
        copy = only_copy(client, file(f"http://e.example{TARGET}"))
        with pytest.raises(NoneIdle):
            await copy.open(2, 4, share=Share.BESIDE)
    assert TARGET not in "".join(server.targets)


async def test_shares_are_so_many_at_a_time_and_no_more(server: RawServer) -> None:
    server.on(TARGET, SAYS_SO)
    async with open_client(server.simple) as client:
        copy = only_copy(client, file(server.url + TARGET))
        await drain(await copy.open())
        for _ in range(SHARES):
            assert copy.idle == 1
            client._parts.take()
        assert copy.idle == 0
        with pytest.raises(NoneIdle):
            await copy.open(2, 4, share=Share.BESIDE)
        client._parts.give_back()
        await drain(await copy.open(2, 4, share=Share.BESIDE))
        assert client._parts.left == 1


async def test_a_mirror_that_refused_a_part_is_asked_for_shares_again_later(server: RawServer) -> None:
    server.on(TARGET, SAYS_SO, reply(status=503), SAYS_SO, WHOLE, SAYS_SO)
    clock = ManualClock()
    async with open_client(server.simple, monotonic=clock.monotonic) as client:
        copy = only_copy(client, file(server.url + TARGET))
        await drain(await copy.open())
        with pytest.raises(UpstreamRefused):
            await copy.open(0, 2)
        clock.advance(LATER - 1)
        await drain(await copy.open())
        assert copy.idle == 0
        clock.advance(2)
        assert copy.idle == 1
        await drain(await copy.open(0, 2))  # sent whole
        clock.advance(100 * LATER)
        await drain(await copy.open())
        assert copy.idle == 0


async def test_a_connection_in_use_is_not_idle(server: RawServer) -> None:
    server.on(TARGET, SAYS_SO, reply(b"1", length=5, then="hang"))
    async with open_client(server.simple) as client:
        copy = only_copy(client, file(server.url + TARGET))
        await drain(await copy.open())
        async with await copy.open():
            assert copy.idle == 0


@pytest.mark.parametrize(
    ("answer", "if_range", "idle"),
    [
        (PART, None, 1),
        (WHOLE, None, 0),  # asked for a part, and sent all of it
        (WHOLE, '"e"', 1),  # it says that the file is another one
        (reply(status=503), None, 0),  # too many at a time
        (reply(status=404), None, 1),  # that file isn't there
    ],
)
async def test_a_part_that_is_not_to_be_had_says_that_there_are_none(
    server: RawServer, answer: Answer, if_range: str | None, idle: int
) -> None:
    server.on(TARGET, SAYS_SO, answer, SAYS_SO)
    async with open_client(server.simple) as client:
        copy = only_copy(client, file(server.url + TARGET))
        await drain(await copy.open())
        with suppress(UpstreamError, FileNotFound):
            await drain(await copy.open(0, 2, if_range=if_range))
        await drain(await copy.open())
        assert copy.idle == idle
