"""Pages in the shapes that indexes serve: through the daemon, in both forms, nothing is lost and nothing is invented.

The pages in `tests/data/pages` are made, with hosts that don't exist. Each is read here by readers of the test's own,
and what they find is what the daemon's page must say; `tests/live` does the same with real pages.
"""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.conformance.place import HTML, JSON, Place

PAGES = sorted((Path(__file__).parents[1] / "data" / "pages").iterdir())

TYPES = {
    "acme-public.json": JSON,
    "acme-public-html.html": HTML,
    "acme-bare.json": "application/json",
    "acme-devpi-json.json": f"{JSON}; charset=utf-8",
}
"""The others come as text/html; what a mirror says of its JSON isn't always right."""

Facts = dict[str, dict[str, Any]]
"""By file name: the fields that the page states, in JSON's words."""


class _Anchors(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self._open: dict[str, str | None] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = dict(attrs) if tag == "a" else None

    def handle_data(self, data: str) -> None:
        if self._open is not None and data.strip():
            self.found.append((data.strip(), self._open))
            self._open = None


def facts_of_json(page: dict[str, Any]) -> Facts:
    return {
        file["filename"]: _stated(
            hashes=file["hashes"],
            requires_python=file.get("requires-python") or None,
            yanked=file.get("yanked") or None,
            size=file.get("size"),
            upload_time=file.get("upload-time"),
            metadata=file.get("core-metadata", file.get("data-dist-info-metadata")) or None,
            provenance=file.get("provenance"),
        )
        for file in page["files"]
    }


def facts_of_html(text: str) -> Facts:
    found: Facts = {}
    for name, attributes in _Anchors(text).found:
        algorithm, _, value = urlsplit(attributes["href"] or "").fragment.partition("=")
        yanked = attributes.get("data-yanked")
        said = attributes.get("data-core-metadata") or ""
        sidecar, _, digest = said.partition("=")
        size = attributes.get("data-size")
        found[name] = _stated(
            hashes={algorithm: value},
            requires_python=attributes.get("data-requires-python") or None,
            yanked=True if yanked == "" else yanked,
            size=None if size is None else int(size),
            upload_time=attributes.get("data-upload-time"),
            metadata={sidecar: digest} if digest else said == "true" or None,
            provenance=attributes.get("data-provenance"),
        )
    return found


def _stated(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _through(place: Place, path: Path) -> dict[str, Any]:
    """The daemon's page of a mirror that serves this one."""
    form = "json" if path.suffix == ".json" else "html"
    place.origin.project(
        path.stem,
        form=form,  # type: ignore[arg-type] # one of its words
        body=path.read_bytes(),
        content_type=TYPES.get(path.name, "text/html"),
    )
    return place.json(path.stem)


def _named(name: str) -> Path:
    return next(path for path in PAGES if path.name == name)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_d13_1b_case_1_4_7_a_page_loses_nothing(place: Place, path: Path) -> None:
    """In every field that its form has, in its own order; only that wheels have metadata is added."""
    text = path.read_text()
    upstream = facts_of_json(json.loads(text)) if path.suffix == ".json" else facts_of_html(text)
    assert len(upstream) >= 4
    page, html = _through(place, path), place.page(path.stem, accept=HTML).text
    for ours in (facts_of_json(page), facts_of_html(html)):
        assert list(ours) == list(upstream)
        for filename, stated in upstream.items():
            added = set(ours[filename]) - set(stated)
            assert added <= ({"metadata"} if filename.endswith(".whl") else set())
            assert {key: ours[filename][key] for key in stated} == stated
    for file in page["files"]:
        assert unquote(file["url"]).endswith(f"/{file['filename']}")
        assert file["url"].startswith("../../packages/")


def test_d1_d10_d12_what_a_whole_page_says(place: Place) -> None:
    """Status and reason, versions and their order, announced versions; an index's private keys stay its own."""
    stated = json.loads(_named("acme-public.json").read_text())
    page = _through(place, _named("acme-public.json"))
    assert page["versions"] == stated["versions"]
    assert page["project-status"] == stated["project-status"]
    assert page["meta"] == {"api-version": "1.4"}
    html = place.html("acme-public")
    assert html.meta("pypi:project-status-reason") == [stated["project-status"]["reason"]]
    assert _through(place, _named("acme-public-html.html"))["project-status"] == {"status": "deprecated"}
    assert _through(place, _named("acme-nexus.html"))["versions"] == ["0.9", "1.0", "1.1", "2.0", "1!3.0rc1"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("acme-gitlab.html", "../../packages/pypi/files/"),
        ("acme-artifactory.html", "../../packages/packages/"),
        ("acme-nexus.html", "../../packages/acme-nexus/"),
        ("acme-public.json", "../../packages/"),
        ("acme-devpi.html", "../../packages/-/acme-devpi/"),
        ("acme-pytorch.html", "../../packages/-/acme-pytorch/"),
    ],
)
def test_a12_links_keep_the_origins_path(place: Place, name: str, expected: str) -> None:
    """What follows its first `packages/`; where there is none, the project and the file's name."""
    assert all(file["url"].startswith(expected) for file in _through(place, _named(name))["files"])
