"""A project's page as a value: `Project`, its `File`s, and what names and digests are.

The field names are the standard's. In reading order: PEP 503 (pages, names, hashes), 592 (yanked),
629 (the version of the API), 658 and 714 (metadata sidecars), 691 (JSON), 700 (versions, size,
upload time), 708 (tracks, alternate locations), 740 (provenance), 792 (project status).

Values are frozen through and through (tuples only), so one page can be shared by every request.
They know nothing of HTML or JSON: `pep503` and `pep691` turn them into either and back.
"""

from __future__ import annotations

import re
from typing import NewType

import msgspec
from packaging.utils import canonicalize_name

ProjectName = NewType("ProjectName", str)
"""A project name, valid and normalised (PEP 503); made by `project_name` only."""

API_VERSION = (1, 4)
"""The version of the Simple API that pypicache speaks: all of 1.4 (PEP 792)."""

MAX_NAME = 200
"""Longer project names are refused: no index has them, and file systems and logs dislike them."""

_NAME = re.compile(r"[A-Z0-9](?:[A-Z0-9._-]*[A-Z0-9])?", re.IGNORECASE | re.ASCII)
_FILENAME = re.compile(r"[^\x00-\x1f\x7f-\x9f/\\\ud800-\udfff]+")
_NAME_MAX = 255


def project_name(text: str) -> ProjectName | None:
    """The normalised name, or None when `text` can't name a project (core metadata specification, Name)."""
    if len(text) > MAX_NAME or not _NAME.fullmatch(text):
        return None
    return ProjectName(canonicalize_name(text))


def valid_filename(text: str) -> bool:
    """Whether `text` may name a file on a page: one path segment, no control characters, not hidden, ≤ 255 bytes."""
    return bool(_FILENAME.fullmatch(text)) and not text.startswith(".") and len(text.encode()) <= _NAME_MAX


class Digest(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A hash of a file's bytes: a hashlib algorithm and lower-case hexadecimal digits."""

    algorithm: str
    value: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.value}"


STRENGTH = (
    "sha256",
    "sha512",
    "sha384",
    "blake2b",
    "sha3_512",
    "sha3_256",
    "blake2s",
    "sha224",
    "sha1",
    "md5",
)
"""Algorithms that bytes are checked with, the preferred one first; a page's others are shown and never used."""

_HEX_DIGITS = {"sha256": 64, "sha512": 128, "sha384": 96, "sha224": 56, "sha1": 40, "md5": 32}
_HEX = re.compile(r"[0-9a-f]{1,256}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ALGORITHM = re.compile(r"[a-z0-9_-]{1,32}")


def digest(algorithm: str, value: str) -> Digest | None:
    """A checked digest in lower case, or None if it can't be one (wrong length, not hexadecimal, odd name)."""
    if algorithm == "sha256" and _SHA256.fullmatch(value):  # nearly every one
        return Digest(algorithm, value)
    algorithm, value = algorithm.strip().lower(), value.strip().lower()
    if not _ALGORITHM.fullmatch(algorithm) or not _HEX.fullmatch(value):
        return None
    if len(value) != _HEX_DIGITS.get(algorithm, len(value)):
        return None
    return Digest(algorithm, value)


class File(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One file that a page lists: a wheel, an sdist, or something older.

    Stored pages are arrays of these, so a field is only ever added at the end, with a default.
    """

    filename: str
    """The last segment of its URL, decoded; the anchor's text in HTML (PEP 503)."""

    url: str
    """Where the origin has it: absolute, without fragment, exactly as the origin wrote it."""

    hashes: tuple[Digest, ...] = ()
    """What its bytes hash to, in the page's order; empty when the page doesn't say."""

    size: int | None = None
    """In bytes (PEP 700); None when the page doesn't say."""

    upload_time: str | None = None
    """`YYYY-MM-DDTHH:MM:SS[.ffffff]Z` (PEP 700), in the origin's own precision."""

    requires_python: str | None = None
    """A version specifier (PEP 345), verbatim: what a client makes of a bad one is the client's business."""

    yanked: bool | str = False
    """Whether it was yanked (PEP 592); a string is the reason, and is never empty."""

    core_metadata: bool | tuple[Digest, ...] | None = None
    """Its sidecar (PEP 658, PEP 714): hashes of it, True when there is one, False when not, None when unsaid."""

    gpg_sig: bool | None = None
    """Whether a signature sits beside it (PEP 503)."""

    provenance: str | None = None
    """The URL of its provenance object (PEP 740)."""

    origin: str = ""
    """The mirror whose listing of it counts; empty where that is the page's own (`rules.merge`)."""

    def hash(self, algorithm: str) -> str | None:
        """The hexadecimal digest by that algorithm, if the page gives one."""
        for each in self.hashes:
            if each.algorithm == algorithm:
                return each.value
        return None

    @property
    def sha256(self) -> str | None:
        """The digest that names its bytes here, if the page gives it."""
        return self.hash("sha256")

    @property
    def best_digest(self) -> Digest | None:
        """The strongest digest that bytes can be checked with, or None."""
        if len(self.hashes) == 1:  # as good as always
            only = self.hashes[0]
            return only if only.algorithm in STRENGTH else None
        ranked = [h for h in self.hashes if h.algorithm in STRENGTH]
        return min(ranked, key=lambda h: STRENGTH.index(h.algorithm), default=None)

    @property
    def has_sidecar(self) -> bool:
        """Whether the page promises `<file>.metadata`."""
        return self.core_metadata is True or isinstance(self.core_metadata, tuple)


class Withdrawal(msgspec.Struct, frozen=True, array_like=True):
    """A file that a mirror took off its page, so that another one that lags can't bring it back."""

    filename: str
    origin: str
    """The mirror that did so."""


STATUSES = ("active", "archived", "quarantined", "deprecated")
"""The project statuses of PEP 792."""


class Project(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One project's page, as one index gives it.

    Stored pages are these, so a field is only ever added at the end, with a default.
    """

    name: ProjectName
    files: tuple[File, ...] = ()
    versions: tuple[str, ...] = ()
    """Every version, in the page's order (PEP 700); worked out from the file names where the page has none."""

    api_version: tuple[int, int] = (1, 0)
    """The version of the API that the origin announced (PEP 629), at most `API_VERSION`."""

    status: str | None = None
    """One of `STATUSES` (PEP 792); None when unsaid, which means active."""

    status_reason: str | None = None
    tracks: tuple[str, ...] = ()
    """Project pages that this one extends (PEP 708)."""

    alternate_locations: tuple[str, ...] = ()
    """Project pages elsewhere that are the same project (PEP 708)."""

    withdrawn: tuple[Withdrawal, ...] = ()
    """What was taken off this page, of several mirrors' (`rules.merge`); never shown."""

    def file(self, filename: str) -> File | None:
        """The file of that name, if the page lists it."""
        return next((f for f in self.files if f.filename == filename), None)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Project)


def dump(project: Project) -> bytes:
    """The page as bytes for the store; equal pages give equal bytes."""
    return _ENCODER.encode(project)


def load(data: bytes) -> Project:
    """The page that `dump` wrote. Raises ValueError (msgspec.ValidationError) on anything else."""
    return _DECODER.decode(data)
