"""What comes out of the nursery is as if it had been started, and nothing of it is left behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import psutil
import pytest

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.environment import REPOSITORY, clean
from tests.family import lives
from tests.nursery import Born, Nursery, nursery
from tests.origin import Origin
from tests.waiting import until
from tests.wheels import big_page
from tests.whoami import ENDS


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return clean(tmp_path_factory.mktemp("home"), {"PYTHONPATH": str(REPOSITORY)})


@pytest.fixture(scope="module")
def made(env: dict[str, str]) -> Generator[Nursery]:
    """One that has imported all that a daemon needs."""
    with Nursery(env) as started:
        yield started


@pytest.fixture
def small(env: dict[str, str]) -> Generator[Nursery]:
    """One to be ended in many ways."""
    with Nursery(env, ["json"]) as started:
        yield started


def born(where: Nursery, env: dict[str, str], *arguments: str) -> tuple[str, int]:
    """How a program of the nursery's ended, and what it said."""
    child = waiting(where, env, *arguments)
    assert child.stdout is not None
    with child.stdout as said:
        return said.read(), child.wait(20)


def waiting(where: Nursery, env: dict[str, str], *arguments: str) -> Born:
    """A program of the nursery's, which waits for a signal unless it is told something else."""
    return where.popen("tests.whoami", arguments or ["wait"], cwd=Path(env["HOME"]), env=env)


