"""What an index says about its files, as it should be said: pages in JSON and HTML, and legacy JSON.

`Entry` is one file of a page, `Page` one project with its options; both are plain values. Nothing here knows
of requests or faults. Every field a page may carry can be set to a lie.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any, Literal, TypedDict

from tests.wheels import Artifact

JSON_V1 = "application/vnd.pypi.simple.v1+json"
HTML_V1 = "application/vnd.pypi.simple.v1+html"
HTML = "text/html"

EPOCH = 1_700_000_000
"""The Last-Modified of revision 0, in seconds since 1970; every change adds a second."""

CoreMetadata = bool | Literal["bare"] | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, and what the page says of it."""

    artifact: Artifact
    path: str
    """Where the origin serves it."""
    url: str | None
    """The link in the page, where it isn't to `path`."""
    hashes: Mapping[str, str]
    size: int | None
    core_metadata: CoreMetadata
    requires_python: str | None
    yanked: bool | str
    upload_time: str | None
    extra: Mapping[str, object]
    """Further JSON members of the file, as they stand."""
    etag: str | None
    """Of the file: a quoted ETag, or None for no validators at all."""
    listed: bool

    @property
    def has_sidecar(self) -> bool:
        """Whether `path + ".metadata"` is served."""
        return self.core_metadata is not False and self.artifact.metadata is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One project's page and how it is served; `Origin.project` changes it."""

    name: str
    entries: tuple[Entry, ...] = ()
    revision: int = 0
    form: Literal["json", "html", "both"] = "both"
    """What the index can speak; `both` goes by Accept."""
    links: Literal["absolute", "root", "relative"] = "absolute"
    api_version: str = "1.1"
    meta: Mapping[str, object] = field(default_factory=dict)
    """Further members of `meta` in JSON, `pypi:` meta elements in HTML."""
    versions: Sequence[str] | None = None
    """None: those of the files."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Further members of the page in JSON (PEP 708, PEP 792)."""
    etag: bool | str = True
    last_modified: bool = True
    content_type: str | None = None
    """None: the right one."""
    body: bytes | None = None
    """The body, whatever the files are."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    gzip: bool = False
    """Whether it goes out gzipped to clients that accept it."""


class PageOptions(TypedDict, total=False):
    """What `Origin.project` takes; see `Page`."""

    form: Literal["json", "html", "both"]
    links: Literal["absolute", "root", "relative"]
    api_version: str
    meta: Mapping[str, object]
    versions: Sequence[str] | None
    extra: Mapping[str, object]
    etag: bool | str
    last_modified: bool
    content_type: str | None
    body: bytes | None
    status: int
    headers: Mapping[str, str]
    gzip: bool


def modified(revision: int) -> str:
    """The HTTP date of a revision."""
    return formatdate(EPOCH + revision, usegmt=True)


def default_path(artifact: Artifact) -> str:
    """Where the origin keeps a file unless told: two digits, two digits, the rest, as the public index does."""
    digest = hashlib.blake2b(artifact.data, digest_size=32).hexdigest()
    return f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{artifact.filename}"


def negotiated(page: Page, accept: str) -> str:
    """The media type of the answer to this Accept header: JSON if it is named at all, then the HTML that is."""
    if page.form != "html" and (page.form == "json" or JSON_V1 in accept):
        return JSON_V1
    return HTML_V1 if HTML_V1 in accept else HTML


def render(page: Page, media_type: str, base: str) -> bytes:
    """The page; `base` is the origin's URL."""
    if page.body is not None:
        return page.body
    return _json(page, base) if media_type == JSON_V1 else _html(page, base)


def render_index(names: Sequence[str], media_type: str) -> bytes:
    """The list of all projects."""
    if media_type == JSON_V1:
        projects = [{"name": name} for name in names]
        return json.dumps({"meta": {"api-version": "1.1"}, "projects": projects}).encode()
    anchors = "".join(f'<a href="{name}/">{name}</a>\n' for name in names)
    return f"<!DOCTYPE html><html><body>\n{anchors}</body></html>\n".encode()


def render_legacy(page: Page, base: str) -> bytes:
    """`/pypi/{name}/json`: what clients still read of it."""
    releases: dict[str, list[dict[str, object]]] = {}
    for entry in page.entries:
        one = {"filename": entry.artifact.filename, "url": _link(page, entry, base), "digests": entry.hashes}
        releases.setdefault(entry.artifact.version, []).append({**one, "size": entry.size})
    latest = page.entries[-1].artifact.version if page.entries else ""
    info = {"name": page.name, "version": latest}
    return json.dumps({"info": info, "releases": releases, "urls": releases.get(latest, [])}).encode()


def _link(page: Page, entry: Entry, base: str) -> str:
    if entry.url is not None:
        return entry.url
    prefix = {"absolute": base, "root": "", "relative": "../.."}[page.links]
    return prefix + entry.path


def _sidecar_hashes(entry: Entry) -> Mapping[str, str] | bool:
    if isinstance(entry.core_metadata, Mapping):
        return entry.core_metadata
    if not entry.has_sidecar:
        return False
    if entry.core_metadata == "bare":
        return True
    return {"sha256": hashlib.sha256(entry.artifact.metadata or b"").hexdigest()}


def _json(page: Page, base: str) -> bytes:
    listed = [entry for entry in page.entries if entry.listed]
    versions = page.versions
    if versions is None:
        versions = list(dict.fromkeys(entry.artifact.version for entry in listed))
    content: dict[str, Any] = {
        "meta": {"api-version": page.api_version, **page.meta},
        "name": page.name,
        "versions": list(versions),
        "files": [_json_file(page, entry, base) for entry in listed],
        **page.extra,
    }
    return json.dumps(content).encode()


def _json_file(page: Page, entry: Entry, base: str) -> dict[str, object]:
    sidecar = _sidecar_hashes(entry)
    described: dict[str, object] = {
        "filename": entry.artifact.filename,
        "url": _link(page, entry, base),
        "hashes": dict(entry.hashes),
        "requires-python": entry.requires_python,
        "yanked": entry.yanked,
        "core-metadata": sidecar,
        "data-dist-info-metadata": sidecar,
    }
    if entry.size is not None:
        described["size"] = entry.size
    if entry.upload_time is not None:
        described["upload-time"] = entry.upload_time
    return {**described, **entry.extra}


def _html(page: Page, base: str) -> bytes:
    metas = {"repository-version": page.api_version, **page.meta}
    head = "".join(f'<meta name="pypi:{k}" content="{html.escape(str(v))}">' for k, v in metas.items())
    anchors = "".join(_anchor(page, entry, base) for entry in page.entries if entry.listed)
    return f"<!DOCTYPE html><html><head>{head}</head><body>\n{anchors}</body></html>\n".encode()


def _anchor(page: Page, entry: Entry, base: str) -> str:
    fragment = next((f"#{algorithm}={value}" for algorithm, value in entry.hashes.items()), "")
    attributes = {"href": _link(page, entry, base) + fragment}
    if entry.requires_python is not None:
        attributes["data-requires-python"] = entry.requires_python
    if entry.yanked is not False:
        attributes["data-yanked"] = "" if entry.yanked is True else entry.yanked
    sidecar = _sidecar_hashes(entry)
    if sidecar:
        pairs = "true" if sidecar is True else ",".join(f"{k}={v}" for k, v in sidecar.items())
        attributes["data-core-metadata"] = attributes["data-dist-info-metadata"] = pairs
    written = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<a {written}>{html.escape(entry.artifact.filename)}</a><br>\n"
