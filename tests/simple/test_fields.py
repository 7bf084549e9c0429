from __future__ import annotations

from urllib.parse import urljoin

import pytest

from pypicache.simple import fields
from pypicache.simple.model import Digest, File, Project, ProjectName

BASE = "https://index.example.org/root/simple/foo/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # 1b: every way to write a link
        ("https://f.example/a/foo-1.zip", "https://f.example/a/foo-1.zip"),
        ("http://f.example:8080/a/foo-1.zip#sha256=00", "http://f.example:8080/a/foo-1.zip"),
        ("../../packages/foo-1.zip", "https://index.example.org/root/packages/foo-1.zip"),
        ("foo-1.zip", "https://index.example.org/root/simple/foo/foo-1.zip"),
        ("/root/foo-1.zip", "https://index.example.org/root/foo-1.zip"),
        ("//cdn.example/foo-1.zip", "https://cdn.example/foo-1.zip"),
        ("https://[2001:db8::1]:8443/foo-1.zip", "https://[2001:db8::1]:8443/foo-1.zip"),
        ("http://my_index/foo-1.zip", "http://my_index/foo-1.zip"),
        ("HTTPS://F.example/Foo-1.zip", "https://F.example/Foo-1.zip"),
        ("  foo-1.zip\n", "https://index.example.org/root/simple/foo/foo-1.zip"),
        ("../" * 20 + "foo-1.zip", "https://index.example.org/foo-1.zip"),
        # verbatim: quoting, signatures, dots
        (
            "https://f.example/a/%21foo-1%2b2!+~.zip?X-Sig=a%2Fb/+&y=|",
            "https://f.example/a/%21foo-1%2b2!+~.zip?X-Sig=a%2Fb/+&y=|",
        ),
        ("https://f.example/a/../foo-1.zip", "https://f.example/a/../foo-1.zip"),
        # what no request line can carry
        ("https://f.example/a b/fö.zip", "https://f.example/a%20b/f%C3%B6.zip"),
        ("a b-1.zip", "https://index.example.org/root/simple/foo/a%20b-1.zip"),
        ("https://f.example/a\x00\x7f.zip", "https://f.example/a%00%7F.zip"),
        ("https://f.example/a\r\nHost: x/b.zip", "https://f.example/aHost:%20x/b.zip"),
    ],
)
def test_1b_links_become_absolute_and_stay_verbatim(text: str, expected: str) -> None:
    assert expected == fields.link(BASE, text)


@pytest.mark.parametrize(
    "base", [BASE, "https://h.example/page", "http://h.example", "https://h.example/a//b/?q=1"]
)
@pytest.mark.parametrize("up", ["", "../", "../../", "../" * 6])
@pytest.mark.parametrize(
    "rest", ["a-1.zip", "p/a/b/c%2b+~.whl", ".hidden", "..a", "a/.b/...c", "a/../b", "./a", "a/.", ".."]
)
def test_relative_paths_are_joined_as_rfc_3986_has_it(base: str, up: str, rest: str) -> None:
    """Those of the usual form by a short way, which comes to the same."""
    assert fields.link(base, up + rest) == urljoin(base, up + rest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "#sha256=00",
        "javascript:alert(1)",
        "ftp://f.example/foo-1.zip",
        "file:///etc/passwd",
        "data:text/html,x",
        "mailto:a@b.example",
        "https:foo-1.zip",
        "https:///foo-1.zip",
        "https://",
        "https://user:pass@f.example/foo-1.zip",
        "https://user@f.example/foo-1.zip",
        "//user@f.example/foo-1.zip",
        "https://good.example\\@evil.example/foo-1.zip",
        "https://good.example@evil.example/",
        "..\\foo-1.zip",
        "https://f.example:99999999/foo-1.zip",
        "https://f.example:x/foo-1.zip",
        "https://[::1/foo-1.zip",
        "//[",
        "https://f\u00f6.example/foo-1.zip",
        "https://f .example/foo-1.zip",
        "https://f.example/\ud800.zip",
        "https://f.example/" + "a" * fields.MAX_URL,
        "a" * fields.MAX_URL,
        "../" + "a" * (fields.MAX_URL - len("https://index.example.org/simple/")) + "a",
        "a" * 5000 + "é" * 3000,
    ],
)
def test_case_35_links_that_are_never_followed(text: str) -> None:
    assert fields.link(BASE, text) is None


