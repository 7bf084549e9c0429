"""`pypicache import --devpi`: the files of a devpi-server directory, as devpi lays it out, and of a real devpi-server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.devpi import DevpiServer, install
from tests.installers import uv_install
from tests.origin import Origin
from tests.program import run, run_here
from tests.wheels import Artifact, artifact, sdist, wheel

MakeDaemon = Callable[..., Daemon]

DEMO, OTHER, OLD = wheel("demo", "1.0"), sdist("other", "2.0"), wheel("old", "3.0")


def placed(server: Path, item: Artifact, *, index: str = "root/pypi", digits: str | None = None) -> Path:
    """The file, where devpi keeps it."""
    digits = item.sha256 if digits is None else digits
    path = server / "+files" / index / "+f" / digits[:3] / digits[3:16] / item.filename
    path.parent.mkdir(parents=True)
    path.write_bytes(item.data)
    return path


@pytest.fixture
def made(origin: Origin, daemon: MakeDaemon) -> Daemon:
    """A cache with nothing in it; its mirror has `demo` and `other`."""
    origin.add(DEMO)
    origin.add(OTHER, hashes={"md5": hashlib.md5(OTHER.data).hexdigest()})
    made = daemon(config_for(origin), start=False)
    made.write_config()
    return made


def imported(made: Daemon, server: Path, *options: str, code: int = 0) -> dict[str, Any]:
    done = run_here("import", "--devpi", server, "--json", "-c", made.config_file, *options)
    assert done.returncode == code, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_files_are_linked_and_held_to_their_pages(origin: Origin, made: Daemon, tmp_path: Path) -> None:
    server = tmp_path / "server"
    demo = placed(server, DEMO)
    other = placed(server, OTHER, digits=hashlib.md5(OTHER.data).hexdigest())
    old = placed(server, OLD, index="team/dev")
    before = old.stat()
    said = imported(made, server)
    assert (said["linked"], said["copied"], said["by_page"], said["refused"]) == (3, 0, 2, {})
    assert said["by_path"] == [str(old.relative_to(server))]
    blobs = made.cache / "blobs" / "sha256"
    for path, item in ((demo, DEMO), (other, OTHER), (old, OLD)):
        assert path.samefile(blobs / item.sha256[:2] / item.sha256[2:4] / item.sha256)
    assert (old.stat().st_mode, old.stat().st_mtime) == (before.st_mode, before.st_mtime)
    again = imported(made, server)
    assert (again["linked"], again["held"]) == (0, 3)
    # What devpi had is served when every mirror has gone.
    origin.close()
    made.start()
    uv_install(tmp_path / "t" / "t", "demo==1.0", index_url=made.simple).check()
    assert get(made.link(OTHER)).body == OTHER.data
    assert made.stop() == 0


def test_a_file_that_is_not_what_it_is_said_to_be_is_left(made: Daemon, tmp_path: Path) -> None:
    server = tmp_path / "server"
    bad = artifact("demo", "1.0", DEMO.filename, b"not the wheel")
    placed(server, bad, digits=bad.sha256)  # devpi believes it, the page doesn't
    odd = artifact("old", "3.0", OLD.filename, b"damaged on disk")
    placed(server, odd, digits=OLD.sha256)
    nameless = server / "+files" / "root" / "pypi" / "+e" / "https_h.example" / "old-4.0.tar.gz"
    nameless.parent.mkdir(parents=True)
    nameless.write_bytes(b"x")
    nameless.with_name("old-5.0.tar.gz").symlink_to("/etc/passwd")
    said = imported(made, server, code=1)
    assert sorted(why.partition(",")[0] for why in said["refused"].values()) == [
        f"its page says sha256:{DEMO.sha256}",
        "no page lists it with a digest",
        "no page lists it with a digest",
    ]
    assert (said["linked"], said["copied"], said["by_path"]) == (0, 0, [])
    assert not [path for path in (made.cache / "blobs").rglob("*") if path.is_file()]


def test_a_file_that_others_may_write_to_is_copied(made: Daemon, tmp_path: Path) -> None:
    path = placed(tmp_path / "server", DEMO)
    path.chmod(0o664)
    said = imported(made, tmp_path / "server" / "+files")
    assert (said["linked"], said["copied"], said["by_page"]) == (0, 1, 1)
    path.write_bytes(b"changed in place")
    made.start()
    assert get(made.link(DEMO)).body == DEMO.data


def test_nothing_is_evicted_for_what_devpi_has(made: Daemon, tmp_path: Path) -> None:
    made.config["cache"]["max_size"] = 3_000_000
    made.write_config()
    large = [wheel("large", f"{number}.0", size=2_000_000) for number in (1, 2)]
    for item in large:
        placed(tmp_path / "server", item)
    said = imported(made, tmp_path / "server", "--no-pages", code=1)
    assert (said["linked"], said["no_room"]) == (1, 1)


def test_without_pages_no_mirror_is_asked(origin: Origin, made: Daemon, tmp_path: Path) -> None:
    placed(tmp_path / "server", DEMO)
    said = imported(made, tmp_path / "server", "--no-pages")
    assert (said["linked"], said["by_page"], len(said["by_path"])) == (1, 0, 1)
    assert origin.count() == 0


def test_what_is_no_directory_of_devpi_is_told(made: Daemon, tmp_path: Path) -> None:
    done = run(tmp_path, "import", "--devpi", tmp_path, "-c", made.config_file)
    assert (done.returncode, "it has no +files" in done.stderr) == (1, True)
    assert run(tmp_path, "import", "-c", made.config_file).returncode == 2
    assert run(tmp_path, "import", "x", "--devpi", tmp_path, "-c", made.config_file).returncode == 2


@pytest.mark.live
@pytest.mark.soak
def test_what_a_real_devpi_server_has_is_taken_and_served(
    origin: Origin, made: Daemon, tmp_path: Path
) -> None:
    """Devpi names a file by the hash that its page gave, be it MD5; both are found, and nothing is fetched again."""
    origin.add(wheel("demo", "1.0", requires=["other"]))
    with DevpiServer(tmp_path, install(tmp_path)) as server:
        index = server.mirror(origin.simple)
        uv_install(tmp_path / "d" / "t", "demo", index_url=index).check()
    said = imported(made, server.directory)
    assert (said["linked"], said["by_page"], said["by_path"], said["refused"]) == (2, 2, [], {})
    gets = len(origin.gets(DEMO.filename)) + len(origin.gets(OTHER.filename))
    made.start()
    uv_install(tmp_path / "u" / "t", "demo", index_url=made.simple).check()
    assert len(origin.gets(DEMO.filename)) + len(origin.gets(OTHER.filename)) == gets
