"""Which file a link means: from a path below `packages/` to a `File` on a page.

Pure functions over stored pages, module-level and with small results, so that a big page is searched in the
helper process. The page is the authority: a path that its page doesn't list leads nowhere.
"""

from __future__ import annotations

import msgspec

from pypicache.rules import policy
from pypicache.simple import model
from pypicache.simple.links import decode_path, packages_path
from pypicache.simple.model import Digest, File, ProjectName
from pypicache.store.linkrecord import LinkRecord

SIDECAR = ".metadata"
"""The suffix of a sidecar's path (PEP 658)."""


class Located(msgspec.Struct, frozen=True):
    """A file, as its page lists it."""

    file: File
    refusal: str | None = None
    """Why the index doesn't hand it out, if it doesn't."""


def find(page: bytes, path: tuple[str, ...]) -> Located | None:
    """The file that the page links at that path (decoded segments below `packages/`), or None."""
    project = model.load(page)
    for file in project.files:
        if (
            file.filename == path[-1]
            and decode_path(packages_path(project.name, file.url, file.filename)) == path
        ):
            return Located(file, _refusal(project))
    return None


def _refusal(project: model.Project) -> str | None:
    verdict = policy.judge_project(project)
    return None if isinstance(verdict, policy.Allow) else verdict.reason


def sidecar_of(file: File) -> File:
    """The sidecar as a file of its own: where it is, and what it hashes to if the page says."""
    hashes: tuple[Digest, ...] = file.core_metadata if isinstance(file.core_metadata, tuple) else ()
    return File(filename=file.filename + SIDECAR, url=file.url + SIDECAR, hashes=hashes)


def project_of_path(path: tuple[str, ...]) -> ProjectName | None:
    """The project that the path itself names (`-/{project}/{filename}`), or None."""
    return model.project_name(path[1]) if len(path) == 3 and path[0] == "-" else None  # noqa: PLR2004 - the form's


def pinned(file: File, remembered: LinkRecord | None) -> File:
    """The file with the digest that it had when it was first seen, if its page gives none: other bytes are refused."""
    if file.best_digest is not None or remembered is None or remembered.sha256 is None:
        return file
    return msgspec.structs.replace(file, hashes=(Digest("sha256", remembered.sha256),))
