"""What a devpi-server directory holds: which files, and what they are said to be.

devpi keeps a file at `+files/<user>/<index>/+f/<3 digits>/<13 digits>/<file name>`, where the digits begin the hash that the
file's link had (SHA-256 where it had one), or below `+e/` where it had none. What a file has to be is decided by our own
pages: the index's page lists it with a digest. Where no page lists it, the digits are what there is to go by.

It reads, and changes nothing anywhere.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pypicache.errors import PypicacheError
from pypicache.index.locate import SIDECAR, sidecar_of
from pypicache.simple.filenames import is_distribution
from pypicache.simple.links import project_candidates
from pypicache.simple.model import File, Project, ProjectName, valid_filename
from pypicache.store.files import STEP, entries

OTHERS = ("md5", "sha1", "sha224", "sha384", "sha512", "blake2b")
"""What a path's digits may be of where they aren't of the SHA-256."""

_DIGITS = re.compile(r"[0-9a-f]{3}/[0-9a-f]{13}")


@dataclass(frozen=True, slots=True)
class Found:
    """A file that devpi holds."""

    path: Path
    index: str
    """devpi's, as user/index."""
    digits: str
    """The first 16 of the hash that its link had; empty where it had none."""
    size: int

    @property
    def project(self) -> ProjectName | None:
        """The likeliest."""
        return next(iter(project_candidates(self.path.name.removesuffix(SIDECAR))), None)


def find(directory: Path) -> Iterator[Found]:
    """Every distribution (and sidecar) that devpi holds there. Raises PypicacheError when it isn't devpi's directory."""
    root = directory if directory.name == "+files" else directory / "+files"
    if not root.is_dir():
        raise PypicacheError(f"{directory} is no directory of devpi-server: it has no +files")
    for folder in entries(root, depth=3):
        if folder.name in {"+f", "+e"} and folder.is_dir(follow_symlinks=False):
            yield from _files(folder)


def _files(folder: os.DirEntry[str]) -> Iterator[Found]:
    """Those below one index's `+f` or `+e`."""
    index = "/".join(Path(folder.path).parts[-3:-1])
    hashed = folder.name == "+f"
    for entry in entries(folder.path, depth=3 if hashed else 2):
        name = entry.name.removesuffix(SIDECAR)
        if not entry.is_file(follow_symlinks=False) or not is_distribution(name) or not valid_filename(name):
            continue
        digits = "/".join(Path(entry.path).parts[-3:-1])
        yield Found(
            path=Path(entry.path),
            index=index,
            digits=digits.replace("/", "") if hashed and _DIGITS.fullmatch(digits) else "",
            size=entry.stat(follow_symlinks=False).st_size,
        )


def listed_as(project: Project, name: str) -> tuple[File, File] | None:
    """The file (or the sidecar) of that name, as the page has it, and the file that it is, or belongs to."""
    listed = project.file(name.removesuffix(SIDECAR))
    if listed is None:
        return None
    return (sidecar_of(listed) if name.endswith(SIDECAR) else listed), listed


def hashes_of(fd: int, size: int, algorithms: Iterable[str]) -> dict[str, str]:
    """The file's digests: SHA-256, and by these algorithms, in one reading. Raises OSError."""
    hashers = {name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", *algorithms}}
    for start in range(0, size, STEP):
        piece = os.pread(fd, min(STEP, size - start), start)
        for hasher in hashers.values():
            hasher.update(piece)
    return {name: hasher.hexdigest() for name, hasher in hashers.items()}


def agrees(file: File, digests: Mapping[str, str]) -> bool:
    """Whether the page says this digest of the file."""
    best = file.best_digest
    return best is not None and digests[best.algorithm] == best.value


def why_not(found: Found, listed: Sequence[File], digests: Mapping[str, str]) -> str | None:
    """Why a file that no page vouches for isn't taken; None when the digits in its path do."""
    said = next((file.best_digest for file in listed if file.best_digest is not None), None)
    if said is not None:
        return f"its page says {said}, and it is {said.algorithm}:{digests[said.algorithm]}"
    if not found.digits:
        return "no page lists it with a digest, and devpi has none"
    if any(digest.startswith(found.digits) for digest in digests.values()):
        return None
    return "no page lists it with a digest, and it isn't what its path in devpi says"
