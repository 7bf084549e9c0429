"""A daemon and its origin as the conformance tests use them: every answer is checked against the rules that hold for all.

Whatever a test looks for, an answer must also carry our name, frame its body, say nothing that a client can't
bear, and, if it is an error, be one plain line that nobody keeps. Pages are read by strict readers, which accept
what the standard allows and nothing else.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import count
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from tests.client import TIMEOUT, Response, get
from tests.daemon import Daemon
from tests.origin import Origin
from tests.wheels import Artifact

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "application/vnd.pypi.simple.v1+html"
LEGACY = "text/html"

FORBIDDEN = {401, 429, 500, 502, 504}
"""Statuses that no client ever gets: each makes one of them fail for good (H3, H4)."""

_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Place:
    """One origin and a daemon in front of it."""

    origin: Origin
    daemon: Daemon

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urlsplit(self.daemon.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def get(self, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET") -> Response:
        """Ask for a path, and hold the answer to the rules that hold for all."""
        answer = get(self.daemon.url + path, headers, method=method)
        check(answer, method, page="simple/" in path or path.startswith("/index/"))
        if answer.headers.get("cache-status", "").startswith("pypicache; hit"):
            self._ask_again(path, headers or {}, method, answer)
        return answer

    def _ask_again(self, path: str, headers: Mapping[str, str], method: str, answer: Response) -> None:
        """What comes out of the cache is the same whenever it is asked for, also where a shortcut leads to it (`web.hot`)."""
        connection = http.client.HTTPConnection(*self.address, timeout=TIMEOUT)
        for _ in range(3):
            connection.request(method, path, headers={"Accept-Encoding": "identity", **headers})
            response = connection.getresponse()
            fields = {name.lower(): text for name, text in response.getheaders()}
            assert (response.status, response.read()) == (answer.status, answer.body)
            changing = {"date", "age", "x-request-id"}
            assert {**fields, **dict.fromkeys(changing)} == {**answer.headers, **dict.fromkeys(changing)}
            assert ("age" in fields) == ("age" in answer.headers)
        connection.close()

    def page(self, name: str, headers: Mapping[str, str] | None = None, *, accept: str = JSON) -> Response:
        """A project's page by the default index's short address."""
        return self.get(f"/simple/{name}/", {"Accept": accept, **(headers or {})})

    def json(self, name: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The project's page, strictly read."""
        answer = self.page(name, headers)
        assert answer.status == 200, answer
        return strict_json(answer.body)

    def html(self, name: str, headers: Mapping[str, str] | None = None) -> HtmlPage:
        """The project's page in HTML, strictly read."""
        answer = self.page(name, headers, accept=HTML)
        assert answer.status == 200, answer
        return strict_html(answer.body)

    def link(self, item: Artifact) -> str:
        """The path that the page gives for the file."""
        files = self.json(item.name)["files"]
        href: str = next(file["url"] for file in files if file["filename"] == item.filename)
        return urlsplit(urljoin(f"/simple/{item.name}/", href)).path

    def raw(self, data: bytes, *, timeout: float = TIMEOUT) -> list[Response]:
        """Send these bytes, and read every response until the server closes the connection."""
        received = bytearray()
        with socket.create_connection(self.address, timeout=timeout) as connection:
            try:
                connection.sendall(data)
                while piece := connection.recv(65536):
                    received += piece
            except ConnectionError:
                pass
        return responses(bytes(received))

    def asked(self, name: str) -> int:
        """How often the origin was asked for the project's page."""
        return len(self.origin.gets(name))


def new_name(prefix: str = "p") -> str:
    """A project name that no other test uses."""
    return f"{prefix}{next(_NUMBERS)}"


def check(answer: Response, method: str = "GET", *, page: bool = False) -> None:
    """Hold an answer to the rules that hold for all."""
    headers = answer.headers
    assert answer.status not in FORBIDDEN, answer
    assert headers["server"] == "pypicache"
    assert "date" in headers
    if method == "HEAD" or answer.status == 304:
        assert not answer.body
    if answer.status != 304:
        assert headers.get("content-length", "").isdigit() or headers["transfer-encoding"] == "chunked"
        assert "content-type" in headers
    if page and answer.status != 405:
        assert headers["vary"] == "Accept, Accept-Encoding"
    if "cache-status" in headers:
        assert headers["cache-status"].startswith("pypicache; ")
    if "age" in headers:
        assert headers["age"].isdigit()
    if answer.status == 503:
        assert re.fullmatch("[1-9][0-9]?", headers["retry-after"])
    if answer.status >= 400:
        assert headers["cache-control"] == "no-store"
        assert headers["content-type"] == "text/plain; charset=utf-8"
        assert "etag" not in headers
        if method != "HEAD":
            assert len(answer.text.splitlines()) == 1
            assert len(answer.body) < 1200


def responses(data: bytes) -> list[Response]:
    """The responses in a stream of bytes; one that is cut has the body that came."""
    found: list[Response] = []
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        assert separator, head[:300]
        status, *lines = head.decode("latin-1").split("\r\n")
        version, code = status.split(" ")[:2]
        assert version in {"HTTP/1.1", "HTTP/1.0"}, status
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            assert name.lower() not in headers, line
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", 0)) if code != "304" else 0
        found.append(Response(int(code), headers, data[:length]))
        data = data[length:]
    return found


