"""`pypicache lock` on lock files of real tools, between a real daemon and an origin with its files on another host."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.environment import REPOSITORY, clean
from tests.installers import uv_path
from tests.origin import Origin
from tests.program import ok, run, run_here
from tests.wheels import sdist, wheel

MakeDaemon = Callable[..., Daemon]
MakeOrigin = Callable[..., Origin]

PROJECT = '[project]\nname = "app"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = ["demo"]\n'
POETRY = """\
[[package]]
name = "demo"
version = "1.0"
files = [{{file = "demo-1.0-py3-none-any.whl", hash = "sha256:00"}}]

[package.source]
type = "legacy"
url = "{url}/simple"
reference = "cache"
"""


@pytest.fixture
def hosts(origins: MakeOrigin) -> tuple[Origin, Origin]:
    """An index, and the host that its files are on."""
    pages, files = origins(name="pages"), origins(name="files")
    for item in (wheel("demo", "1.0", requires=["dep"]), sdist("demo", "1.0"), wheel("dep", "2.0")):
        entry = files.add(item)
        pages.add(item, url=f"{files.url}{entry.path}")
    return pages, files


@pytest.fixture
def made(hosts: tuple[Origin, Origin], daemon: MakeDaemon) -> Daemon:
    return daemon(config_for(hosts[0], mirror={"allow_private": ["127.0.0.0/8"]}))


def uv(folder: Path, *arguments: str, index: str) -> str:
    """Run uv in the folder, with an empty cache; its output."""
    program = uv_path()
    if program is None:
        pytest.skip("uv isn't there")
    done = subprocess.run(
        [str(program), *arguments, "--no-cache", "--python", sys.executable, "--color", "never"],
        cwd=folder,
        env=clean(folder / "home", {"UV_DEFAULT_INDEX": index, "UV_LINK_MODE": "copy"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_a_lock_file_of_uv_goes_to_the_origin_and_back(
    hosts: tuple[Origin, Origin], made: Daemon, tmp_path: Path
) -> None:
    """Digests and every other byte stay; either form installs without the other side."""
    pages, files = hosts
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    index = f"{made.url}/simple/"
    uv(folder, "lock", index=index)
    uv(folder, "export", "--format", "pylock.toml", "-o", "pylock.toml", index=index)
    locks = [folder / "uv.lock", folder / "pylock.toml"]
    before = [lock.read_bytes() for lock in locks]

    said = ok(run(folder, "lock", "to-canonical", "--cache", index, *locks))
    assert [line.rpartition(": ")[2] for line in said.stderr.splitlines()] == ["5 links changed"] * 2
    expected = [
        text.replace(f"{made.url}/simple".encode(), f"{pages.url}/simple".encode()).replace(
            f"{made.url}/packages".encode(), f"{files.url}/packages".encode()
        )
        for text in before
    ]
    assert [lock.read_bytes() for lock in locks] == expected
    made.stop()
    uv(folder, "sync", "--locked", index=pages.simple)

    # Of files that say which index they are from, the way back is known without the daemon.
    ok(run(folder, "lock", "to-cache", "--cache", index, "--origin", pages.simple, *locks))
    assert [lock.read_bytes() for lock in locks] == before
    made.restart()
    assert "demo==1.0" in uv(folder, "sync", "--locked", "--reinstall", index=index)
    pages.close()
    files.close()
    assert "demo==1.0" in uv(folder, "sync", "--locked", "--reinstall", index=index)


def test_poetry_and_requirements_files_name_the_index(
    made: Daemon, hosts: tuple[Origin, Origin], tmp_path: Path
) -> None:
    pages, files = hosts
    get(f"{made.simple}demo/")
    link = made.link(wheel("demo", "1.0"))
    poetry = tmp_path / "poetry.lock"
    poetry.write_text(POETRY.format(url=made.url))
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(
        f"-i {made.url}/simple/\ndemo @ {link}#sha256=00\nother @ https://h.example/o-1.tar.gz\n"
    )
    before = poetry.read_text(), requirements.read_text()
    made.config["server"]["listen"] = made.url.removeprefix("http://")
    made.write_config()
    arguments = ("-c", made.config_file, poetry, requirements)

    ok(run(tmp_path, "lock", "to-canonical", *arguments))
    assert poetry.read_text() == POETRY.format(url=pages.url)
    path = link.partition("/packages/")[2]
    assert requirements.read_text() == (
        f"-i {pages.url}/simple/\ndemo @ {files.url}/packages/{path}#sha256=00\nother @ https://h.example/o-1.tar.gz\n"
    )
    assert run(tmp_path, "lock", "to-cache", *arguments).returncode == 0
    assert (poetry.read_text(), requirements.read_text()) == before


def test_check_changes_nothing_and_ends_with_1_where_something_would_change(tmp_path: Path) -> None:
    lock = tmp_path / "uv.lock"
    lock.write_text('[[package]]\nname = "demo"\nsource = { registry = "http://c.example/simple" }\n')
    options = ("--cache", "http://c.example/simple/", "--origin", "https://o.example/simple")
    before = lock.read_bytes()
    would = run(tmp_path, "lock", "to-canonical", "--check", *options, "uv.lock")
    assert (would.returncode, would.stdout, would.stderr) == (1, "", "uv.lock: 1 link would change\n")
    assert lock.read_bytes() == before
    fine = run(tmp_path, "lock", "to-cache", "--check", *options, "uv.lock")
    assert (fine.returncode, fine.stderr) == (0, "uv.lock: unchanged\n")


def test_a_file_as_editors_on_windows_begin_it(tmp_path: Path) -> None:
    lock = tmp_path / "uv.lock"
    text = '[[package]]\r\nname = "demo"\r\nsource = { registry = "http://c.example/simple" }\r\n'
    lock.write_bytes(text.encode("utf-8-sig"))
    options = ("--cache", "http://c.example/simple/", "--origin", "https://o.example/simple")
    ok(run_here("lock", "to-canonical", *options, lock))
    assert lock.read_bytes() == text.replace("http://c", "https://o").encode("utf-8-sig")


def test_a_link_that_cannot_be_known_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    """Nothing is guessed, and other files are still done."""
    lock, other = tmp_path / "uv.lock", tmp_path / "poetry.lock"
    registry = 'source = { registry = "http://127.0.0.1:9/simple" }\n'
    lock.write_text(
        f'[[package]]\nname = "demo"\n{registry}sdist = {{ url = "http://127.0.0.1:9/packages/a/demo-1.tar.gz" }}\n'
    )
    other.write_text(POETRY.format(url="http://127.0.0.1:9"))
    before = lock.read_bytes()
    options = ("--cache", "http://127.0.0.1:9/simple/", "--origin", "https://o.example/simple")
    done = run(tmp_path, "lock", "to-canonical", *options, "uv.lock", "none.lock", "poetry.lock")
    assert done.returncode == 1
    first, second, third = done.stderr.splitlines()
    assert first.startswith("uv.lock: no daemon answers at http://127.0.0.1:9/+origin/demo: ")
    assert first.endswith("--origin and --files say without it where the files are")
    assert (second, third) == ("none.lock: No such file or directory", "poetry.lock: 1 link changed")
    assert lock.read_bytes() == before
    assert other.read_text() == POETRY.format(url="https://o.example")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cache", "http://c.example/", "x"],
        ["--files", "https://f.example/", "--cache", "http://c.example/simple/", "x"],
        ["--index", "none", "x"],
        [],
    ],
)
def test_options_that_cannot_be_are_told_and_end_with_2(tmp_path: Path, arguments: list[str]) -> None:
    assert run(tmp_path, "lock", "to-cache", *arguments).returncode == 2


def test_a_git_filter_keeps_the_origin_in_the_repository(tmp_path: Path) -> None:
    """As README has it: the commit names the public index, the working tree this cache."""
    env = clean(tmp_path / "home", {"PYTHONPATH": str(REPOSITORY), "GIT_CONFIG_NOSYSTEM": "1"})

    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=n", "-c", "user.email=e", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=env, check=True, capture_output=True, text=True
        ).stdout

    options = "--cache http://c.example/simple/ --origin https://o.example/simple --files https://f.example/packages/"
    program = f"{sys.executable} -m pypicache lock"
    git("init", "-q")
    git("config", "filter.pypicache.clean", f"{program} to-canonical {options} --name %f -")
    git("config", "filter.pypicache.smudge", f"{program} to-cache {options} --name %f -")
    git("config", "filter.pypicache.required", "true")
    (tmp_path / ".gitattributes").write_text("uv.lock filter=pypicache\n")
    lock = tmp_path / "uv.lock"
    source = 'source = { registry = "http://c.example/simple" }\n'
    lock.write_text(
        f'[[package]]\nname = "demo"\n{source}sdist = {{ url = "http://c.example/packages/a/demo-1.tar.gz" }}\n'
    )
    here = lock.read_text()
    git("add", ".gitattributes", "uv.lock")
    git("commit", "-q", "-m", "locked")
    there = here.replace("http://c.example/simple", "https://o.example/simple")
    there = there.replace("http://c.example/packages/", "https://f.example/packages/")
    assert git("show", "HEAD:uv.lock") == there
    lock.unlink()
    git("checkout", "-q", "uv.lock")
    assert lock.read_text() == here
    assert git("status", "--porcelain", "uv.lock") == ""


def test_a_layered_index_has_an_origin_for_each_project(
    origins: MakeOrigin, daemon: MakeDaemon, tmp_path: Path
) -> None:
    public, corp = origins(name="public"), origins(name="corp")
    public.add(wheel("demo", "1.0"))
    corp.add(wheel("acme-x", "1.0"))
    config = config_for(public)
    config["indexes"] |= {
        "corp": {"mirrors": [corp.simple]},
        "dev": {"layers": [{"index": "corp", "owns": ["acme-*"]}, "root/pypi"]},
    }
    made = daemon(config)
    lock = tmp_path / "uv.lock"
    text = "".join(
        f'[[package]]\nname = "{name}"\nsource = {{ registry = "{made.url}/dev/simple/" }}\n'
        f'sdist = {{ url = "{made.url}/dev/packages/ab/{name}.tar.gz" }}\n'
        for name in ("demo", "acme-x")
    )
    lock.write_text(text)
    cache = ("--cache", f"{made.url}/dev/simple/")
    ok(run(tmp_path, "lock", "to-canonical", *cache, "uv.lock"))
    first, _, second = lock.read_text().partition("acme-x")
    assert first.count(public.url) == second.count(corp.url) == 2
    ok(run(tmp_path, "lock", "to-cache", *cache, "uv.lock"))
    assert lock.read_text() == text
    assert get(f"{made.url}/dev/+origin").status == 404


def test_where_the_origin_is(hosts: tuple[Origin, Origin], made: Daemon) -> None:
    """By an address without credentials, and never kept."""
    pages, files = hosts
    answer = get(f"{made.url}/+origin")
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.json() == {"index": "root/pypi", "simple": pages.simple, "files": {}}
    listed = get(f"{made.url}/root/pypi/+origin/demo").json()["files"]
    assert sorted(listed) == ["demo-1.0-py3-none-any.whl", "demo-1.0.tar.gz"]
    assert all(url.startswith(f"{files.url}/packages/") for url in listed.values())
    assert get(f"{made.url}/+origin/none").status == 404
    assert get(f"{made.url}/root/pypi/+origin/demo/x").status == 404


def test_the_mirror_called_pypi_is_the_origin_wherever_it_stands(
    origins: MakeOrigin, daemon: MakeDaemon
) -> None:
    """The page that is held may be another mirror's; where the origin has its files, it says itself."""
    near, public = origins(name="near"), origins(name="pypi")
    near.add(wheel("demo", "1.0"))
    public.add(wheel("demo", "1.0"), path="/p/packages/xy/demo-1.0-py3-none-any.whl")
    made = daemon(config_for(near, public))
    said = get(f"{made.url}/+origin/demo").json()
    assert said["simple"] == public.simple
    assert list(said["files"].values()) == [f"{public.url}/p/packages/xy/demo-1.0-py3-none-any.whl"]
