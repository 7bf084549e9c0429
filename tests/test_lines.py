"""The log: what its lines look like, where they go, and that nobody waits for them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from pypicache import lines
from pypicache.config import schema
from pypicache.errors import PypicacheError
from pypicache.logs import Logs, open_log
from pypicache.sink import Sink

log = logging.getLogger("pypicache.test")


@pytest.fixture(autouse=True)
def own_root_logger() -> Generator[None]:
    """What a test sets up is taken down again."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def raise_hostile() -> None:
    raise ValueError("bad\x1b[31m\nworse")


def broken() -> None:
    try:
        raise_hostile()
    except ValueError:
        log.exception("it\nbroke\x00")


def test_text_is_one_line_a_message_and_a_traceback_behind_it(tmp_path: Path) -> None:
    open_log(schema.Log(file=tmp_path / "log"))
    broken()
    first, *rest = (tmp_path / "log").read_text().splitlines()
    assert first.endswith(" ERROR it\ufffdbroke\ufffd")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-2:] == ["ValueError: bad\ufffd[31m", "worse"]


def test_json_is_one_object_a_line(tmp_path: Path) -> None:
    open_log(schema.Log(file=tmp_path / "log", format="json"))
    broken()
    (line,) = (tmp_path / "log").read_text().splitlines()
    said = json.loads(line)
    assert {name: said[name] for name in ("level", "logger", "message")} == {
        "level": "error",
        "logger": "pypicache.test",
        "message": "it\ufffdbroke\ufffd",
    }
    assert said["traceback"].endswith("ValueError: bad\ufffd[31m\nworse")


@pytest.mark.parametrize("form", ["text", "json"])
def test_in_the_journal_each_line_begins_with_its_priority(
    form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Standard error is a stream of the journal's when `$JOURNAL_STREAM` names its device and inode."""
    status = os.fstat(2)
    env = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
    settings = schema.Log(format="json" if form == "json" else "text", level="debug")
    lines.setup(settings, Sink(), env)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.CRITICAL):
        log.log(level, "hello")
    broken()
    said = capfd.readouterr().err.splitlines()
    assert [line[:3] for line in said[:5]] == ["<7>", "<6>", "<4>", "<2>", "<3>"]
    assert all(line.startswith("<3>") for line in said[5:])
    assert not lines.in_journal(schema.Log(file=Path("/x")), env)
    assert not lines.in_journal(settings, {"JOURNAL_STREAM": "1:1"})


def test_a_log_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(PypicacheError, match=r"log\.file: .*/missing/log can't be opened: No such file"):
        open_log(schema.Log(file=tmp_path / "missing" / "log"))


def test_nobody_waits_for_a_pipe_that_nobody_reads_and_what_is_lost_is_counted(tmp_path: Path) -> None:
    """L24: lines are dropped, and that is told once writing works again."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    sink = Sink(room=100_000)
    sink.direct(fifo)
    lines.setup(schema.Log(), sink)
    done = threading.Event()

    def flood() -> None:
        for _ in range(3000):
            sink.write("x" * 99 + "\n")
        done.set()

    with sink.threaded():
        threading.Thread(target=flood, daemon=True).start()
        assert done.wait(10)
        os.set_blocking(reader, True)
        received, lost = b"", [0]
        while received.count(b"x" * 99) + sum(lost) < 3000:  # it may be told in several parts
            received += os.read(reader, 65536)
            told = re.findall(rb"WARNING (\d+) lines of the log were lost: they came faster", received)
            lost = [int(number) for number in told]
    os.close(reader)
    sink.direct(None)
    assert received.count(b"x" * 99) + sum(lost) == 3000
    assert sum(lost) > 0


def test_what_a_full_disk_did_not_take_is_told_later(tmp_path: Path) -> None:
    sink = Sink()
    sink.direct(Path("/dev/full"))
    lines.setup(schema.Log(), sink)
    with sink.threaded():
        sink.write("one\ntwo\n")
        while not sink._lost:
            threading.Event().wait(0.001)
        sink.direct(tmp_path / "log")
        sink.write("three\n")
    said = (tmp_path / "log").read_text().splitlines()
    assert said[0] == "three"
    assert said[1].endswith("WARNING 2 lines of the log were lost: No space left on device")


async def test_another_form_and_file_come_into_force(tmp_path: Path) -> None:
    sink, again = open_log(schema.Log(file=tmp_path / "a")), asyncio.Event()
    logs = Logs(schema.Log(file=tmp_path / "a"), sink, again)
    async with logs.open():
        log.info("one")
        logs.follow(schema.Config(log=schema.Log(file=tmp_path / "b", format="json", level="warning")))
        assert again.is_set()
        await logs.reopen()
        log.info("two")
        log.warning("three")
    assert (tmp_path / "a").read_text().endswith("INFO one\n")
    assert json.loads((tmp_path / "b").read_text())["message"] == "three"
