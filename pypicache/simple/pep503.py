"""HTML pages to `Project` and back (PEP 503, with what 592, 629, 658, 708, 714, 740 and 792 add to it).

PEP 700's size and upload time have no HTML form; `data-size` and `data-upload-time` are read and written
all the same, since indexes write them and uv reads them. Versions are worked out from the file names.

Anchors that lead elsewhere are skipped, but a page must prove to be one: a login page or a captive portal
is HTML as well, and taken for an index page it would say that the project has no files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from pypicache.simple import fields
from pypicache.simple.filenames import all_versions, is_distribution
from pypicache.simple.markup import Element, elements, escape
from pypicache.simple.model import Digest, File, Project, ProjectName, valid_filename

_META = "pypi:"
_SEPARATORS = re.compile(r"[-_.]+")
_SIZE = re.compile(r"[0-9]{1,19}")


def parse(body: bytes, *, url: str, name: ProjectName) -> Project:
    """The page at `url` (the final one, after redirects). Raises ValueError when it isn't a project's page."""
    page = _Page(base=fields.page_base(url))
    for element in elements(body):
        page.take(element)
    version = fields.api_version(page.meta("repository-version"))
    files: dict[str, File] = {}
    for anchor in page.anchors:
        file = _file(anchor, page.base)
        if file is not None:
            files.setdefault(file.filename, file)
    if page.meta("repository-version") is None and not any(_belongs(file, name) for file in files):
        raise ValueError(
            "the page is HTML, but not a project's page: it links to none of the project's files"
        )
    return Project(
        name=name,
        files=tuple(files.values()),
        versions=all_versions(files, name, ()),
        api_version=version,
        status=fields.status(page.meta("project-status")),
        status_reason=fields.text_or_none(page.meta("project-status-reason")),
        tracks=fields.links(page.base, page.metas.get("tracks", ())),
        alternate_locations=fields.links(page.base, page.metas.get("alternate-locations", ())),
    )


class _Page:
    """What of a page's elements matters, gathered in one pass."""

    def __init__(self, *, base: str) -> None:
        self.base = base
        self.anchors: list[Element] = []
        self.metas: dict[str, list[str]] = {}
        self._based = False

    def take(self, element: Element) -> None:
        """Sort one element in. Raises ValueError when there are too many."""
        attributes = element.attributes
        if element.name == "a" and "href" in attributes:
            self.anchors.append(element)
            if len(self.anchors) > fields.MAX_FILES:
                raise ValueError(f"the page has more than {fields.MAX_FILES} links")
        elif element.name == "meta" and attributes.get("name", "").lower().startswith(_META):
            key = attributes["name"].lower().removeprefix(_META)
            self.metas.setdefault(key, []).append(attributes.get("content", ""))
        elif element.name == "base" and "href" in attributes and not self._based:
            self._based = True  # only the first counts, even when it is of no use
            self.base = fields.link(self.base, attributes["href"]) or self.base

    def meta(self, key: str) -> str | None:
        """The content of the first meta element of that name."""
        return self.metas[key][0] if key in self.metas else None


def _file(anchor: Element, base: str) -> File | None:
    """The file that an anchor stands for, or None when it leads elsewhere."""
    attributes = anchor.attributes
    href = attributes["href"]
    url = fields.link(base, href)
    filename = _filename(url, anchor) if url is not None else None
    if url is None or filename is None:
        return None
    fragment = href.partition("#")[2] if "#" in href else ""
    size = attributes.get("data-size", "").strip()
    return File(
        filename=filename,
        url=url,
        hashes=_hashes(fragment),
        size=fields.size(int(size)) if _SIZE.fullmatch(size) else None,
        upload_time=fields.upload_time(attributes.get("data-upload-time", "").strip()),
        requires_python=fields.text_or_none(attributes.get("data-requires-python")),
        yanked=fields.yanked(attributes.get("data-yanked")),
        core_metadata=_sidecar(attributes),
        gpg_sig={"true": True, "false": False}.get(attributes.get("data-gpg-sig", "").strip().lower()),
        provenance=fields.link(base, attributes.get("data-provenance", "")),
    )


