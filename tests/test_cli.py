from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import pytest

import pypicache
from pypicache.cli import _COMMANDS, _Commands
from tests.environment import REPOSITORY as ROOT
from tests.program import run

_run = partial(run, fresh=True)


def test_check_tells_every_problem_on_stderr_and_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("sevrer: {}\nlog: {level: loud}\n")
    done = _run(tmp_path, "check", "-c", "bad.yaml")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        'bad.yaml:1:1: sevrer: unknown key; did you mean "server"?',
        "bad.yaml:2:14: log.level: debug or info or warning or error is due",
    ]


def test_check_shows_what_a_good_file_comes_to(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(
        "default_index: dev\n"
        "server: {listen: ['127.0.0.1:0', 'unix:/run/s'], workers: 2}\n"
        "cache: {dir: /data}\n"
        "indexes:\n"
        "  corp: {mirrors: ['https://me:hidden@m.example/simple', {url: 'https://n.example', name: other}]}\n"
        "  dev: {layers: [{index: corp, owns: ['acme-*']}]}\n"
    )
    (tmp_path / "good.yaml").chmod(0o600)
    done = _run(tmp_path, "check", "-c", "good.yaml")
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "good.yaml: ok",
        "",
        "  index  mirror     serves  address",
        "  corp   m.example  both    https://m.example/simple/",
        "         other      both    https://n.example/",
        "* dev    corp       layer   owns acme-*",
        "",
        "listen  127.0.0.1:0, unix:/run/s",
        "cache   /data",
    ]
    assert "hidden" not in done.stdout + done.stderr


def test_check_warns_on_stderr_and_ends_with_0(tmp_path: Path) -> None:
    """What has no effect is no mistake: the file is fine, and the warning has its line and column."""
    from pypicache.config.load import load  # noqa: PLC0415 - only this test compares with it

    (tmp_path / "pypicache.yaml").write_text("server: {workers: 2}\n")
    done = _run(tmp_path, "check")
    assert done.returncode == 0
    assert done.stdout.startswith("pypicache.yaml: ok\n")
    expected = load(tmp_path / "pypicache.yaml", {}).warnings
    assert done.stderr.splitlines() == [line.replace(f"{tmp_path}/", "") for line in expected]


def test_check_without_a_file_shows_the_shipped_defaults(tmp_path: Path) -> None:
    done = _run(tmp_path, "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("shipped defaults (no configuration file found): ok\n")
    assert "* root/pypi  pypi" in done.stdout
    assert f"cache   {tmp_path}/.cache/pypicache" in done.stdout


def test_the_environment_names_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("mirrors: [tuna]")
    (tmp_path / "pypicache.yaml").write_text("mirrors: [aliyun]")
    assert "tuna" in _run(tmp_path, "check", PYPICACHE_CONFIG="mine.yaml").stdout
    assert "aliyun" in _run(tmp_path, "check", "-c", "pypicache.yaml", PYPICACHE_CONFIG="mine.yaml").stdout


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_missing_file_is_told_and_ends_with_2(tmp_path: Path, command: str) -> None:
    done = _run(tmp_path, command, "-c", "none.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "none.yaml:1:1: cannot be read: No such file or directory\n"


def test_serve_does_not_start_with_a_bad_file(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("server: {listen: nowhere}")
    done = _run(tmp_path, "serve", "--config", "bad.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("bad.yaml:1:18: server.listen: an address is due")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["check", "extra"], ["serve", "--nonsense"], ["check", "-c"]]
)
def test_a_wrong_command_line_ends_with_2(tmp_path: Path, arguments: list[str]) -> None:
    done = _run(tmp_path, *arguments)
    assert done.returncode == 2
    assert "Error: " in done.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["serve", "--help"], ["check", "-h"], ["version", "--help"]]
)
def test_help_goes_to_stdout_and_ends_with_0(tmp_path: Path, arguments: list[str]) -> None:
    done = _run(tmp_path, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: pypicache")


def every_command() -> Iterator[tuple[str, click.Command]]:
    """All of them, those of groups too, by what is typed."""
    pending: list[tuple[str, click.Command]] = [
        (name, command)
        for name in _COMMANDS
        if (command := _Commands().get_command(click.Context(click.Command("pypicache")), name))
    ]
    while pending:
        name, command = pending.pop()
        yield name, command
        if isinstance(command, click.Group):
            pending += [(f"{name} {inner}", each) for inner, each in command.commands.items()]


EVERY_COMMAND = dict(every_command())


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_every_command_and_every_option_has_its_help(name: str) -> None:
    """And the summary in the table is what the command says of itself."""
    command = EVERY_COMMAND[name]
    assert command.help
    silent = [each.opts for each in command.params if isinstance(each, click.Option) and not each.help]
    assert not silent
    if name in _COMMANDS:
        assert command.help.partition("\n\n")[0].replace("\n", " ") == _COMMANDS[name][1]


def test_version_tells_what_it_runs_on(tmp_path: Path) -> None:
    done = _run(tmp_path, "version")
    assert done.returncode == 0
    rows = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert list(rows) == ["pypicache", "Python", "aiohttp", "uvloop"]
    assert done.stdout.startswith(f"pypicache {pypicache.__version__}\n")
    as_json = json.loads(_run(tmp_path, "version", "--json").stdout)
    assert as_json["pypicache"] == pypicache.__version__
    assert as_json["python"] == rows["Python"]


def test_the_command_line_imports_nothing_heavy(tmp_path: Path) -> None:
    """--help and usage errors answer at once: no server, no YAML, no distlib."""
    code = "import sys, pypicache.cli; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"aiohttp", "uvloop", "yaml", "distlib", "asyncio", "rich"} & set(done.stdout.split())
