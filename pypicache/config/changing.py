"""A change to the configuration file: made, judged as a whole, and put in the file's place in one step.

What comes of it must be a configuration, and must differ from what was there in the index that was meant and in nothing
else; otherwise nothing happens. The file keeps its mode and owner, and a link to it stays one. Whoever changes
it at the same time by these means waits; what an editor wrote in between is not overwritten. All of it blocks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pypicache.config.document import MAX_BYTES
from pypicache.config.edit import IndexChange, edited
from pypicache.config.load import load
from pypicache.config.schema import Config
from pypicache.errors import BadRequest, CannotChange, ConfigError, one_line

_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


def apply(path: Path, change: IndexChange, env: Mapping[str, str]) -> tuple[bytes, bytes]:
    """Make the change in the file at `path`; what was in it before, and what is now.

    Raises BadRequest for a change that makes no sense or no sound configuration, ConfigError when the file isn't one
    already, CannotChange when it can't be written.
    """
    with _alone(path) as target:
        data = _read(target)
        before = load(path, env, data=data)
        made = _sound(path, before, edited(data.decode("utf-8-sig"), change), change, env)
        if made != data:
            _put(target, made, instead_of=data)
        return data, made


def restore(path: Path, before: bytes, after: bytes) -> None:
    """Take a change back: put `before` in the place of `after`. Raises CannotChange when it isn't that any more."""
    with _alone(path) as target:
        if before != after:
            _put(target, before, instead_of=after)


def _sound(
    path: Path, before: Config, texts: tuple[str, str], change: IndexChange, env: Mapping[str, str]
) -> bytes:
    """The first of the texts that means what it should. Raises BadRequest with what is wrong with them."""
    problems: tuple[str, ...] = ()
    for text in texts:
        data = text.encode()
        try:
            after = load(path, env, data=data)
        except ConfigError as error:
            problems = error.problems
            continue
        if _beside(before, change.index) == _beside(after, change.index):
            return data
        problems = ("it would change more than that index; the file has to be changed by hand",)
    told = (re.sub(rf"^{re.escape(str(path))}:\d+:\d+: ", "", problem) for problem in problems)
    raise BadRequest(one_line("; ".join(told), 1000))


def _beside(config: Config, index: str) -> Config:
    """The configuration without that index, its place, and what isn't of the file."""
    others = {name: settings for name, settings in config.indexes.items() if name != index}
    return replace(config, indexes=others, path=None, warnings=())


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[Path]:
    """The file that `path` leads to, while nobody else changes it by these means: its folder is locked."""
    target = Path(os.path.realpath(path))
    try:
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _cannot(target, error) from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield target
    finally:
        os.close(folder)


def _read(target: Path) -> bytes:
    try:
        with target.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _cannot(target, error) from error


def _put(target: Path, data: bytes, *, instead_of: bytes) -> None:
    """Put the data in the file's place, as long as that still holds what it should."""
    try:
        status = target.stat()
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                _as_owned(file.fileno(), status, target)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if _read(target) != instead_of:
                raise CannotChange(f"{target} has been changed meanwhile, and is left as it is: try again")
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
        _sync(target.parent)
    except OSError as error:
        raise _cannot(target, error) from error


def _as_owned(file: int, status: os.stat_result, target: Path) -> None:
    """Give the new file the owner and mode of the old one."""
    made = os.fstat(file)
    if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
        try:
            os.fchown(file, status.st_uid, status.st_gid)
        except OSError as error:
            raise CannotChange(
                f"{target} belongs to user {status.st_uid} and group {status.st_gid}, and a new file of user "
                f"{os.geteuid()} would not: change it as its owner, or chown it"
            ) from error
    os.fchmod(file, status.st_mode & 0o7777)


def _sync(folder: Path) -> None:
    """Have the new name survive a power cut, where the file system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _cannot(target: Path, error: OSError) -> CannotChange:
    remedy = ""
    if error.errno in _READ_ONLY:
        remedy = (
            f": change it as a user who may (`pypicache index set`), or let this one write to {target.parent} "
            "(under systemd: ReadWritePaths)"
        )
    return CannotChange(f"{target} can't be changed: {error.strerror or error}{remedy}")
