"""Pages from one mirror: what each kind of answer comes to."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import random
import time
import zlib
from email.utils import formatdate
from ipaddress import ip_network
from typing import Any

import pytest

from pypicache import __version__
from pypicache.errors import (
    ProjectNotFound,
    UpstreamError,
    UpstreamGarbled,
    UpstreamRefused,
    UpstreamTimeout,
)
from pypicache.offload import Offload
from pypicache.simple.model import load
from pypicache.upstream.client import Client
from pypicache.upstream.source import Listing, NotModified, Validators
from pypicache.upstream.wire import Wire
from tests.origin import Origin, Rate
from tests.upstream.making import DEMO, JSON, WHEEL, both_ways, open_client, page
from tests.upstream.raw import Answer, RawServer, reply
from tests.wheels import wheel

__all__ = ["both_ways"]

TARGET = "/simple/demo/"


async def test_page_comes_parsed_with_absolute_links_and_its_validators(server: RawServer) -> None:
    server.on(
        TARGET,
        reply(
            page(), content_type=JSON, etag='"one"', last_modified="Tue, 01 Jul 2025 00:00:00 GMT", age="30"
        ),
    )
    async with open_client(server.simple) as client:
        listing = await client.project(DEMO)
    assert isinstance(listing, Listing)
    (found,) = load(listing.page).files
    assert (found.filename, found.url) == (WHEEL, f"{server.url}/files/{WHEEL}")
    assert listing.validators.origin == "mirror"
    assert listing.validators.etag == '"one"'
    assert listing.validators.last_modified == "Tue, 01 Jul 2025 00:00:00 GMT"
    assert listing.age == 30


async def test_request_carries_our_own_small_set_of_headers(server: RawServer) -> None:
    server.on(TARGET, reply(page(), content_type=JSON))
    async with open_client(server.simple, via="cache-1") as client:
        await client.project(DEMO)
    sent = dict(server.asked[0].headers)
    assert sent.pop("accept").startswith(JSON)
    assert sent == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": f"pypicache/{__version__}",
        "accept-encoding": "gzip",
        "via": "1.1 cache-1",
    }


async def test_gzipped_page_is_the_same_page(server: RawServer) -> None:
    plain = reply(page(), content_type=JSON)
    server.on(TARGET, plain, reply(gzip.compress(page()), content_type=JSON, content_encoding="GZIP"))
    async with open_client(server.simple) as client:
        first, second = await client.project(DEMO), await client.project(DEMO)
    assert first == second


REFUSALS = [
    (reply(status=401), 401, None, "401 Unauthorized"),
    (reply(status=403), 403, None, "403 Forbidden"),
    (reply(status=429, retry_after="7"), 429, 7.0, "429 Too Many Requests"),
    (reply(status=500), 500, None, "500 Internal Server Error"),
    (reply(status=502), 502, None, "502 Bad Gateway"),
    (reply(status=503, retry_after="999999999"), 503, 60.0, "503 Service Unavailable"),
    (reply(status=503, retry_after=formatdate(1_000_030, usegmt=True)), 503, 30.0, "503 Service Unavailable"),
    (reply(status=204), 204, None, "204 No Content"),
    (reply(page(), status=206, content_type=JSON), 206, None, "206 Partial Content"),
    (reply(page(), status=300, content_type=JSON), 300, None, "300 Multiple Choices"),
    (reply(page(), status=599, content_type=JSON), 599, None, "599 Odd"),
]


@pytest.mark.parametrize(("answer", "status", "wait", "message"), REFUSALS)
async def test_status_that_is_no_answer_is_refused(
    server: RawServer, answer: Answer, status: int, wait: float | None, message: str
) -> None:
    server.on(TARGET, answer)
    async with open_client(server.simple, wall_clock=lambda: 1_000_000.0) as client:
        with pytest.raises(UpstreamRefused) as caught:
            await client.project(DEMO)
    assert (caught.value.http_status, caught.value.retry_after) == (status, wait)
    assert str(caught.value) == f"mirror: {message}"


@pytest.mark.parametrize("status", [404, 410])
async def test_only_404_and_410_are_absence(server: RawServer, status: int) -> None:
    server.on(TARGET, reply("gone", status=status))
    async with open_client(server.simple) as client:
        with pytest.raises(ProjectNotFound):
            await client.project(DEMO)


def _head(*lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", f"Content-Type: {JSON}", *lines, "", ""]).encode()


ZIPPED = gzip.compress(page())
MISFITS: dict[str, tuple[Answer, type[UpstreamError], str]] = {
    "closed at once": (Answer(b"", "close"), UpstreamRefused, "without an answer"),
    "reset at once": (Answer(b"", "reset"), UpstreamRefused, "connection reset by peer"),
    "closed in the head": (
        Answer(b"HTTP/1.1 200 OK\r\nContent-", "close"),
        UpstreamRefused,
        "without an answer",
    ),
    "not HTTP": (Answer(b"220 smtp.example.org ESMTP\r\n", "close"), UpstreamGarbled, "not an HTTP answer"),
    "a header of 100 kB": (
        Answer(_head("X: " + "x" * 100_000), "close"),
        UpstreamGarbled,
        "not an HTTP answer",
    ),
    "500 headers": (
        Answer(_head(*(f"X-{n}: y" for n in range(500))), "close"),
        UpstreamGarbled,
        "not an HTTP answer",
    ),
    "control characters in a header": (
        Answer(_head("X: a\x00b"), "close"),
        UpstreamGarbled,
        "not an HTTP answer",
    ),
    "two lengths": (
        Answer(_head("Content-Length: 5", "Content-Length: 6") + b"12345"),
        UpstreamGarbled,
        "not an HTTP answer",
    ),
    "a negative length": (
        Answer(_head("Content-Length: -5") + b"12345"),
        UpstreamGarbled,
        "not an HTTP answer",
    ),
    "a reason of 3 MB": (
        Answer(b"HTTP/1.1 200 " + b"x" * 3_000_000 + b"\r\n\r\n", "close"),
        UpstreamGarbled,
        "not an HTTP answer",
    ),
    "cut short": (
        reply(page(), length=10_000, then="close", content_type=JSON),
        UpstreamRefused,
        "ended early",
    ),
    "reset in the body": (
        reply(page(), length=10_000, then="reset", content_type=JSON),
        UpstreamRefused,
        "ended early",
    ),
    "a chunk cut short": (
        Answer(_head("Transfer-Encoding: chunked") + b"ff\r\nabc", "close"),
        UpstreamRefused,
        "ended early",
    ),
    "a chunk without a size": (
        Answer(_head("Transfer-Encoding: chunked") + b"zz\r\nabc"),
        UpstreamGarbled,
        "not an HTTP answer",
    ),
    "larger than any page": (
        reply(b"", length=65 << 20, then="close", content_type=JSON),
        UpstreamGarbled,
        "over 64 MiB",
    ),
    "an upgrade": (
        Answer(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        UpstreamRefused,
        "101",
    ),
    "a coding nobody asked for": (
        reply(page(), content_type=JSON, content_encoding="br"),
        UpstreamGarbled,
        "Content-Encoding br",
    ),
    "gzip that isn't": (
        reply(page(), content_type=JSON, content_encoding="gzip"),
        UpstreamGarbled,
        "not gzip",
    ),
    "gzip cut short": (
        reply(ZIPPED[:-9], content_type=JSON, content_encoding="gzip"),
        UpstreamGarbled,
        "ends early",
    ),
    "empty gzip": (reply(b"", content_type=JSON, content_encoding="gzip"), UpstreamGarbled, "ends early"),
    "a bomb": (
        reply(gzip.compress(bytes(40 << 20)), content_type=JSON, content_encoding="gzip"),
        UpstreamGarbled,
        "beyond all measure",
    ),
    "deflate": (
        reply(zlib.compress(page()), content_type=JSON, content_encoding="deflate"),
        UpstreamGarbled,
        "deflate",
    ),
    "a login page": (
        reply("<html><form action=/login><input name=user></form></html>", content_type="text/html"),
        UpstreamGarbled,
        "not an index page",
    ),
    "an empty body": (reply(b"", content_type=JSON), UpstreamGarbled, "not an index page"),
    "another project's page": (
        reply(page(name="other"), content_type=JSON),
        UpstreamGarbled,
        "not an index page",
    ),
    "a picture": (reply(b"\x89PNG\r\n", content_type="image/png"), UpstreamGarbled, "not an index page"),
    "broken UTF-8": (reply(b'{"name": "\xff"}', content_type=JSON), UpstreamGarbled, "not an index page"),
    "deep JSON": (reply(b"[" * 200_000, content_type=JSON), UpstreamGarbled, "not an index page"),
    "304 unasked": (reply(status=304, etag='"x"'), UpstreamGarbled, "unconditional"),
    "a redirect to nowhere": (reply(status=302), UpstreamRefused, "without a Location"),
    "a redirect to itself": (reply(status=301, location=TARGET), UpstreamRefused, "more than 5 redirects"),
    "a redirect to a file": (
        reply(status=301, location="file:///etc/passwd"),
        UpstreamRefused,
        "scheme 'file'",
    ),
    "a redirect with a password": (
        reply(status=301, location="http://a:b@example.org/"),
        UpstreamRefused,
        "user name",
    ),
    "a redirect to no host": (reply(status=301, location="http://"), UpstreamRefused, "plain host"),
}


@pytest.mark.parametrize("case", MISFITS)
async def test_what_is_not_a_page_is_an_error_with_its_cause(server: RawServer, case: str) -> None:
    answer, kind, message = MISFITS[case]
    server.on(TARGET, answer)
    async with open_client(server.simple) as client:
        with pytest.raises(kind) as caught:
            await client.project(DEMO)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 250
    assert str(caught.value).isprintable()


SILENCES: dict[str, tuple[Answer, str]] = {
    "no answer": (Answer(b"", "hang"), "no answer within 0.1 s"),
    "half a head": (Answer(b"HTTP/1.1 200 OK\r\n", "hang"), "no answer within 0.1 s"),
    "half a body": (reply(page(), length=10_000, then="hang", content_type=JSON), "silent"),
    "informational answers for ever": (
        Answer(b"HTTP/1.1 103 Early Hints\r\n\r\n", "repeat"),
        "no answer within 2.1 s",
    ),
}


@pytest.mark.parametrize("case", SILENCES)
async def test_silence_is_a_timeout(server: RawServer, case: str) -> None:
    answer, message = SILENCES[case]
    server.on(TARGET, answer)
    async with open_client(server.simple, connect_timeout=1.0, read_timeout=0.1) as client:
        with pytest.raises(UpstreamTimeout) as caught:
            await client.project(DEMO)
    assert message in str(caught.value)


async def test_page_has_a_budget_whatever_arrives(server: RawServer) -> None:
    """A body that keeps coming is no silence, yet the page's budget ends it."""
    head = _head("Transfer-Encoding: chunked")
    server.on(TARGET, Answer(head + b"1\r\nx\r\n", "hang"))
    async with open_client(server.simple, page_budget=0.1) as client:
        with pytest.raises(UpstreamTimeout, match=r"no page within 0\.1 s"):
            await client.project(DEMO)


