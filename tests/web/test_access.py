"""The access log's lines, and what they cost."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from aiohttp.web_log import AccessLogger

from pypicache.config import schema
from pypicache.events import Again, Answered
from pypicache.sink import Sink
from pypicache.web.access import HALVED, AccessLog
from pypicache.web.ids import Ids


def answered(**fields: Any) -> Answered:
    usual: dict[str, Any] = {
        "index": "root/pypi",
        "kind": "page",
        "subject": "alpha",
        "method": "GET",
        "path": "/root/pypi/simple/alpha/",
        "client": "192.0.2.1",
        "status": 200,
        "sent": 2133,
        "seconds": 0.00042,
        "outcome": "hit",
        "mirror": "",
        "request_id": "abc-1",
    }
    return Answered(**{**usual, **fields})


async def line(record: Answered, **settings: Any) -> str:
    written: list[str] = []
    async with AccessLog(written.append, schema.Log(**settings)) as log:
        log.take(record)
        log.take_again([Again(record, record.client, time.time(), record.seconds, 1)], "abc-", 1)
    first, second = "".join(written).splitlines(keepends=True) or ("", "")
    assert first.partition(" access ")[2] == second.partition(" access ")[2]
    return first


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {},
            '192.0.2.1 "GET /root/pypi/simple/alpha/" 200 2133 0.4ms "hit" index=root/pypi page=alpha id=abc-1',
        ),
        (
            {"kind": "file", "subject": "a-1.whl", "mirror": "tuna", "outcome": "miss", "client": ""},
            '- "GET /root/pypi/simple/alpha/" 200 2133 0.4ms "miss" index=root/pypi file=a-1.whl mirror=tuna id=abc-1',
        ),
        (
            {"index": "", "kind": "other", "subject": "", "path": "/x\x1b[31m\n\u2028y"},
            '192.0.2.1 "GET /x\ufffd[31m\ufffd\ufffdy" 200 2133 0.4ms "hit" id=abc-1',
        ),
        (
            {"path": '/" 500 0 1ms "x', "subject": 'a b"c'},
            '192.0.2.1 "GET /%22 500 0 1ms %22x" 200 2133 0.4ms "hit" index=root/pypi page=a%20b%22c id=abc-1',
        ),
    ],
)
async def test_a_line_of_text(fields: dict[str, Any], text: str) -> None:
    """Nobody can make two lines of one, or another one's fields."""
    said = await line(answered(**fields))
    assert said.partition(" access ")[2] == text + "\n"


async def test_a_long_path_is_cut_short() -> None:
    assert len(await line(answered(path="/" + "a" * 8000))) < 600


async def test_a_line_of_json() -> None:
    said = json.loads(await line(answered(mirror="tuna", path="/\x00"), format="json"))
    assert said.pop("time")
    assert said == {
        "level": "info",
        "logger": "access",
        "client": "192.0.2.1",
        "method": "GET",
        "path": "/\ufffd",
        "status": 200,
        "bytes": 2133,
        "seconds": 0.00042,
        "cache": "hit",
        "index": "root/pypi",
        "kind": "page",
        "subject": "alpha",
        "mirror": "tuna",
        "id": "abc-1",
    }


async def test_in_the_journal_it_has_a_priority() -> None:
    written: list[str] = []
    async with AccessLog(written.append, schema.Log(), journal=True) as log:
        log.take(answered())
    assert written[0].startswith("<6>2")


