from __future__ import annotations

import os
import stat
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from pypicache.commands.init import _is_systems
from pypicache.config.load import load
from pypicache.config.schema import User
from pypicache.config.secret import Secret
from pypicache.generate.first import first_configuration
from pypicache.generate.writing import write
from tests.program import run


def test_what_is_written_is_the_defaults_and_an_account_for_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "pypicache.yaml"
    path.write_text(first_configuration())
    env = {"HOME": "/home/me"}
    config, shipped = load(path, env), load(None, env)
    assert config.admin.users == {"root": User(password=Secret(""))}
    assert config.server.trusted_proxies == (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    changed = replace(config, admin=shipped.admin, path=None, warnings=())
    changed = replace(changed, server=replace(config.server, trusted_proxies=()))
    assert changed == shipped


def test_the_machines_own_has_its_cache_where_systemd_makes_it(tmp_path: Path) -> None:
    """So that commands look there, too."""
    path = tmp_path / "pypicache.yaml"
    path.write_text(first_configuration(system=True))
    for env in ({"HOME": "/root"}, {"HOME": "/root", "CACHE_DIRECTORY": "/elsewhere"}):
        assert load(path, env).cache.dir == Path("/var/cache/pypicache")
    assert _is_systems(Path("/etc/pypicache/pypicache.yaml"))
    assert not _is_systems(Path("pypicache.yaml"))


def test_it_goes_where_the_other_commands_look_first(tmp_path: Path) -> None:
    done = run(tmp_path, "init", umask=0)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "wrote pypicache.yaml (only you can read it)"
    assert "  pypicache serve       run it in the foreground" in done.stdout.splitlines()
    assert [path.name for path in tmp_path.iterdir()] == ["pypicache.yaml"]
    assert stat.S_IMODE((tmp_path / "pypicache.yaml").stat().st_mode) == 0o600
    checked = run(tmp_path, "check")
    assert checked.returncode == 0
    assert checked.stdout.startswith("pypicache.yaml: ok\n")


def test_the_environment_says_where_else(tmp_path: Path) -> None:
    at = tmp_path / "at.yaml"
    done = run(tmp_path, "init", PYPICACHE_CONFIG=str(at))
    assert done.returncode == 0
    assert "pypicache check   " in done.stdout
    assert at.read_text() == first_configuration()


def test_a_place_where_nobody_looks_is_named_in_what_to_do_next(tmp_path: Path) -> None:
    """Folders on the way are made."""
    done = run(tmp_path, "init", "new place/mine.yaml")
    assert done.returncode == 0
    assert "pypicache serve -c 'new place/mine.yaml'" in done.stdout
    assert (tmp_path / "new place" / "mine.yaml").read_text() == first_configuration()


def test_what_is_there_is_left_alone_unless_told_otherwise(tmp_path: Path) -> None:
    mine = tmp_path / "pypicache.yaml"
    mine.write_text("mine\n")
    done = run(tmp_path, "init")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "pypicache.yaml is there already, and is left as it is: --force replaces it\n"
    assert mine.read_text() == "mine\n"
    assert run(tmp_path, "init", "--force").returncode == 0
    assert mine.read_text() == first_configuration()
    assert [path.name for path in tmp_path.iterdir()] == ["pypicache.yaml"]


@pytest.mark.parametrize(("at", "force"), [("folder", True), ("file/below", False)])
def test_what_cannot_be_written_is_told_in_a_line(tmp_path: Path, at: str, force: bool) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    done = run(tmp_path, "init", at, *["--force"] * force)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{at} can't be written: ")
    assert len(done.stderr.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_replacing_a_link_replaces_what_it_points_at(tmp_path: Path) -> None:
    """And a file that is taken is never opened for writing, nor left half written."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    link.symlink_to(real)
    with pytest.raises(FileExistsError):
        write(link, "new", mode=0o600, replace=False)
    assert real.read_text() == "old"
    write(link, "new", mode=0o640, replace=True)
    assert link.is_symlink()
    assert (real.read_text(), stat.S_IMODE(real.stat().st_mode)) == ("new", 0o640)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a file away")
def test_root_leaves_a_file_to_its_owner(tmp_path: Path) -> None:
    """The daemon that reads it may run as somebody else."""
    path = tmp_path / "pypicache.yaml"
    path.write_text("old")
    os.chown(path, 12, 34)
    write(path, "new", mode=0o600, replace=True)
    assert (path.stat().st_uid, path.stat().st_gid) == (12, 34)