async def test_a_page_tells_when_it_began_to_come(origin: Origin) -> None:
    """How long the rest of it takes is a matter of its size, and no measure of the mirror."""
    origin.add(wheel("demo", "1.0"))
    origin.script("demo/", Rate(2000))
    began = time.monotonic()
    async with open_client(origin.simple) as client:
        found = await client.project(DEMO)
    assert found.first_byte is not None
    assert 0 < found.first_byte < (time.monotonic() - began) / 2


@pytest.mark.parametrize("etag", ['"one"', 'W/"one"', "unquoted"])
async def test_304_means_that_the_page_is_as_known(server: RawServer, etag: str) -> None:
    server.on(TARGET, reply(page(), content_type=JSON, etag=etag), reply(status=304, etag=etag))
    async with open_client(server.simple) as client:
        first = await client.project(DEMO)
        second = await client.project(DEMO, first.validators)
    assert server.asked[1].headers["if-none-match"] == etag
    assert second == NotModified(first.validators)


async def test_last_modified_alone_is_enough_to_ask_by(server: RawServer) -> None:
    date = "Tue, 01 Jul 2025 00:00:00 GMT"
    server.on(TARGET, reply(page(), content_type=JSON, last_modified=date), reply(status=304))
    async with open_client(server.simple) as client:
        first = await client.project(DEMO)
        second = await client.project(DEMO, first.validators)
    assert server.asked[1].headers["if-modified-since"] == date
    assert second == NotModified(first.validators)


