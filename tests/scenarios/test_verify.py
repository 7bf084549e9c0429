"""`pypicache verify` finds what was damaged on purpose, and `--repair` leaves a cache that passes and serves."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pypicache.store.bytesdisk import seal
from tests.client import get
from tests.daemon import Daemon, config_for
from tests.origin import Origin
from tests.program import run, run_here
from tests.wheels import Wheel, wheel

MakeDaemon = Callable[..., Daemon]

ITEMS = [wheel(f"p{number}", "1.0", size=50_000) for number in range(9)]


@pytest.fixture
def made(origin: Origin, daemon: MakeDaemon) -> Daemon:
    """A daemon whose cache has nine files, their pages and links, and the list of all projects."""
    for item in ITEMS:
        origin.add(item)
    made = daemon(config_for(origin))
    for item in ITEMS:
        assert get(made.link(item)).body == item.data
    get(made.simple)
    made.restart()  # what is written behind is written
    assert get(made.simple).status == 200
    return made


def blob(made: Daemon, item: Wheel) -> Path:
    return made.cache / "blobs" / "sha256" / item.sha256[:2] / item.sha256[2:4] / item.sha256


def links(made: Daemon) -> list[Path]:
    return sorted(path for path in (made.cache / "links").rglob("*-*") if path.is_file())


@contextlib.contextmanager
def database(made: Daemon) -> Iterator[sqlite3.Connection]:
    path = made.cache / "pages" / "cache.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
        yield connection


def plant(made: Daemon) -> dict[str, str]:
    """Damage of every kind: what is told, and of which kind it is."""
    flipped, cut, grown, linked, folder, pipe, moved, *_ = ITEMS
    told: dict[str, str] = {}
    with blob(made, flipped).open("r+b") as file:
        file.seek(1000)
        file.write(b"\0\1\2\3")
    os.truncate(blob(made, cut), 17)
    with blob(made, grown).open("ab") as file:
        file.write(b"more")
    told |= {item.sha256: "file" for item in (flipped, cut, grown)}
    shutil.copyfile(blob(made, linked), made.folder / "outside")
    for item in (linked, folder, pipe):
        blob(made, item).unlink()
    blob(made, linked).symlink_to(made.folder / "outside")
    blob(made, folder).mkdir()
    os.mkfifo(blob(made, pipe))
    stray = blob(made, moved).parent / ("0" * 64)
    blob(made, moved).rename(stray)
    above = made.cache / "blobs" / "sha256" / "core"
    above.write_bytes(b"x")
    told |= {
        str(path.relative_to(made.cache)): "stray"
        for path in (blob(made, linked), blob(made, folder), blob(made, pipe), stray, above)
    }
    broken, misplaced, *_ = links(made)
    broken.write_bytes(broken.read_bytes()[:-5])
    elsewhere = misplaced.with_name("f" * 32 + "-" + "f" * 32)
    misplaced.rename(elsewhere)
    odd = made.cache / "links" / "odd"
    odd.write_bytes(b"x")
    told |= {str(path.relative_to(made.cache)): "link" for path in (broken, elsewhere, odd)}
    (part,) = (made.cache / "lists").glob("*/*.json")
    part.write_bytes(b"[]" + part.read_bytes()[2:])
    told[str(part.parent.relative_to(made.cache))] = "list"
    with database(made) as opened:
        key = "entry:root/pypi:p7"
        opened.execute("UPDATE Cache SET value = x'00' WHERE key = ?", (key,))
        told[key] = "page"
        key = "entry:root/pypi:p8"
        opened.execute("UPDATE Cache SET value = ? WHERE key = ?", (seal(key, b"\xc1"), key))
        told[key] = "page"
        (page,) = opened.execute(
            "SELECT key FROM Cache WHERE key LIKE 'page:%' ORDER BY key LIMIT 1"
        ).fetchone()
        opened.execute("UPDATE Cache SET value = ? WHERE key = ?", (seal(page, b"another"), page))
        told[page] = "page"
    return told


def verified(made: Daemon, *arguments: str, code: int) -> Any:
    done = run_here("verify", "--json", "-c", made.config_file, *arguments)
    assert done.returncode == code, done.stderr + done.stdout
    return json.loads(done.stdout)


def found(said: Any) -> dict[str, str]:
    return {each["where"]: each["kind"] for each in said["wrong"]}


@pytest.mark.parametrize("running", [False, True], ids=["bare", "daemon"])
def test_all_that_was_planted_is_found_and_repaired(made: Daemon, *, running: bool) -> None:
    """Fourteen kinds of damage; looking alone changes nothing; afterwards every file is served as it should be."""
    assert verified(made, code=0)["files"] == len(ITEMS)
    if not running:
        made.stop()
    planted = plant(made)
    said = verified(made, code=1)
    assert found(said) == planted
    assert not said["sound"]
    assert found(verified(made, code=1)) == planted
    text = run(made.folder, "verify", "-c", made.config_file)
    assert (text.returncode, f"{len(planted)} wrong" in text.stdout) == (1, True)
    said = verified(made, "--repair", code=0)
    assert found(said) == planted
    assert all(each["repaired"] for each in said["wrong"])
    assert verified(made, code=0)["wrong"] == []
    if not running:
        made.start()
    for item in ITEMS:
        assert get(made.link(item)).body == item.data
    assert get(made.simple).status == 200
    made.restart()
    assert verified(made, code=0)["files"] == len(ITEMS)


@pytest.mark.parametrize("running", [False, True], ids=["bare", "daemon"])
def test_a_database_that_opens_though_it_is_damaged_is_set_aside_too(made: Daemon, *, running: bool) -> None:
    if not running:
        made.stop()
    with database(made) as opened:
        opened.execute("UPDATE Cache SET key = x'ff' WHERE key = 'entry:root/pypi:p7'")
    assert found(verified(made, code=1)) == {"pages": "database"}
    assert found(verified(made, "--repair", code=0)) == {"pages": "database"}
    assert list(made.cache.glob("pages.corrupt-*"))
    assert verified(made, code=0)["wrong"] == []
    if not running:
        made.start()
    assert get(made.link(ITEMS[7])).body == ITEMS[7].data


def test_a_damaged_database_is_told_and_set_aside(made: Daemon) -> None:
    """Looking alone leaves it where it is; without it, pages are fetched again."""
    made.stop()
    path = made.cache / "pages" / "cache.db"
    data = path.read_bytes()
    path.write_bytes(os.urandom(100) + data[100:])
    assert found(verified(made, code=1)) == {"pages": "database"}
    assert path.read_bytes()[100:] == data[100:]
    assert verified(made, "--repair", code=0)["wrong"][0]["repaired"]
    assert verified(made, code=0)["pages"] == 0
    made.start()
    assert get(made.link(ITEMS[0])).body == ITEMS[0].data