def _filename(url: str, anchor: Element) -> str | None:
    """The last segment of the link, or else the anchor's text, if one of them names a distribution."""
    try:
        segment = unquote(url.partition("?")[0].rpartition("/")[2], errors="strict")
    except UnicodeDecodeError:
        segment = ""
    if is_distribution(segment):
        return segment if valid_filename(segment) else None
    text = anchor.text
    return text if is_distribution(text) and valid_filename(text) else None


def _hashes(fragment: str) -> tuple[Digest, ...]:
    """The hashes in `sha256=…&md5=…`, among which other things may stand."""
    pairs = [pair.split("=", 1) for pair in fragment.split("&") if "=" in pair]
    return fields.digests((key, value) for key, value in pairs if key.lower() in fields.HASH_NAMES)


def _sidecar(attributes: dict[str, str]) -> bool | tuple[Digest, ...] | None:
    """`data-core-metadata`, or `data-dist-info-metadata` by its older name (PEP 714): a hash, or true."""
    said = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata"))
    if said is None:
        return None
    said = said.strip()
    if said.lower() in {"true", "false"}:
        return said.lower() == "true"
    return _hashes(said) or (True if "=" in said else None)


def _belongs(filename: str, name: ProjectName) -> bool:
    return _SEPARATORS.sub("-", filename).lower().startswith(name)


def render(project: Project, *, href: Callable[[File], str]) -> bytes:
    """The page as HTML5; `href` gives each file's link, to which its hash is added as the fragment.

    Equal pages and links give equal bytes.
    """
    title = escape(f"Links for {project.name}")
    metas = [
        ("repository-version", fields.announced_version(project)),
        ("project-status", project.status),
        ("project-status-reason", project.status_reason),
        *(("tracks", page) for page in project.tracks),
        *(("alternate-locations", page) for page in project.alternate_locations),
    ]
    lines = ["<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">']
    lines += [
        f'<meta name="{_META}{key}" content="{escape(text)}">' for key, text in metas if text is not None
    ]
    lines += [f"<title>{title}</title>", "</head>", "<body>", f"<h1>{title}</h1>"]
    lines += [_anchor(file, href(file)) for file in project.files]
    lines += ["</body>", "</html>", ""]
    return "\n".join(lines).encode()


def _anchor(file: File, href: str) -> str:
    digest = _shown_hash(file.hashes)
    fragment = f"#{digest}" if digest is not None and "#" not in href else ""
    parts = [f'<a href="{escape(href)}{fragment}"']
    if file.requires_python is not None:
        parts.append(f'data-requires-python="{escape(file.requires_python)}"')
    if file.size is not None:
        parts.append(f'data-size="{file.size}"')
    if file.upload_time is not None:
        parts.append(f'data-upload-time="{escape(file.upload_time)}"')
    if file.yanked is not False:
        parts.append(f'data-yanked="{"" if file.yanked is True else escape(file.yanked)}"')
    if file.has_sidecar:
        # True has no hash to show, and False no form: PEP 658 knows the attribute only for files that have one.
        shown = _shown_hash(file.core_metadata) if isinstance(file.core_metadata, tuple) else None
        value = "true" if shown is None else shown
        parts.append(f'data-core-metadata="{value}" data-dist-info-metadata="{value}"')
    if file.gpg_sig is not None:
        parts.append(f'data-gpg-sig="{"true" if file.gpg_sig else "false"}"')
    if file.provenance is not None:
        parts.append(f'data-provenance="{escape(file.provenance)}"')
    return f"{' '.join(parts)}>{escape(file.filename)}</a><br>"


def _shown_hash(hashes: tuple[Digest, ...]) -> str | None:
    """`algorithm=value` of the one hash that HTML has room for: sha256 if there is one, else the first that it can carry."""
    usable = [item for item in hashes if item.algorithm in fields.HASH_NAMES]
    shown = next((item for item in usable if item.algorithm == "sha256"), usable[0] if usable else None)
    return None if shown is None else f"{shown.algorithm}={shown.value}"