async def test_body_that_is_known_means_unchanged_where_there_are_no_validators(server: RawServer) -> None:
    server.on(
        TARGET,
        reply(page(), content_type=JSON),
        reply(gzip.compress(page()), content_type=JSON, content_encoding="gzip"),
    )
    async with open_client(server.simple) as client:
        first = await client.project(DEMO)
        second = await client.project(DEMO, first.validators)
    assert isinstance(second, NotModified)
    assert second.validators == first.validators


async def test_304_to_a_question_without_conditions_is_no_answer(server: RawServer) -> None:
    """A body's digest alone can't be asked by."""
    server.on(TARGET, reply(status=304))
    async with open_client(server.simple) as client:
        with pytest.raises(UpstreamGarbled, match="unconditional"):
            await client.project(DEMO, Validators("mirror", body_digest="0" * 64))


async def test_304_with_another_etag_is_asked_again_without_conditions(server: RawServer) -> None:
    server.on(TARGET, reply(status=304, etag='"two"'), reply(page(), content_type=JSON, etag='"two"'))
    async with open_client(server.simple) as client:
        answer = await client.project(DEMO, Validators("mirror", etag='"one"', body_digest="0" * 64))
    assert isinstance(answer, Listing)
    assert "if-none-match" not in server.asked[1].headers


