"""The process that tests fork programs from: it has imported what they need, which is most of a start.

`python -m tests.cradle FD MODULE...` imports those modules, and is told by datagrams on that socket what to start, each with
the descriptors to start it with (`nursery` has the other end). It has neither threads nor a loop, so that a fork of it is what
a new interpreter would be by then. It ends, and all that came of it, when nobody is left who could ask.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from dataclasses import dataclass
from multiprocessing import process

LARGEST = 1 << 16
"""Bytes of a request: an environment and a few paths."""

_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Order:
    """What to run: `python -m module arguments`, there and so. Everything else is as in this process."""

    module: str
    arguments: list[str]
    cwd: str
    env: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Child:
    """One that was forked. Through the channel, its process id is told, and then how it ended; until that has been heard, it stays a zombie."""

    pid: int
    pidfd: int
    channel: socket.socket


class Cradle:
    """Forks as it is told through that socket."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._living: dict[int, _Child] = {}
        self._ended: dict[int, _Child] = {}
        """By the descriptor that is waited for: the process's, then the channel's."""
        self._poll = select.poll()
        self._poll.register(orders, select.POLLIN)

    def rock(self) -> tuple[Order, list[int]] | None:
        """Fork until nobody can ask any more: None. In a child: what it is to become, and its standard streams."""
        while True:
            for fd, _ in self._poll.poll():
                if fd in self._living:
                    self._tell_end(fd)
                elif fd in self._ended:
                    self._bury(fd)
                else:
                    data, fds, _, _ = socket.recv_fds(self._orders, LARGEST, 4)
                    if not data:
                        self._end()
                        return None
                    if not self._fork(socket.socket(fileno=fds.pop(0)), fds):
                        return Order(**json.loads(data)), fds

    def _fork(self, channel: socket.socket, fds: list[int]) -> int:
        """The child's process id; in the child, 0."""
        parent = os.getpid()
        pid = os.fork()
        if pid:
            for fd in fds:
                os.close(fd)
            child = _Child(pid, os.pidfd_open(pid), channel)
            self._living[child.pidfd] = child
            self._poll.register(child.pidfd, select.POLLIN)
            channel.send(str(pid).encode())
            return pid
        assert _prctl is not None
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died a moment ago
            os._exit(1)
        channel.close()
        self._orders.close()
        for child in (*self._living.values(), *self._ended.values()):
            os.close(child.pidfd)
            child.channel.close()
        return 0

    def _tell_end(self, pidfd: int) -> None:
        child = self._living.pop(pidfd)
        self._poll.unregister(pidfd)
        how = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
        assert how is not None
        code = how.si_status if how.si_code == os.CLD_EXITED else -how.si_status
        self._ended[child.channel.fileno()] = child
        self._poll.register(child.channel, select.POLLIN)
        try:
            child.channel.send(str(code).encode())
        except BrokenPipeError:  # nobody wants to know
            self._bury(child.channel.fileno())

    def _bury(self, channel: int) -> None:
        """It has been heard how that one ended: from now on its process id may be another's."""
        child = self._ended.pop(channel)
        self._poll.unregister(channel)
        os.waitpid(child.pid, 0)
        os.close(child.pidfd)
        child.channel.close()

    def _end(self) -> None:
        for child in self._living.values():
            os.kill(child.pid, signal.SIGKILL)
        for child in (*self._living.values(), *self._ended.values()):
            os.waitpid(child.pid, 0)


def _become(order: Order, fds: list[int]) -> None:
    """Be as `python -m` of that module is before it imports it."""
    for standard, fd in enumerate(fds):
        os.dup2(fd, standard)
        os.close(fd)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(order.cwd)
    process.current_process().authkey = os.urandom(32)
    process.ORIGINAL_DIR = sys.path[0] = order.cwd  # type: ignore[attr-defined]
    os.environ.clear()
    os.environ.update(order.env)
    sys.argv[1:] = order.arguments
    sys.orig_argv[1:] = ["-m", order.module, *order.arguments]


class _End:
    """The last that an interpreter does: when threads have ended and `atexit` is done, what was imported isn't taken apart.

    To touch all of it would copy all of it, and take longer than a start.
    """

    code: int | None = None
    """The exit code; None where the interpreter has more to say than that."""

    def __call__(self) -> None:
        if self.code is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.code)


def main() -> None:
    """Fork, and in a child run what was asked for."""
    end = _End()
    atexit.register(end)  # before anything else, so that it comes last
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for those who know what to do then
    orders = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else the first collection in a child would copy it all
    if (born := Cradle(orders).rock()) is None:
        return
    _become(*born)
    try:
        runpy.run_module(born[0].module, run_name="__main__", alter_sys=True)
    except SystemExit as error:
        end.code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        raise
    end.code = 0


if __name__ == "__main__":
    main()
