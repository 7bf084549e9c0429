"""What an archive of the cache holds: its first member, `manifest.json`, which names every other one with its digest.

A manifest tells of everything that was exported, also of what an incremental archive leaves out since an earlier one has it:
so each is what the next one is made against. ::

    manifest.json
    blobs/sha256/ab/cd/<64 digits>              files and sidecars, named by their bytes
    projects/<index>/<project>.msgpack          page, facts and links (`kept`), after the files that they lead to

Values and text only: no tar, no disk.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from pypicache.care.kept import Damaged
from pypicache.errors import one_line
from pypicache.simple.model import project_name

FORMAT = 1
"""The version of the archive's layout; a later one that this program can't read has a higher one."""

NAME = "manifest.json"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_INDEX = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9][A-Za-z0-9._-]{0,99})?", re.ASCII)


class Held(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One member, by its digest."""

    sha256: str
    size: int
    content: str = ""
    """Of a project's: the digest of what is in it but for when mirrors were asked."""
    left_out: bool = False
    """Whether it isn't in this archive, since the earlier one has it."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What was exported."""

    format: int = FORMAT
    pypicache: str = ""
    """The version that made it."""
    since: str | None = None
    """The digest of the earlier archive's manifest, of an incremental one."""
    blobs: tuple[Held, ...] = ()
    """In the order of their digests."""
    projects: dict[str, Held] = {}
    """By index, a space, and name."""

    def members(self) -> Iterator[tuple[str, Held]]:
        """The names of the members that are in the archive, in their order, with what each is."""
        for held in self.blobs:
            if not held.left_out:
                yield blob_member(held.sha256), held
        for key in sorted(self.projects):
            if not self.projects[key].left_out:
                yield project_member(key), self.projects[key]


def blob_member(sha256: str) -> str:
    """What the member with that blob is called."""
    return f"blobs/sha256/{sha256[:2]}/{sha256[2:4]}/{sha256}"


def project_member(key: str) -> str:
    """What the member with that project's record is called."""
    return f"projects/{key.replace(' ', '/')}.msgpack"


def dump(manifest: Manifest) -> bytes:
    """As the archive has it; equal manifests give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1) + b"\n"


def load(data: bytes) -> Manifest:
    """What `dump` wrote, checked. Raises Damaged."""
    try:
        version = msgspec.json.decode(data, type=_Version).format
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Damaged(f"it begins with no manifest: {one_line(str(error))}") from None
    if version > FORMAT:
        raise Damaged(
            f"a later pypicache wrote it (format {version}, this one reads {FORMAT}): upgrade pypicache"
        )
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Damaged(f"its manifest can't be read: {one_line(str(error))}") from None
    digests = [held.sha256 for held in (*manifest.blobs, *manifest.projects.values())]
    sizes = [held.size for held in (*manifest.blobs, *manifest.projects.values())]
    if not all(map(_SHA256.fullmatch, digests)) or min(sizes, default=0) < 0:
        raise Damaged("its manifest has digests that aren't any")
    for key in manifest.projects:
        index, _, project = key.partition(" ")
        if not _INDEX.fullmatch(index) or project_name(project) != project:
            raise Damaged(f"its manifest has a project {one_line(key, 80)}, which can't be")
    return manifest


class _Version(msgspec.Struct):
    format: int


def less(manifest: Manifest, earlier: Manifest, digest: str) -> Manifest:
    """The same, without what the earlier one has; `digest` is that of the earlier manifest's bytes."""
    blobs = {held.sha256 for held in earlier.blobs}
    contents = {key: held.content for key, held in earlier.projects.items()}
    return msgspec.structs.replace(
        manifest,
        since=digest,
        blobs=tuple(msgspec.structs.replace(held, left_out=held.sha256 in blobs) for held in manifest.blobs),
        projects={
            key: msgspec.structs.replace(held, left_out=contents.get(key) == held.content)
            for key, held in manifest.projects.items()
        },
    )
