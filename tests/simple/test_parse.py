from __future__ import annotations

import json
import pickle
import time

import pytest

from pypicache.simple.model import Project, ProjectName, load
from pypicache.simple.parse import parse_and_dump, parse_page

FOO = ProjectName("foo")
URL = "https://index.example.org/simple/foo/"
JSON = json.dumps(
    {"name": "foo", "files": [{"filename": "foo-1.0.zip", "url": "foo-1.0.zip", "hashes": {}}]}
).encode()
HTML = b"<!DOCTYPE html><a href=foo-1.0.zip data-yanked=w\xc3\xbcrg>foo-1.0.zip</a>"


def page(body: bytes, content_type: str | None) -> Project:
    return parse_page(body, content_type=content_type, url=URL, name=FOO)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (JSON, "application/vnd.pypi.simple.v1+json"),
        (JSON, "Application/Vnd.PyPI.Simple.V1+JSON ; charset=utf-8"),
        (JSON, "application/vnd.pypi.simple.latest+json"),
        (JSON, "application/json"),
        (JSON, "application/octet-stream"),
        (JSON, "text/plain; charset=utf-8"),
        (JSON, "text/html"),
        (JSON, "image/png"),
        (JSON, ""),
        (JSON, None),
        (b"\xef\xbb\xbf \r\n" + JSON, None),
        (HTML, "application/vnd.pypi.simple.v1+html"),
        (HTML, "text/html; charset=UTF-8"),
        (HTML, "application/xhtml+xml"),
        (HTML, "application/octet-stream"),
        (HTML, "text/plain"),
        (HTML, None),
        (b"junk before " + HTML, "text/html"),
    ],
)
def test_b4_the_media_type_decides_and_vague_ones_are_looked_behind(
    body: bytes, content_type: str | None
) -> None:
    assert [file.filename for file in page(body, content_type).files] == ["foo-1.0.zip"]


@pytest.mark.parametrize(
    ("body", "content_type", "why"),
    [
        (HTML, "application/vnd.pypi.simple.v1+json", "not JSON"),
        (HTML, "application/json", "not JSON"),
        (HTML, "image/png", "neither JSON nor HTML: image/png"),
        (HTML, "application/vnd.pypi.simple.v2+html", "neither JSON nor HTML"),
        (b"junk", None, "no media type"),
        (b"PK\x03\x04", "application/octet-stream", "neither"),
        (b"", None, "neither"),
        (b"", "text/html", "not a project's page"),
        (b"junk", "x\n\x1b[31m" * 100, "neither"),
        (b"{}", "text/html", "list of files"),
    ],
)
def test_b4_refusals_are_one_line(body: bytes, content_type: str | None, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        page(body, content_type)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("charset", ["iso-8859-1", "ISO-8859-1", '"latin1"', "windows-1252", "cp1252"])
def test_a_latin_page_is_read_as_one(charset: str) -> None:
    body = HTML.decode().encode("latin-1")
    assert page(body, f"text/html; charset={charset}").files[0].yanked == "würg"


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "punycode", "zlib", "x" * 10**6])
def test_other_charsets_are_taken_for_utf8(charset: str) -> None:
    """A page must not choose the codec that is run over it."""
    assert page(HTML, f"text/html; charset={charset}").files[0].yanked == "würg"


def test_a_helper_process_can_parse() -> None:
    """The function, its arguments and its result cross a process boundary."""
    work = pickle.loads(pickle.dumps(parse_and_dump))
    assert load(work(JSON, "application/json", URL, FOO)) == page(JSON, "application/json")


def test_case_18_twenty_thousand_files_do_not_take_long() -> None:
    """A third of a second on a small machine, one odd file and all; the bound is for a busy one."""
    files = [
        {
            "filename": f"foo-{i}.0-py3-none-any.whl",
            "url": f"https://f.example/packages/{i:040}/foo-{i}.0-py3-none-any.whl",
            "hashes": {"sha256": f"{i:064x}"},
            "upload-time": "2024-01-02T03:04:05.123456Z",
            "size": None if i == 7 else i,
        }
        for i in range(20_000)
    ]
    body = json.dumps({"files": files}).encode()
    start = time.process_time()
    assert len(page(body, "application/json").files) == 20_000
    assert time.process_time() - start < 4