async def test_another_mirrors_validators_are_not_used(server: RawServer) -> None:
    server.on(TARGET, reply(page(), content_type=JSON))
    async with open_client(server.simple) as client:
        digest = (await client.project(DEMO)).validators.body_digest
        answer = await client.project(DEMO, Validators("other", etag='"one"', body_digest=digest))
    assert "if-none-match" not in server.asked[1].headers
    assert isinstance(answer, Listing)


async def test_redirect_is_followed_and_links_are_relative_to_where_it_leads(server: RawServer) -> None:
    server.on(TARGET, reply(status=308, location="/elsewhere/%64emo/"))
    server.on("/elsewhere/%64emo/", reply(page(url=WHEEL), content_type=JSON))
    async with open_client(server.simple) as client:
        listing = await client.project(DEMO)
    assert isinstance(listing, Listing)
    assert load(listing.page).files[0].url == f"{server.url}/elsewhere/%64emo/{WHEEL}"
    assert server.targets == [TARGET, "/elsewhere/%64emo/"]


async def test_same_bytes_from_another_place_are_not_the_known_page(server: RawServer) -> None:
    """Relative links mean something else there."""
    server.on(TARGET, reply(page(), content_type=JSON), reply(status=302, location="/other/demo/"))
    server.on("/other/demo/", reply(page(), content_type=JSON))
    async with open_client(server.simple) as client:
        first = await client.project(DEMO)
        second = await client.project(DEMO, first.validators)
        third = await client.project(DEMO, second.validators)
    assert isinstance(second, Listing)
    assert isinstance(third, NotModified)


async def test_connection_that_breaks_before_its_answer_is_tried_once_more(server: RawServer) -> None:
    server.on(TARGET, Answer(b"", "reset"), reply(page(), content_type=JSON))
    async with open_client(server.simple) as client:
        assert isinstance(await client.project(DEMO), Listing)
    assert server.used == 2


async def test_kept_connection_that_the_server_closed_costs_nothing(server: RawServer) -> None:
    page_then_close = Answer(reply(page(), content_type=JSON).data, "close")
    server.on(TARGET, page_then_close)
    async with open_client(server.simple) as client:
        for _ in range(3):
            assert isinstance(await client.project(DEMO), Listing)


async def test_connection_refused_says_so() -> None:
    async with RawServer() as server:
        url = server.simple
    async with open_client(url) as client:
        with pytest.raises(UpstreamRefused, match=r"^mirror: connection refused$"):
            await client.project(DEMO)


@pytest.mark.parametrize(
    "host", ["nowhere.invalid", "a" * 70 + ".invalid", "xn--\u00e4.invalid", "a..invalid"]
)
async def test_name_that_cannot_be_resolved_is_refused(host: str) -> None:
    async with open_client(f"http://{host}/simple/") as client:
        with pytest.raises(UpstreamRefused):
            await client.project(DEMO)


