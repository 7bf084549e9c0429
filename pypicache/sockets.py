"""The sockets that clients connect to: those that systemd hands over, or else those of the configuration.

They are bound before anything else is opened, so that a daemon that can't listen says so at once and touches nothing.
A socket listens from then on: who connects while the rest starts waits a moment. Accepting is not done here, and
nothing here knows HTTP.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from collections.abc import Iterable, MutableMapping, Sequence
from pathlib import Path

from pypicache.config.schema import Listen
from pypicache.errors import PypicacheError, one_line

BACKLOG = 1024
"""Connections that may wait to be accepted; the kernel may allow fewer (net.core.somaxconn)."""

FIRST_PASSED = 3
"""The descriptor of the first socket that systemd hands over (sd_listen_fds(3))."""

_UNIX_MODE = 0o666
"""Who may connect: everyone who may pass the directories above, as with a port on loopback."""

_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
"""A family or an address that this machine doesn't have: what a name stands for beside it is used."""


class Listener:
    """A socket that listens. `name` is what people and tests call it; `path` that of a Unix socket of our own making.

    `others` listen on the same port, one for each further process; where there are none, processes share the socket.
    """

    def __init__(
        self, sock: socket.socket, path: Path | None = None, others: Sequence[socket.socket] = ()
    ) -> None:
        self.sock = sock
        self._all = (sock, *others)
        self.name = _name(sock, path)
        self._path = path
        self._made = None if path is None else path.stat().st_ino

    def only(self, process: int) -> Listener:
        """What the process of that number accepts from, having been forked: the others' sockets are none of its business."""
        mine = self._all[process % len(self._all)]
        for sock in self._all:
            if sock is not mine:
                sock.close()
        return Listener(mine)

    def close(self) -> None:
        """Listen no more; a Unix socket's name goes, unless another one has taken it."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                if self._path.lstat().st_ino == self._made:
                    self._path.unlink()
            self._path = None
        for sock in self._all:
            sock.close()


def open_listeners(
    addresses: Iterable[Listen], env: MutableMapping[str, str] = os.environ, *, processes: int = 1
) -> tuple[Listener, ...]:
    """Every socket to accept from, for so many processes. Raises PypicacheError with one line that names the address and what is wrong."""
    if passed := _passed(env):
        return tuple(passed)
    made: list[Listener] = []
    try:
        for address in addresses:
            made += _listen(address, processes)
    except BaseException:
        for listener in made:
            listener.close()
        raise
    return tuple(made)


def _passed(env: MutableMapping[str, str]) -> list[Listener]:
    """The sockets that systemd hands over, taken out of the environment; none when it doesn't."""
    pid, count = env.pop("LISTEN_PID", ""), env.pop("LISTEN_FDS", "")
    env.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    passed = []
    for fd in range(FIRST_PASSED, FIRST_PASSED + int(count)):
        try:
            sock = socket.socket(fileno=fd)
            listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        except OSError as error:
            raise PypicacheError(f"descriptor {fd} from LISTEN_FDS: {error.strerror}") from error
        if sock.type != socket.SOCK_STREAM or not listens:
            raise PypicacheError(
                f"descriptor {fd} from LISTEN_FDS isn't a stream socket that listens: the unit needs ListenStream="
            )
        sock.set_inheritable(False)
        passed.append(Listener(sock))
    return passed


def _listen(address: Listen, processes: int) -> Sequence[Listener]:
    try:
        if address.unix is not None:
            return [_unix(address.unix)]
        return _tcp(address.host, address.port or 0, processes)
    except OSError as error:
        raise PypicacheError(f"can't listen on {address}: {error.strerror or error}") from error


def _tcp(host: str | None, port: int, processes: int) -> list[Listener]:
    """A socket for each address that the host stands for. Raises OSError when there is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    made: list[Listener] = []
    absent: OSError | None = None
    try:
        for family, _, _, _, where in dict.fromkeys(found):
            # Several addresses, and the system chooses the port: the same one for all.
            chosen = made[0].sock.getsockname()[1] if made else where[1]
            try:
                made.append(_spread(family, (where[0], chosen, *where[2:]), processes))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                absent = error
    except BaseException:
        for listener in made:
            listener.close()
        raise
    if not made and absent is not None:
        raise absent
    return made


def _spread(family: int, where: tuple[object, ...], processes: int) -> Listener:
    """A socket there for each process, among which Linux spreads the connections (SO_REUSEPORT, socket(7)).

    One socket for all would give most connections to whoever wakes first.
    """
    first = _bound(family, where)
    if processes == 1 or not sys.platform.startswith("linux"):
        return Listener(first)
    where = first.getsockname()
    first.close()  # it has shown that nobody else listens there, which the next ones can't
    made: list[socket.socket] = []
    try:
        made += (_bound(family, where, shared=True) for _ in range(processes))
    except BaseException:
        for sock in made:
            sock.close()
        raise
    return Listener(made[0], others=made[1:])


def _bound(family: int, where: tuple[object, ...], *, shared: bool = False) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # A port whose last connections linger may be used again; one that somebody listens on may not.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # Else [::] would take 0.0.0.0 as well, and couldn't stand beside it.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(where)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock


def _unix(path: Path) -> Listener:
    """A Unix socket at that path. One that nobody answers at is replaced; anything else is left alone (OSError)."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OSError(errno.EEXIST, "something that isn't a socket is there")
        if _answers(path):
            raise OSError(errno.EADDRINUSE, "another program answers there")
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        path.chmod(_UNIX_MODE)
        sock.listen(BACKLOG)
    except BaseException:
        sock.close()
        raise
    return Listener(sock, path)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(0)
        try:
            probe.connect(str(path))
        except BlockingIOError:
            return True  # so many wait there that none more may
        except ConnectionRefusedError:
            return False
    return True


def _name(sock: socket.socket, path: Path | None) -> str:
    if sock.family == socket.AF_UNIX:
        where = sock.getsockname()
        return (
            f"unix:{one_line(str(path or (where if isinstance(where, str) else '@' + where[1:].decode())))}"
        )
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
