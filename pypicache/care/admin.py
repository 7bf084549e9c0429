"""The admin socket: where it is, who may come in, and what is said on it.

Each process that serves has one, `admin/<process id>.sock` in the cache directory, which only the owner can open: the
directory lets nobody else pass, the socket has mode 0600, and whoever connects is asked of the system. On it, HTTP: one POST
with an order (`orders`), answered by lines of JSON: what has been done so far, and at the end what came of it. ::

    {"stage": "files", "total": 1000, "done": 200}
    {"answer": {"order": "verify", …}}      or      {"error": "…", "status": 400}
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pypicache.care.orders import AnyOrder
from pypicache.care.progress import Progress, Silent
from pypicache.errors import BadRequest, PypicacheError, StoreError, one_line
from pypicache.store.files import private_directory

FOLDER = "admin"
MAX_ORDER = 16 << 20
"""Bytes of an order: a long list of projects."""

_LINUX = Path("/proc/self/fd")


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is."""

    stage: str
    total: int
    done: int


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """It went wrong."""

    error: str
    status: int


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Any of the lines, as it is read."""

    stage: str | None = None
    total: int = 0
    done: int = 0
    answer: msgspec.Raw = msgspec.Raw()
    error: str | None = None


_DECODER: msgspec.json.Decoder[AnyOrder] = msgspec.json.Decoder(AnyOrder)


def bind(root: Path) -> tuple[socket.socket, Path]:
    """The socket of this process, bound, and its path. Sockets of processes that have ended go. Raises StoreError, OSError."""
    if not hasattr(socket, "AF_UNIX"):
        raise StoreError(
            "this system has no Unix sockets, so there is no admin socket: commands work on the directory itself"
        )
    folder = root / FOLDER
    private_directory(folder)
    for path in sockets(root):
        with contextlib.suppress(OSError), _connected(path):
            continue
        path.unlink(missing_ok=True)
    path = folder / f"{os.getpid()}.sock"
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as name:
            made.bind(name)
        path.chmod(0o600)
    except BaseException:
        made.close()
        raise
    return made, path


def ask(place: Path | socket.socket, order: AnyOrder, progress: Progress | None = None) -> bytes:
    """Give the order to the process at that socket; its answer, as JSON. Blocking.

    Raises PypicacheError when it fails there or is refused, OSError or HTTPException when nobody answers.
    """
    connection = _Connection(place if isinstance(place, socket.socket) else _open(place))
    try:
        connection.request("POST", "/", body=msgspec.json.encode(order))
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            raise PypicacheError(one_line(response.read(1000).decode("utf-8", "replace").strip()))
        return _answer(response, progress or Silent())
    finally:
        connection.close()


def _answer(response: http.client.HTTPResponse, progress: Progress) -> bytes:
    stage, done = None, 0
    for data in response:
        line = msgspec.json.decode(data, type=Line)
        if line.error is not None:
            raise PypicacheError(line.error)
        if answer := bytes(line.answer):
            return answer
        if (line.stage, line.total) != stage:
            stage, done = (line.stage, line.total), 0
            progress.begin(line.stage or "", line.total)
        progress.step(line.done - done)
        done = line.done
    raise PypicacheError("the daemon broke off in the middle of it: its log may say why")


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket that is connected already. No answer is waited for too long: hashing a cache takes hours."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__("localhost")
        self._connected = connected

    def connect(self) -> None:
        self.sock = self._connected


def sockets(root: Path) -> list[Path]:
    """The sockets of processes that serve, or did."""
    with contextlib.suppress(OSError):
        return sorted(path for path in (root / FOLDER).iterdir() if stat.S_ISSOCK(path.lstat().st_mode))
    return []


def connect(root: Path) -> socket.socket | None:
    """Connected to a process that serves from that directory; None when none does. Raises OSError when it may not be."""
    for path in sockets(root):
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            return _open(path)
    return None


def somebody_serves(root: Path) -> bool:
    """Whether a daemon has that cache directory, by the lock that it holds (`store.owner`)."""
    try:
        fd = os.open(root / "daemon.lock", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def is_owner(peer: socket.socket) -> bool:
    """Whether it is this user, or root, who connected. Where the system doesn't tell, the modes have to do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return uid in {0, os.geteuid()}


@contextmanager
def _connected(path: Path) -> Iterator[socket.socket]:
    opened = _open(path)
    try:
        yield opened
    finally:
        opened.close()


def _open(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short(path) as name:
            made.connect(name)
    except BaseException:
        made.close()
        raise
    return made


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for the path that a socket's address has room for (about 100 bytes), whatever the cache directory is called."""
    if len(os.fsencode(path)) < 100 or not _LINUX.is_dir():  # noqa: PLR2004 - see above
        yield str(path)
        return
    fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"{_LINUX}/{fd}/{path.name}"
    finally:
        os.close(fd)


def parse(data: bytes) -> AnyOrder:
    """The order in that JSON. Raises BadRequest."""
    try:
        order: AnyOrder = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise BadRequest(f"that is no order: {error}") from None
    return order