def test_links_do_not_inherit_the_page_s_credentials() -> None:
    """Reliability 5.1: a mirror's password belongs to requests, not to links that are stored and shown."""
    base = fields.page_base("https://user:p%40ss@index.example.org:8443/simple/foo/#x")
    assert base == "https://index.example.org:8443/simple/foo/"
    assert fields.link(base, "foo-1.zip") == "https://index.example.org:8443/simple/foo/foo-1.zip"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"),
        ("2024-01-02T03:04:05.1Z", "2024-01-02T03:04:05.1Z"),
        ("2024-01-02T03:04:05.123456Z", "2024-01-02T03:04:05.123456Z"),
        ("2024-01-02T03:04:05.123456789Z", "2024-01-02T03:04:05.123456Z"),
        ("2024-01-02T03:04:05+00:00", "2024-01-02T03:04:05Z"),
        ("2024-01-02T03:04:05.100+0000", "2024-01-02T03:04:05.100Z"),
        ("2024-01-01T01:00:00+02:00", "2023-12-31T23:00:00Z"),
        ("2024-01-02T03:04:05", "2024-01-02T03:04:05Z"),
        ("2024-01-02 03:04:05", "2024-01-02T03:04:05Z"),
    ],
)
def test_d6_upload_times_are_written_one_way(text: str, expected: str) -> None:
    assert expected == fields.upload_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2024-01-02",
        "2024-02-30T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T23:59:60Z",
        "2024-01-01T00:00:00+99:00",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+23:59",
        "2024-01-02T03:04:05.Z",
        "\u0662024-01-02T03:04:05Z",
        "2024-01-02T03:04:05Z\n",
        "1704164645",
    ],
)
def test_d6_an_impossible_time_is_dropped(text: str) -> None:
    assert fields.upload_time(text) is None


@pytest.mark.parametrize(
    ("mark", "expected"),
    [("", True), ("why", "why"), (True, True), (False, False), (None, False), (" ", " ")],
)
def test_d4_case_14_yank_marks(mark: bool | str | None, expected: bool | str) -> None:
    assert expected == fields.yanked(mark)
    assert type(expected) is type(fields.yanked(mark))


@pytest.mark.parametrize(
    ("number", "expected"), [(0, 0), (7, 7), (2**63 - 1, 2**63 - 1), (-1, None), (2**63, None), (None, None)]
)
def test_d5_sizes(number: int | None, expected: int | None) -> None:
    assert expected == fields.size(number)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (1, 0)),
        ("1.0", (1, 0)),
        ("1.3", (1, 3)),
        ("1.9", (1, 4)),
        ("1.999999", (1, 4)),
        ("1", (1, 0)),
        (" 1.1 ", (1, 1)),
        ("1.1.2", (1, 1)),
        ("", (1, 0)),
        ("one", (1, 0)),
        ("1.-1", (1, 0)),
    ],
)
def test_d11_the_api_version_is_at_most_ours(text: str | None, expected: tuple[int, int]) -> None:
    assert expected == fields.api_version(text)


@pytest.mark.parametrize("text", ["2.0", "2", "0.1", "10.0", "2.0.0"])
def test_d11_another_major_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="API version"):
        fields.api_version(text)


SIZED = File(filename="foo-1.zip", url="https://f.example/foo-1.zip", size=1)
UNSIZED = File(filename="foo-2.zip", url="https://f.example/foo-2.zip")
PROVEN = File(
    filename="foo-3.zip", url="https://f.example/foo-3.zip", size=1, provenance="https://f.example/p"
)


@pytest.mark.parametrize(
    ("files", "version", "status", "tracks", "expected"),
    [
        ((SIZED,), (1, 0), None, (), "1.1"),
        ((SIZED,), (1, 3), None, (), "1.3"),
        ((SIZED,), (1, 0), None, ("https://a.example/",), "1.2"),
        ((SIZED, PROVEN), (1, 1), None, (), "1.3"),
        ((SIZED,), (1, 1), "archived", (), "1.4"),
        ((SIZED, UNSIZED), (1, 4), "archived", (), "1.0"),
        ((), (1, 0), None, (), "1.1"),
        ((), (1, 9), None, (), "1.4"),
    ],
)
def test_1b_the_announced_version_is_honest(
    files: tuple[File, ...],
    version: tuple[int, int],
    status: str | None,
    tracks: tuple[str, ...],
    expected: str,
) -> None:
    page = Project(name=ProjectName("foo"), files=files, api_version=version, status=status, tracks=tracks)
    assert expected == fields.announced_version(page)


def test_case_9_to_12_digests_keep_the_first_of_each_algorithm() -> None:
    pairs = [("SHA256", "A" * 64), ("sha256", "b" * 64), ("md5", "junk"), ("sha512", "0" * 128)]
    assert fields.digests(pairs) == (Digest("sha256", "a" * 64), Digest("sha512", "0" * 128))
