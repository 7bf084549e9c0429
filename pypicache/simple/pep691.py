"""JSON pages to `Project` and back (PEP 691, with what 700, 708, 714, 740 and 792 add to it).

A sound page goes through one typed decoder. When that refuses it, the page is taken apart by hand:
optional fields of the wrong type are left out, files without a sound name, link or hashes are dropped,
and the rest of the page is kept. What isn't a page at all raises ValueError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from pypicache.simple import fields
from pypicache.simple.filenames import all_versions
from pypicache.simple.model import Digest, File, Project, ProjectName, valid_filename

MAX_VERSION = 200
"""Longer version texts are dropped, in characters."""

_MAX_DIGITS = 18
_COLLECTIONS = frozenset(
    {
        "alternate-locations",
        "core-metadata",
        "dist-info-metadata",
        "hashes",
        "project-status",
        "tracks",
        "versions",
    }
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class _FileIn(msgspec.Struct, rename="kebab"):
    filename: str
    url: str
    hashes: dict[str, str] | None = None
    requires_python: str | None = None
    size: int | None = None
    upload_time: str | None = None
    yanked: bool | str | None = False
    core_metadata: bool | dict[str, str] | None = None
    dist_info_metadata: bool | dict[str, str] | None = None
    gpg_sig: bool | None = None
    provenance: str | None = None


class _StatusIn(msgspec.Struct):
    status: str | None = None
    reason: str | None = None


class _MetaIn(msgspec.Struct, rename="kebab"):
    api_version: str | int | float | None = None
    project_status: _StatusIn | str | None = None
    tracks: list[str] | None = None
    alternate_locations: list[str] | None = None


class _PageIn(msgspec.Struct, rename="kebab"):
    files: list[_FileIn]
    name: str | None = None
    versions: list[str] | None = None
    meta: _MetaIn | None = None
    project_status: _StatusIn | str | None = None
    tracks: list[str] | None = None
    alternate_locations: list[str] | None = None


class _FileOut(msgspec.Struct, rename="kebab"):
    filename: str
    hashes: dict[str, str]
    url: str
    requires_python: str | UnsetType = UNSET
    size: int | UnsetType = UNSET
    upload_time: str | UnsetType = UNSET
    yanked: bool | str = False
    core_metadata: bool | dict[str, str] | UnsetType = UNSET
    dist_info_metadata: bool | dict[str, str] | UnsetType = UNSET
    gpg_sig: bool | UnsetType = UNSET
    provenance: str | UnsetType = UNSET


_PAGE = msgspec.json.Decoder(_PageIn)
_ENCODER = msgspec.json.Encoder()


def parse(body: bytes, *, url: str, name: ProjectName) -> Project:
    """The page at `url` (the final one, after redirects). Raises ValueError when it isn't that project's page."""
    page = _decode(body.removeprefix(b"\xef\xbb\xbf"))
    meta = page.meta if page.meta is not None else _MetaIn()
    version = fields.api_version(None if meta.api_version is None else str(meta.api_version))
    if page.name is not None:
        fields.check_name(page.name, name)
    base = fields.page_base(url)
    files: dict[str, File] = {}
    for item in page.files:
        file = _file(item, base)
        if file is not None:
            files.setdefault(file.filename, file)
    status = page.project_status if page.project_status is not None else meta.project_status
    status = _StatusIn(status=status) if isinstance(status, str) else status or _StatusIn()
    stated = [text for text in page.versions or () if 0 < len(text) <= MAX_VERSION]
    return Project(
        name=name,
        files=tuple(files.values()),
        # What the index states is kept: it knows which release a file belongs to, the file's name may not (PEP 700).
        versions=tuple(dict.fromkeys(stated)) or all_versions(files, name, ()),
        api_version=version,
        status=fields.status(status.status),
        status_reason=fields.text_or_none(status.reason),
        tracks=fields.links(base, meta.tracks or page.tracks or ()),
        alternate_locations=fields.links(base, page.alternate_locations or meta.alternate_locations or ()),
    )


def _file(item: _FileIn, base: str) -> File | None:
    """The file, or None when its name or link can't be used."""
    url = fields.link(base, item.url)
    # A name that ends so would be taken for another file's sidecar or signature.
    if url is None or not valid_filename(item.filename) or item.filename.endswith((".metadata", ".asc")):
        return None
    said = item.core_metadata if item.core_metadata is not None else item.dist_info_metadata
    return File(
        filename=item.filename,
        url=url,
        hashes=fields.digests(item.hashes.items()) if item.hashes else (),
        size=fields.size(item.size),
        upload_time=fields.upload_time(item.upload_time) if item.upload_time is not None else None,
        requires_python=fields.text_or_none(item.requires_python),
        yanked=fields.yanked(item.yanked),
        core_metadata=fields.sidecar(said),
        gpg_sig=item.gpg_sig,
        provenance=fields.link(base, item.provenance) if item.provenance is not None else None,
    )


