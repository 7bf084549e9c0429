"""A change to the file itself: whole or not at all, with its owner and mode, and nothing beside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pypicache.config.changing import apply, restore
from pypicache.config.edit import IndexChange
from pypicache.config.load import load
from pypicache.errors import BadRequest, CannotChange, ConfigError
from tests.nobody import as_nobody, open_folder

ENV = {"HOME": "/home/me"}
TTL = IndexChange(index="root/pypi", settings={"ttl": "1s"})


@pytest.fixture
def file() -> Iterator[Path]:
    with open_folder() as folder:
        path = folder / "conf" / "c.yaml"
        path.parent.mkdir()
        path.write_text("# ours\nindexes: {root/pypi: {mirrors: [pypi]}, corp: {mirrors: [tuna]}}\n")
        path.chmod(0o640)
        yield path


def test_the_file_keeps_its_mode_and_nothing_is_left_beside_it(file: Path) -> None:
    before = file.read_bytes()
    assert apply(file, TTL, ENV) == (before, file.read_bytes())
    assert load(file, ENV).indexes["root/pypi"].ttl == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(file.parent.iterdir()) == [file]


def test_a_link_stays_a_link(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    apply(link, TTL, ENV)
    assert link.is_symlink()
    assert "ttl: 1s" in file.read_text()


def test_a_change_that_changes_nothing_writes_nothing(file: Path) -> None:
    apply(file, TTL, ENV)
    status = file.stat()
    apply(file, TTL, ENV)
    assert (status.st_ino, status.st_mtime_ns) == (file.stat().st_ino, file.stat().st_mtime_ns)


def test_it_can_be_taken_back_unless_someone_has_changed_it_since(file: Path) -> None:
    before, after = apply(file, TTL, ENV)
    restore(file, before, after)
    assert file.read_bytes() == before
    before, after = apply(file, TTL, ENV)
    file.write_bytes(after + b"# and more\n")
    with pytest.raises(CannotChange, match="changed meanwhile"):
        restore(file, before, after)
    assert file.read_bytes().endswith(b"# and more\n")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            IndexChange(index="root/pypi", settings={"ttl": "soon"}),
            "indexes.root/pypi.ttl: a duration is due",
        ),
        (IndexChange(index="root/pypi", first_mirror="yes"), "indexes.root/pypi.mirrors[0]: text is due"),
        (IndexChange(index="root/pypi", mirrors=[]), "at least one mirror is due"),
        (IndexChange(index="root/pypi", mirrors=["pypi", "pypi"]), "is taken by another mirror"),
        (IndexChange(index="pypi", create=True, mirrors=["pypi"]), 'can\'t begin with "pypi"'),
        (IndexChange(index="a", create=True), "at least one mirror is due"),
        (IndexChange(index="root/corp", create=True, mirrors=["pypi"]), "clashes with root/corp"),
        (IndexChange(index="nope", settings={"ttl": "1s"}), "there is no index nope"),
    ],
)
def test_what_would_be_no_configuration_is_not_written(file: Path, change: IndexChange, says: str) -> None:
    before = file.read_bytes()
    with pytest.raises(BadRequest) as refused:
        apply(file, change, ENV)
    assert says in str(refused.value)
    assert str(file) not in str(refused.value)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_a_file_with_errors_is_left_alone(file: Path) -> None:
    file.write_text("indexes: {root/pypi: {mirrors: [pypi], tttl: 5}}\n")
    with pytest.raises(ConfigError):
        apply(file, TTL, ENV)
    file.write_bytes(b"\xff")
    with pytest.raises(ConfigError):
        apply(file, TTL, ENV)


def test_a_folder_that_cannot_be_written_to_is_told_with_the_remedy(file: Path) -> None:
    file.parent.chmod(0o555)
    file.chmod(0o644)
    said = as_nobody(lambda: apply(file, TTL, ENV))
    file.parent.chmod(0o755)
    assert said.startswith("CannotChange: ")
    assert "Permission denied" in said
    assert "`pypicache index set`" in said
    assert "ReadWritePaths" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="takes a file of another user, which only root can make")
def test_a_file_of_another_user_keeps_its_owner_or_stays(file: Path) -> None:
    os.chown(file, 1234, 4321)
    apply(file, TTL, ENV)
    assert (file.stat().st_uid, file.stat().st_gid) == (1234, 4321)
    # Someone who may write to the folder and can't make files of that user.
    file.chmod(0o644)
    file.parent.chmod(0o777)
    before = file.read_bytes()
    said = as_nobody(lambda: apply(file, IndexChange(index="corp", settings={"ttl": "9s"}), ENV))
    assert "belongs to user 1234" in said
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


def test_changes_at_the_same_time_are_all_made(file: Path) -> None:
    names = [f"team/n{number}" for number in range(12)]
    changes = [IndexChange(index=name, create=True, mirrors=["pypi"]) for name in names]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda change: apply(file, change, ENV), changes))
    assert set(names) < set(load(file, ENV).indexes)
