"""Stored files by name: where each is, and every way in which one comes, is used, and goes.

A blob is `blobs/sha256/ab/cd/<64 digits>`. Its modification time is when it was last used, its access time its *credit*
(`rules.eviction`): what is known of a file's use is in the file, and survives the process. Both are set outright; the reads
of this program leave them alone, and those of a backup change at most the credit, whose bounds are known.

Whoever reads a blob has it locked (flock, shared), also from another process, and a kill lets go of it. So `evict` can tell
whether somebody does. That a file came or went is booked in `usage` in the same breath.

All of it blocks. It may not import anything of the package but errors, rules.eviction and its own folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pypicache.errors import StoreError
from pypicache.rules.eviction import Candidate, bounded_credit, credit_after
from pypicache.store.files import entries, open_plain, same_file, store_error, sync_directory
from pypicache.store.quarantine import Quarantine
from pypicache.store.sharing import Sharing
from pypicache.store.usage import Sums, Usage

SHA256 = re.compile(r"[0-9a-f]{64}")
DIRECTORY = re.compile(r"[0-9a-f]{2}")


class BlobFiles:
    """The files in `root/blobs/sha256`. `usage` is told what comes and goes; `now` gives seconds since the epoch."""

    def __init__(
        self,
        root: Path,
        *,
        usage: Usage,
        quarantine: Quarantine,
        sharing: Sharing,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.directory = root / "blobs" / "sha256"
        self._made = bytearray(1 << 16)
        """Which of the directories have been seen, by the four digits that they are named by."""
        self._usage = usage
        self._quarantine = quarantine
        self._sharing = sharing
        self._now = now

    def path(self, sha256: str) -> Path:
        """Where the blob of that digest is, if it is."""
        return self.directory / sha256[:2] / sha256[2:4] / sha256

    def beginning_with(self, digits: str) -> str | None:
        """The digest of the one blob whose digest begins with these digits, four at least; None if there is none or several."""
        found = [
            entry.name
            for entry in entries(self.directory / digits[:2] / digits[2:4], 1)
            if entry.name.startswith(digits) and SHA256.fullmatch(entry.name)
        ]
        return found[0] if len(found) == 1 else None

    def share(self, root: Path) -> None:
        """Give all that is there the modes that it should have. Raises StoreError with the remedy."""
        self._sharing.settle(root, self.directory)

    # Coming

    def publish(self, part: Path, fd: int, sha256: str, size: int, *, charged: int, fsync: bool) -> None:
        """Give the open file `part` its blob's name; `charged` is what was booked for it as a spool. Raises OSError, StoreError."""
        path = self.path(sha256)
        self._sharing.file(fd)
        now = self._now()
        os.utime(fd, (now, now))
        if fsync:
            os.fdatasync(fd)
        if not same_file(part, fd):
            raise StoreError("a partial file was removed from the cache while it was written")
        self._sharing.make_directories(path.parent, self.directory)
        with self._usage.locked(blob=sha256) as sums:
            before = _plain_size(path)
            try:
                part.rename(path)
            except IsADirectoryError:
                self._quarantine.take(path)
                part.rename(path)
            sums.spools -= charged
            sums.blob(sha256, size - (before or 0), 0 if before is not None else 1)
        if fsync:
            sync_directory(path.parent)

    def put(
        self, part: str, fd: int, sha256: str, size: int, *, fits: Callable[[Sums, int], bool], fsync: bool
    ) -> bool:
        """As `publish`, of a file for which nothing was booked, with as few words to the disk as can be.

        False, and nothing has happened, where it doesn't fit or the place is taken by something else. Raises OSError, StoreError.
        """
        directory = (
            f"{self.directory}/{sha256[:2]}/{sha256[2:4]}"  # a `Path` would take longer to make than to open
        )
        self._sharing.file(fd)
        now = self._now()
        os.utime(fd, (now, now))
        if fsync:
            os.fdatasync(fd)
        if not self._made[int(sha256[:4], 16)]:
            self._make(directory, sha256)
        try:
            done = self._name(part, fd, directory, sha256, size, fits)
        except FileNotFoundError:  # somebody has removed it
            self._make(directory, sha256)
            done = self._name(part, fd, directory, sha256, size, fits)
        if done and fsync:
            sync_directory(Path(directory))
        return done

    def _make(self, directory: str, sha256: str) -> None:
        self._sharing.make_directories(Path(directory), self.directory)
        self._made[int(sha256[:4], 16)] = True

    def _name(
        self, part: str, fd: int, directory: str, sha256: str, size: int, fits: Callable[[Sums, int], bool]
    ) -> bool:
        path = f"{directory}/{sha256}"
        with self._usage.locked() as sums:
            if not fits(sums, size):
                return False
            if not same_file(part, fd):
                raise StoreError("a file was removed from the cache while it was written")
            before = _plain_size(path)
            try:
                os.rename(part, path)  # noqa: PTH104 - as above
            except IsADirectoryError:
                return False
            sums.blob(sha256, size - (before or 0), 0 if before is not None else 1)
        return True

    # What is there

    def look(self, sha256: str) -> Candidate | None:
        """The blob of that digest, as eviction sees it; None when there is none."""
        try:
            status = self.path(sha256).lstat()
        except OSError:
            return None
        return _candidate(sha256, status) if stat.S_ISREG(status.st_mode) else None

    def scan(self, shard: int) -> Iterator[Candidate]:
        """Every blob whose digest begins with these two digits, in no order. Follows no links; skips what goes meanwhile."""
        for directory, prefix in self.directories(shard):
            for entry in entries(directory, depth=1):
                if SHA256.fullmatch(entry.name) and entry.name.startswith(prefix):
                    with contextlib.suppress(OSError):
                        status = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(status.st_mode):
                            yield _candidate(entry.name, status)

    def count(self, shard: int) -> list[Candidate]:
        """The shard's blobs; from now on the usage knows exactly these.

        They are looked at twice: the first time has the disk bring what it must, so that nobody waits for it at the lock.
        """
        for directory, _ in self.directories(shard):
            for entry in entries(directory, depth=1):
                with contextlib.suppress(OSError):
                    entry.stat(follow_symlinks=False)
        with self._usage.locked() as sums:
            found = list(self.scan(shard))
            sums.counted_blobs(shard, size=sum(each.size for each in found), count=len(found))
        return found

    def directories(self, shard: int) -> Iterator[tuple[str, str]]:
        """The directories in which a shard's blobs are, each with what their names begin with; none that is a link."""
        top = self.directory / f"{shard:02x}"
        for entry in entries(top, depth=1) if not top.is_symlink() else ():
            if DIRECTORY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                yield entry.path, top.name + entry.name

    # Use

    def used(self, sha256: str, uses: int, at: float) -> None:
        """Write down that the blob was used so many times, last `at`. What can't be written down is forgotten."""
        known = self.look(sha256)
        if known is not None:
            with contextlib.suppress(OSError):
                credit = credit_after(known.credit, at, uses)
                os.utime(self.path(sha256), (credit, at), follow_symlinks=False)

    # Going

    def delete(self, sha256: str) -> int | None:
        """Remove the blob, whoever reads it, and they read on; its size, None when there was none. Raises StoreError."""
        path = self.path(sha256)
        try:
            with self._usage.locked(blob=sha256) as sums:
                size = _plain_size(path)
                path.unlink()
                if size is not None:
                    sums.blob(sha256, -size, -1)
                return size or 0
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise store_error("the cache can't delete a file", error) from error

    def evict(self, sha256: str) -> int | None:
        """Remove the blob unless somebody reads it; its size, None when it stays or isn't there. Raises StoreError."""
        path = self.path(sha256)
        try:
            found = open_plain(path)
            if isinstance(found, str):
                return None
            fd, status = found
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with self._usage.locked(blob=sha256) as sums:
                    if not same_file(path, fd):
                        return None
                    path.unlink()
                    sums.blob(sha256, -status.st_size, -1)
                return status.st_size
            finally:
                os.close(fd)
        except (FileNotFoundError, BlockingIOError):
            return None
        except OSError as error:
            raise store_error("the cache can't delete a file", error) from error


def _plain_size(path: Path | str) -> int | None:
    """The size of the plain file there; None when there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _candidate(sha256: str, status: os.stat_result) -> Candidate:
    used_at = status.st_mtime
    return Candidate(sha256, status.st_size, used_at, bounded_credit(status.st_atime, used_at))