async def test_lines_that_come_again_have_what_changes_and_the_form_of_the_moment() -> None:
    written: list[str] = []
    record = answered()
    times = [Again(record, "192.0.2.9", 1.7e9 + 0.9, 0.1, 1), Again(record, "", 1.7e9 + 1.0, 0.00004, 2)]
    async with AccessLog(written.append, schema.Log()) as log:
        for settings in ({}, {"format": "json"}, {"access": False}, {}):
            log.configure(schema.Log(**settings), journal=len(written) == 2)
            log.take_again(times, "abc-", 2)
            log.flush()
    text, structured, journal = ("".join(part).splitlines() for part in written)
    about = '"GET /root/pypi/simple/alpha/" 200 2133'
    for line, said in zip(
        text,
        (
            f'192.0.2.9 {about} 100.0ms "hit" index=root/pypi page=alpha id=abc-2',
            f'- {about} 0.0ms "hit" index=root/pypi page=alpha id=abc-3',
            f'- {about} 0.0ms "hit" index=root/pypi page=alpha id=abc-4',
        ),
        strict=True,
    ):
        assert line.partition(" access ")[2] == said
    assert [line[17:19] for line in text] == ["20", "21", "21"]
    assert [json.loads(line)["client"] for line in structured] == ["192.0.2.9", "", ""]
    assert [json.loads(line)["id"] for line in structured] == ["abc-2", "abc-3", "abc-4"]
    assert [json.loads(line)["time"] for line in structured] == [line.split(" ")[0] for line in text]
    assert journal == [f"<6>{line}" for line in text]


async def test_what_is_known_of_lines_is_bounded() -> None:
    written: list[str] = []
    async with AccessLog(written.append, schema.Log()) as log:
        for number in range(HALVED + 10):
            log.take_again([Again(answered(subject=f"p{number}"), "", 1.7e9, 0.1, 1)], "", number)
        assert len(log._halves) <= HALVED
    lines = "".join(written).splitlines()
    assert [line.split("page=p")[1] for line in lines] == [f"{n} id={n}" for n in range(HALVED + 10)]


@pytest.mark.parametrize("seconds", [0.0, 0.00004, 0.00006, 0.00994, 0.00996, 0.0123, 12.3])
async def test_the_time_has_one_digit_whether_it_is_told_at_once_or_later(seconds: float) -> None:
    assert f" {seconds * 1000:.1f}ms " in await line(answered(seconds=seconds))


async def test_without_access_there_is_no_line() -> None:
    assert await line(answered(), access=False) == ""


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ("7f3a-42", True),
        ("Root=1-67891233-abcdef012345678912345678", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("", False),
        ("a b", False),
        ('a"b', False),
        ("a\x1b", False),
        (None, False),
    ],
)
def test_a_request_is_called_as_the_proxy_calls_it_if_that_is_sane(said: str | None, taken: bool) -> None:
    ids = Ids()
    assert (ids.of(said) == said) is taken
    assert ids.of(said) != ids.make()


@pytest.mark.bench
async def test_a_line_costs_less_than_a_tenth_of_the_standard_ones(tmp_path: Path) -> None:
    """CPU seconds, in the same run: aiohttp's own access logger on a stream, and this one on its thread."""
    count, request, response = 5_000, make_mocked_request("GET", "/root/pypi/simple/alpha/"), web.Response()
    logger = logging.getLogger("standard")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    with (tmp_path / "standard").open("w") as file:
        handler = logging.StreamHandler(file)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        standard = AccessLogger(logger, AccessLogger.LOG_FORMAT)

        def theirs() -> float:
            began = time.process_time()
            for _ in range(count):
                standard.log(request, response, 0.001)
            return time.process_time() - began

        sink = Sink()
        sink.direct(tmp_path / "own")
        record = answered()

        async def ours() -> float:
            began = time.process_time()
            with sink.threaded():
                async with AccessLog(sink.write, schema.Log()) as log:
                    for _ in range(count):
                        log.take(record)
                    await asyncio.sleep(0)
            return time.process_time() - began

        rounds = [(theirs(), await ours()) for _ in range(5)]
        logger.removeHandler(handler)
    sink.direct(None)
    ratios = sorted(own / their for their, own in rounds)
    print(f"{ratios[2]:.3f} of the standard one's CPU")  # noqa: T201 - the figure is what it is run for
    assert ratios[2] < 0.1