def _decode(body: bytes) -> _PageIn:
    try:
        page = _PAGE.decode(body)
    except (ValueError, RecursionError):
        page = _salvage(body)
    if len(page.files) > fields.MAX_FILES:
        raise ValueError(f"the page has more than {fields.MAX_FILES} files")
    return page


def _salvage(body: bytes) -> _PageIn:
    """A page that the typed decoder refused, as far as it makes sense."""
    raw = _read(body)
    if not isinstance(raw, dict) or not isinstance(raw.get("files"), list):
        raise ValueError("the page is no JSON object with a list of files")  # noqa: TRY004 - a refusal of hostile text
    if len(raw["files"]) > fields.MAX_FILES:
        raise ValueError(f"the page has more than {fields.MAX_FILES} files")
    files = [file for item in raw["files"] if (file := _salvage_file(item)) is not None]
    rest = _sound({**raw, "files": []}, _PageIn)
    meta = _MetaIn(**_sound(raw["meta"], _MetaIn)) if isinstance(raw.get("meta"), dict) else None
    return _PageIn(**{**rest, "files": files, "meta": meta})


def _salvage_file(raw: object) -> _FileIn | None:
    """The file without its unsound fields, or None when one of those it can't do without is unsound."""
    try:
        file = msgspec.convert(raw, _FileIn)
        _ENCODER.encode(file)
    except (ValueError, RecursionError):
        return _salvage_fields(raw)
    return file


def _salvage_fields(raw: object) -> _FileIn | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("hashes"), dict | None):
        return None
    if not isinstance(raw.get("yanked"), bool | str):
        raw = {**raw, "yanked": bool(raw.get("yanked"))}  # a mark of an odd type is still a mark
    sound = _sound(raw, _FileIn)
    return _FileIn(**sound) if {"filename", "url"} <= sound.keys() else None


def _sound(raw: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The fields of a `kind` whose values have the right types."""
    sound: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        if field.encode_name in raw:
            value = raw[field.encode_name]
            if field.encode_name in _COLLECTIONS:
                value = _texts(value)
            try:
                sound[field.name] = msgspec.convert(value, field.type)
                _ENCODER.encode(value)  # a lone surrogate can be escaped in JSON, but neither stored nor sent
            except (ValueError, RecursionError):
                sound.pop(field.name, None)
    return sound


def _texts(value: Any) -> Any:
    """A list or object without the members that are no text; anything else as it is."""
    if isinstance(value, dict):
        return {key: text for key, text in value.items() if _is_text(key) and _is_text(text)}
    if isinstance(value, list):
        return [text for text in value if _is_text(text)]
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and _SURROGATE.search(value) is None


def _read(body: bytes) -> Any:
    """Any JSON text; also with NaN, numbers beyond bounds and broken UTF-8, which the typed decoder refuses."""
    try:
        return json.loads(body.decode("utf-8", "replace"), parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise ValueError("the page is not JSON") from error


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


def render(project: Project, *, href: Callable[[File], str]) -> bytes:
    """The page as JSON; `href` gives each file's link. Equal pages and links give equal bytes.

    Nothing is null: what the page doesn't say is left out, since uv refuses a page with `"size": null`.
    """
    meta: dict[str, object] = {"api-version": fields.announced_version(project)}
    if project.tracks:
        meta["tracks"] = project.tracks
    page: dict[str, object] = {"meta": meta, "name": project.name}
    if project.status is not None:
        reason = {} if project.status_reason is None else {"reason": project.status_reason}
        page["project-status"] = {"status": project.status, **reason}
    if project.alternate_locations:
        page["alternate-locations"] = project.alternate_locations
    page["versions"] = project.versions
    page["files"] = [_out(file, href(file)) for file in project.files]
    return _ENCODER.encode(page)


def _out(file: File, href: str) -> _FileOut:
    said = file.core_metadata
    sidecar = UNSET if said is None else said if isinstance(said, bool) else _mapping(said)
    return _FileOut(
        filename=file.filename,
        hashes=_mapping(file.hashes),
        url=href,
        requires_python=UNSET if file.requires_python is None else file.requires_python,
        size=UNSET if file.size is None else file.size,
        upload_time=UNSET if file.upload_time is None else file.upload_time,
        yanked=file.yanked,
        core_metadata=sidecar,
        dist_info_metadata=sidecar,
        gpg_sig=UNSET if file.gpg_sig is None else file.gpg_sig,
        provenance=UNSET if file.provenance is None else file.provenance,
    )


def _mapping(digests: tuple[Digest, ...]) -> dict[str, str]:
    return {item.algorithm: item.value for item in digests}