def started(env: dict[str, str], *arguments: str) -> tuple[str, int]:
    """The same by `python -m`."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.whoami", *arguments],
        cwd=env["HOME"],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=20,
        check=False,
    )
    return done.stdout, done.returncode


def test_what_is_born_is_as_if_it_had_been_started(made: Nursery, env: dict[str, str]) -> None:
    """Environment, directory, arguments, descriptors, signals, limits, streams, threads: all that a program could ask for."""
    env = {**env, "COLUMNS": "77", "LATER": "a variable that the nursery itself never had"}
    (facts, code), (expected, expected_code) = born(made, env, "facts", "x y"), started(env, "facts", "x y")
    assert json.loads(facts) == json.loads(expected)
    assert code == expected_code == 0
    assert json.loads(facts)["env"]["LATER"]


@pytest.mark.parametrize("how", ENDS)
def test_it_ends_as_if_it_had_been_started(made: Nursery, env: dict[str, str], how: str) -> None:
    """With its exit code or its signal, after its threads, its exit handlers and its last words."""
    (said, code), (expected, expected_code) = born(made, env, how), started(env, how)
    assert code == expected_code
    assert ("atexit" in said, said.splitlines()[-1:]) == ("atexit" in expected, expected.splitlines()[-1:])


def test_no_two_have_the_same_chance(made: Nursery, env: dict[str, str]) -> None:
    first, second = (json.loads(born(made, env, "chance")[0]) for _ in range(2))
    assert not set(first) & set(second)


def test_its_helper_processes_know_it(made: Nursery, env: dict[str, str]) -> None:
    """They are new interpreters, which import the main module by its name."""
    assert json.loads(born(made, env, "helper")[0]) == json.loads(started(env, "helper")[0])


def test_a_daemon_that_is_born_has_a_helper_process(daemon: Callable[..., Daemon], origin: Origin) -> None:
    origin.project("big", form="json", body=big_page("big", 4_000))
    running = daemon(config_for(origin))
    assert get(f"{running.simple}big/").status == 200
    assert len(running.children()) == 2, "the helper, and what looks after its locks"
    assert "Traceback" not in running.log


def test_a_daemon_that_is_born_imports_nothing_more(
    daemon: Callable[..., Daemon], origin: Origin, made: Nursery, env: dict[str, str]
) -> None:
    """Else each would do it again: what a daemon imports until it is ready belongs into SERVE."""
    asked = daemon(config_for(origin), module="tests.whoami")
    asked.stop()
    needed = set(json.loads(asked.wait_log(r"modules (.*)").group(1)))
    there = set(json.loads(born(made, env, "modules")[0]))
    assert "pypicache.daemon" in needed
    assert needed - there == {"pypicache.cli"}, "imported by `python -m` itself"


def test_the_nursery_has_no_threads_and_keeps_nothing(made: Nursery, env: dict[str, str]) -> None:
    """What has threads can't be forked; and a descriptor that is left would be the next one's too."""
    process = psutil.Process(made.pid)
    born(made, env, "return")
    before = process.num_fds()
    children = [waiting(made, env) for _ in range(3)]
    assert process.num_threads() == 1
    for child in children:
        child.kill()
        assert child.wait(20) == -signal.SIGKILL
        assert child.stdout is not None
        child.stdout.close()
    assert process.children() == []
    assert process.num_fds() == before


def test_a_process_id_is_nobody_elses_until_its_end_was_heard(small: Nursery, env: dict[str, str]) -> None:
    child = waiting(small, env)
    assert child.stdout is not None
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.01)
    assert child.poll() is None
    process = psutil.Process(child.pid)
    os.kill(child.pid, signal.SIGTERM)
    until(lambda: process.status() == psutil.STATUS_ZOMBIE)
    until(lambda: child.poll() is not None)  # which the nursery is asked, and it may not have looked yet
    assert (child.poll(), child.wait(), child.returncode) == (-signal.SIGTERM,) * 3
    assert not psutil.pid_exists(child.pid)
    child.kill()
    child.stdout.close()


def test_nothing_outlives_the_nursery(small: Nursery, env: dict[str, str]) -> None:
    children = [waiting(small, env) for _ in range(2)]
    small.close()
    assert not any(psutil.pid_exists(pid) for pid in (small.pid, *(child.pid for child in children)))
    for child in children:
        assert child.stdout is not None
        assert child.stdout.read() == ""
        child.stdout.close()


def test_when_the_nursery_is_killed_all_end_and_that_is_told(small: Nursery, env: dict[str, str]) -> None:
    child = waiting(small, env)
    assert child.stdout is not None
    os.kill(small.pid, signal.SIGKILL)
    assert child.stdout.read() == ""
    child.stdout.close()
    until(lambda: ended(child.pid))
    with pytest.raises(RuntimeError, match="the nursery is gone"):
        child.wait(20)
    with pytest.raises(RuntimeError, match=r"the nursery ended with -9"):
        waiting(small, env)


def test_a_nursery_that_cannot_begin_says_why(env: dict[str, str]) -> None:
    missing = pytest.raises(RuntimeError, match=r"ended with 1: (?s:.*)No module named 'no_such_module'")
    with Nursery(env, ["no_such_module"]) as unlucky, missing:
        waiting(unlucky, env)


KILLED = """
import json, os, signal, sys
from pathlib import Path
from tests.nursery import Nursery
env = dict(os.environ)
made = Nursery(env, ["json"])
child = made.popen("tests.whoami", ["wait"], cwd=Path("."), env=env)
print(made.pid, child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_outlives_tests_that_are_killed(env: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED],
        cwd=env["HOME"],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    first, second = (int(pid) for pid in done.stdout.split())
    until(lambda: ended(first) and ended(second))


def ended(pid: int) -> bool:
    """Whether that process has, even if nobody has taken notice yet."""
    try:
        return not lives(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True


@pytest.mark.parametrize(
    "extra",
    [
        {"NOTIFY_SOCKET": "/run/n"},
        {"LISTEN_FDS": "1"},
        {"PYTHONDEVMODE": "1"},
        {"COVERAGE_PROCESS_START": "x"},
    ],
)
def test_what_an_interpreter_reads_as_it_starts_needs_a_new_one(
    env: dict[str, str], extra: dict[str, str]
) -> None:
    """A variable that isn't known to be read later is taken to be such a one."""
    assert nursery({**env, **extra}) is None


def test_limits_that_the_nursery_does_not_have_need_a_new_interpreter(env: dict[str, str]) -> None:
    one = nursery(env)
    assert one is not None
    assert nursery({**env, "COLUMNS": "7", "HOME": "/elsewhere"}) is one
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30, hard))
    try:
        assert nursery(env) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert nursery(env) is one