BASIC = "Basic " + base64.b64encode(b"me:hunter2").decode()
SECRETS: list[dict[str, Any]] = [
    {"username": "me", "password": "hunter2"},
    {"token": "hunter2"},
    {"headers": {"X-Api-Key": "hunter2"}},
    {},
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "answer",
    [
        reply(status=403),
        Answer(b"", "close"),
        Answer(b"junk\r\n\r\n", "close"),
        reply(status=302, location="http://127.0.0.9/?token=hunter2"),
        reply("", content_type=JSON),
    ],
)
async def test_secrets_are_in_no_message(server: RawServer, secret: dict[str, Any], answer: Answer) -> None:
    server.on(TARGET, answer)
    url = server.simple if secret else server.simple.replace("://", "://me:hunter2@")
    async with open_client(url, **secret) as client:
        with pytest.raises(UpstreamError) as caught:
            await client.project(DEMO)
    message = str(caught.value) + repr(caught.value)
    assert "hunter2" not in message
    assert BASIC.removeprefix("Basic ") not in message
    assert {"hunter2", "Bearer hunter2", BASIC} & set(server.asked[0].headers.values())


async def test_credentials_go_to_the_mirrors_own_origin_only(server: RawServer) -> None:
    """A redirect to another origin gets neither password nor configured headers, but the User-Agent."""
    async with RawServer() as other:
        server.on(TARGET, reply(status=302, location=f"{other.url}/demo/"))
        other.on("/demo/", reply(status=302, location=f"{server.url}/back/"))
        server.on("/back/", reply(page(), content_type=JSON))
        headers = {"x-key": "secret", "User-Agent": "special/1"}
        networks = [ip_network("127.0.0.0/8")]
        async with open_client(
            server.simple, username="me", password="pw", headers=headers, allow_private=networks
        ) as client:
            assert isinstance(await client.project(DEMO), Listing)
    expected = "Basic " + base64.b64encode(b"me:pw").decode()
    assert [asked.headers.get("authorization") for asked in server.asked] == [expected, expected]
    assert [asked.headers.get("x-key") for asked in server.asked] == ["secret", "secret"]
    (foreign,) = other.asked
    assert foreign.headers["user-agent"] == "special/1"
    assert "authorization" not in foreign.headers
    assert "x-key" not in foreign.headers


async def test_large_page_is_read_in_the_helper_process(server: RawServer) -> None:
    """Inflating, hashing and parsing are one trip; nothing of it happens on the loop."""
    entry = {"filename": WHEEL, "url": f"/files/{WHEEL}", "hashes": {"sha256": "a" * 64}}
    files = [{**entry, "filename": f"demo-1.{n}-py3-none-any.whl"} for n in range(20_000)]
    body = json.dumps({"meta": {"api-version": "1.0"}, "name": "demo", "files": files}).encode()
    server.on(
        TARGET,
        reply(gzip.compress(body, 1), content_type=JSON, content_encoding="gzip"),
        reply("{", content_type=JSON),
    )
    async with Offload(thread=1000) as offload:
        async with Client(wire=Wire(name="mirror", url=server.simple), offload=offload) as client:
            listing = await client.project(DEMO)
        assert offload.helper_running
    assert isinstance(listing, Listing)
    assert len(load(listing.page).files) == 20_000


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_bytes_come_only_our_errors_come_out(server: RawServer, seed: int) -> None:
    """Right answers with bytes changed, left out and repeated, cut anywhere."""
    junk = random.Random(seed)
    right = [
        reply(gzip.compress(page()), content_type=JSON, content_encoding="gzip").data,
        _head("Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(page()), page()),
        reply(status=302, location="http://127.0.0.1:1/x").data,
    ]
    answers = []
    for _ in range(40):
        data = bytearray(junk.choice(right))
        for _ in range(junk.randrange(1, 6)):
            at = junk.randrange(len(data))
            data[at : at + junk.randrange(3)] = junk.randbytes(junk.randrange(4))
        answers.append(Answer(bytes(data[: junk.randrange(1, 2 * len(data))]), "close"))
    server.on(TARGET, *answers)
    async with open_client(server.simple, read_timeout=1.0) as client:
        while len(server.asked) < len(answers):
            with contextlib.suppress(UpstreamError, ProjectNotFound):
                await client.project(DEMO)