_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")
_HEX = re.compile(r"[0-9a-f]+")
_FILE_KEYS = {
    "filename",
    "url",
    "hashes",
    "requires-python",
    "size",
    "upload-time",
    "yanked",
    "core-metadata",
    "dist-info-metadata",
    "gpg-sig",
    "provenance",
}


def strict_json(body: bytes) -> dict[str, Any]:
    """A JSON page as the strictest client reads it: exact types, no nulls, nothing unknown (D1 to D7)."""
    assert not body.startswith(b"\xef\xbb\xbf")
    page: dict[str, Any] = json.loads(body.decode("utf-8"))
    assert set(page) <= {"meta", "name", "versions", "files", "project-status", "alternate-locations"}
    assert set(page["meta"]) <= {"api-version", "tracks"}
    major, minor = page["meta"]["api-version"].split(".")
    assert (int(major), int(minor)) <= (1, 4)
    assert isinstance(page["name"], str)
    versions = page["versions"]
    assert len(versions) == len(set(versions))
    names = [file["filename"] for file in page["files"]]
    assert len(names) == len(set(names))
    for file in page["files"]:
        _strict_file(file, sized=int(minor) >= 1)
    return page


def _strict_file(file: dict[str, Any], *, sized: bool) -> None:
    assert {"filename", "url", "hashes", "yanked"} <= set(file) <= _FILE_KEYS
    assert unquote(urlsplit(file["url"]).path.rpartition("/")[2]) == file["filename"]
    assert not urlsplit(file["url"]).query
    assert not urlsplit(file["url"]).fragment
    _strict_hashes(file["hashes"])
    assert file["yanked"] is True or file["yanked"] is False or (file["yanked"] and str(file["yanked"]))
    if sized or "size" in file:
        assert type(file["size"]) is int
        assert file["size"] >= 0
    if "upload-time" in file:
        assert _TIME.fullmatch(file["upload-time"])
    if "requires-python" in file:
        assert file["requires-python"].strip()
    assert file.get("core-metadata") == file.get("dist-info-metadata")
    said = file.get("core-metadata", False)
    if not isinstance(said, bool):
        _strict_hashes(said)
        assert said
    assert isinstance(file.get("gpg-sig", True), bool)
    assert urlsplit(file.get("provenance", "https://x/")).scheme in {"https", "http"}


def _strict_hashes(hashes: Any) -> None:
    assert isinstance(hashes, dict)
    for algorithm, value in hashes.items():
        assert algorithm == algorithm.lower()
        assert _HEX.fullmatch(value)


@dataclass(slots=True)
class HtmlPage:
    """What an HTML page says."""

    metas: list[tuple[str, str]] = field(default_factory=list)
    anchors: list[dict[str, str]] = field(default_factory=list)
    """The attributes of each anchor, and its text as `text`."""

    def meta(self, name: str) -> list[str]:
        """The contents of the meta elements of that name."""
        return [content for key, content in self.metas if key == name]

    def anchor(self, filename: str) -> dict[str, str]:
        """The one anchor with that text."""
        (found,) = [anchor for anchor in self.anchors if anchor["text"] == filename]
        return found


def strict_html(body: bytes) -> HtmlPage:
    """An HTML page: HTML5, UTF-8, one text per anchor, each file once (C1 to C3, C12)."""
    text = body.decode("utf-8")
    assert text.lower().startswith("<!doctype html>")
    reader = _Reader()
    reader.feed(text)
    reader.close()
    page = reader.page
    assert "utf-8" in reader.charsets
    assert "base" not in reader.tags
    (version,) = page.meta("pypi:repository-version")
    assert re.fullmatch(r"1\.[0-4]", version)
    names = [anchor["text"] for anchor in page.anchors]
    assert len(names) == len(set(names))
    for anchor in page.anchors:
        parts = urlsplit(anchor["href"])
        assert unquote(parts.path.rpartition("/")[2]) == anchor["text"]
        assert not parts.query
        assert parts.fragment.count("=") <= 1
        assert anchor.get("data-core-metadata") == anchor.get("data-dist-info-metadata")
    return page


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = HtmlPage()
        self.charsets: list[str] = []
        self.tags: set[str] = set()
        self._anchor: dict[str, str] | None = None

    def handle_starttag(self, tag: str, attrs: Iterable[tuple[str, str | None]]) -> None:
        listed = list(attrs)
        attributes = {key: value or "" for key, value in listed}
        assert len(attributes) == len(listed), "an attribute that stands twice"
        self.tags.add(tag)
        if tag == "meta" and "charset" in attributes:
            self.charsets.append(attributes["charset"].lower())
        elif tag == "meta":
            self.page.metas.append((attributes["name"], attributes["content"]))
        elif tag == "a":
            self._anchor = {**attributes, "text": ""}
            self.page.anchors.append(self._anchor)

    def handle_data(self, data: str) -> None:
        if self._anchor is not None:
            self._anchor["text"] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._anchor = None
