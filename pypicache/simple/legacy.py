"""Legacy JSON, `/pypi/{project}/json`: a mirror's document brought into agreement with the page, or made from the page.

The form is no standard; it is what the public index has answered for long, and what pip-compile and others read. The
page is the authority: a file that it doesn't list isn't in the answer, one that it lists is, and link, hashes and yanked
marks are the page's. What only the mirror's document says (summary, classifiers, vulnerabilities) is passed on.

Where there is no such document, nothing is invented: a field is null when the page can't tell it, and left out where
even null or an empty list would say something.

Documents come from `legacy_document.parse`, so their types are in order. Nothing here knows where links lead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from packaging.utils import canonicalize_version
from packaging.version import InvalidVersion, Version

from pypicache.simple import fields
from pypicache.simple.filenames import packagetype, python_version, version_of
from pypicache.simple.model import File, Project

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder()

Json = dict[str, Any]


def render(
    project: Project, document: bytes | None, *, version: str | None, href: Callable[[File], str]
) -> bytes | None:
    """The project's legacy JSON, or that of one `version`; None when there is no such version.

    `document` is what `legacy_document.parse` made of a mirror's answer to the same question, or None where there was
    none; `href` gives each file's link. Equal arguments give equal bytes.
    """
    given: Json = {} if document is None else _DECODER.decode(document)
    releases = _releases(project, given, href)
    info: Json = given.get("info", {})
    stated = version if version is not None else info.get("version")
    key = None if stated is None else _same_version(stated, releases)
    if version is not None and key is None:
        return None
    if key is None:
        # There is no document, or it is about a release that has been removed.
        key, info = _latest(releases), {}
    urls = [] if key is None else releases[key]
    answer: Json = {name: value for name, value in given.items() if name not in {"info", "releases", "urls"}}
    answer["info"] = _info(project, info, key, urls)
    if type(answer.get("last_serial")) is not int:
        # No index has this serial; left out, it would stop programs that only read past it.
        answer["last_serial"] = -1
    if version is None:
        answer["releases"] = releases
    answer["urls"] = urls
    return _ENCODER.encode(answer)


def _releases(project: Project, given: Json, href: Callable[[File], str]) -> dict[str, list[Json]]:
    """The page's files by version. A version is spelled as the document does, else in the normal way, as pip asks for it.

    One without files stays if the page knows it or the document had none either: else its files have been removed.
    """
    described: dict[str, tuple[str | None, Json]] = {}
    for key, entries in given.get("releases", {}).items():
        for entry in entries:
            described.setdefault(entry["filename"], (key, entry))
    for entry in given.get("urls", ()):
        described.setdefault(entry["filename"], (None, entry))
    releases: dict[str, list[Json]] = {key: [] for key in given.get("releases", {})}
    spellings = {canonicalize_version(key): key for key in releases}
    wanted = {key for key, entries in given.get("releases", {}).items() if not entries}

    def spelled(version: str) -> str:
        parsed = _parsed(version)
        return spellings.setdefault(canonicalize_version(version), version if parsed is None else str(parsed))

    for version in project.versions:
        wanted.add(key := spelled(version))
        releases.setdefault(key, [])
    for file in project.files:
        known, entry = described.get(file.filename, (None, {}))
        if known is None and (told := version_of(file.filename, project.name)) is not None:
            known = spelled(told)
        if known is not None:
            releases.setdefault(known, []).append(_entry(entry, file, href(file)))
    return {key: listed for key, listed in releases.items() if listed or key in wanted}


def _entry(described: Json, file: File, url: str) -> Json:
    """One file as the page has it, with what only the document knows of it."""
    page_hashes = {item.algorithm: item.value for item in file.hashes}
    digests = {
        item.algorithm: item.value
        for item in fields.digests(
            (key, value) for key, value in (described.get("digests") or {}).items() if isinstance(value, str)
        )
    }
    sizes = {described.get("size"), file.size} - {None}
    if len(sizes) > 1 or any(digests.get(name, value) != value for name, value in page_hashes.items()):
        described, digests = {}, {}  # other bytes, which had this name before
    digests.update(page_hashes)
    moment = file.upload_time
    made: Json = {
        "filename": file.filename,
        "has_sig": file.gpg_sig,
        "md5_digest": digests.get("md5"),
        "packagetype": packagetype(file.filename),
        "python_version": python_version(file.filename),
        "size": file.size,
        "upload_time": None if moment is None else moment[:19],
        "upload_time_iso_8601": moment,
    }
    if file.gpg_sig is None:
        del made["has_sig"]
    kept = {key: value for key, value in described.items() if value is not None or key not in made}
    return {
        **made,
        **kept,
        "digests": digests,
        "requires_python": file.requires_python or described.get("requires_python"),
        "url": url,
        "yanked": file.yanked is not False,
        "yanked_reason": file.yanked if isinstance(file.yanked, str) else None,
    }


def _info(project: Project, given: Json, version: str | None, urls: list[Json]) -> Json:
    """The document's words about the release, or the little that the page knows."""
    reasons = {entry["yanked_reason"] for entry in urls}
    pythons = {entry["requires_python"] for entry in urls}
    made: Json = {
        "name": project.name,
        "version": version,
        "summary": None,
        "requires_dist": None,
        "requires_python": pythons.pop() if len(pythons) == 1 else None,
        "yanked": False,
        "yanked_reason": None,
    }
    answer = {**made, **{key: value for key, value in given.items() if value is not None or key not in made}}
    if urls:
        answer["yanked"] = all(entry["yanked"] for entry in urls)
        answer["yanked_reason"] = reasons.pop() if answer["yanked"] and len(reasons) == 1 else None
    return answer


def _latest(releases: Mapping[str, list[Json]]) -> str | None:
    """The version that the project's own document is about, chosen as the public index does.

    A release that isn't yanked comes before one that is, a stable one before a pre-release, a newer one before an older.
    """
    ranked = []
    for key, listed in releases.items():
        parsed = _parsed(key)
        if parsed is not None and listed:
            ranked.append(
                (not all(entry["yanked"] for entry in listed), not parsed.is_prerelease, parsed, key)
            )
    return max(ranked)[3] if ranked else None


def _same_version(text: str, releases: Mapping[str, list[Json]]) -> str | None:
    """The key under which that version's files are."""
    if text in releases:
        return text
    canonical = canonicalize_version(text)
    return next((key for key in releases if canonicalize_version(key) == canonical), None)


def _parsed(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None
