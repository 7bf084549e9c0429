"""A7, case 19: a mirror's list of all projects, taken apart and made anew slice by slice."""

from __future__ import annotations

import gzip
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.simple import listing
from pypicache.simple.listing import NotAList, State, step
from pypicache.simple.model import project_name

URL = "https://mirror.example.org/simple/"
META = '<meta name="pypi:repository-version" content="1.3">'


def made(body: bytes, *cuts: int, content_type: str | None = None, url: str = URL) -> dict[str, bytes]:
    """The parts of the list in `body`, which comes in pieces that end at `cuts`."""
    state = State(url=url, content_type=content_type)
    parts: dict[str, bytes] = {}
    for start, stop in pairwise((0, *sorted(cuts), len(body))):
        state, more = step(state, body[start:stop], last=False)
        parts = {part: parts.get(part, b"") + data for part, data in more.items()} or parts
    state, more = step(state, b"", last=True)
    return {part: parts.get(part, b"") + data for part, data in more.items()}


def names(body: bytes | str, *cuts: int, content_type: str | None = "text/html", url: str = URL) -> list[str]:
    parts = made(body.encode() if isinstance(body, str) else body, *cuts, content_type=content_type, url=url)
    return [project["name"] for project in json.loads(parts["json"])["projects"]]


def page(*anchors: str, head: str = META) -> str:
    return f"<!DOCTYPE html><html><head>{head}</head><body>\n{''.join(anchors)}</body></html>\n"


def projects(*listed: str) -> str:
    return json.dumps({"meta": {"api-version": "1.4"}, "projects": [{"name": name} for name in listed]})


def test_every_part_says_the_same() -> None:
    parts = made(projects("Flask", "zope.interface", "q", "0").encode())
    assert set(parts) == set(listing.PARTS)
    assert gzip.decompress(parts["html.gz"]) == parts["html"]
    assert gzip.decompress(parts["json.gz"]) == parts["json"]
    assert json.loads(parts["json"]) == {
        "meta": {"api-version": "1.4"},
        "projects": [{"name": "Flask"}, {"name": "zope.interface"}, {"name": "q"}, {"name": "0"}],
    }
    assert b'<a href="flask/">Flask</a>' in parts["html"]
    assert b'<a href="zope-interface/">zope.interface</a>' in parts["html"]
    assert b'name="pypi:repository-version"' in parts["html"]
    assert names(parts["html"]) == ["Flask", "zope.interface", "q", "0"]
    assert made(parts["html"], content_type="text/html") == parts


@pytest.mark.parametrize(
    "anchor",
    [
        '<a href="foo-bar/">Foo.Bar</a>',
        '<a href="foo-bar">Foo.Bar</a>',
        '<a href="./foo-bar/">Foo.Bar</a>',
        '<a href="/simple/foo-bar/">Foo.Bar</a>',
        '<a href="//mirror.example.org/simple/foo-bar/">Foo.Bar</a>',
        '<a href="https://mirror.example.org/simple/foo-bar/">Foo.Bar</a>',
        '<a href="Foo.Bar/">Foo.Bar/</a>',
        '<A HREF="foo-bar/" >\n  Foo.Bar\n</A >',
        "<a class='x' href='foo-bar/'>Foo.Bar</a>",
        "<a href=foo-bar/>Foo.Bar</a>",
        '<a rel="internal" data-x="<>" href="foo-bar/">Foo.Bar</a><br/>',
        '<a href="foo&#45;bar/">Foo&#46;Bar</a>',
    ],
)
@pytest.mark.parametrize("head", [META, ""])
def test_anchor_in_any_dress_is_a_project(anchor: str, head: str) -> None:
    assert names(page(anchor, head=head)) == ["Foo.Bar"]


def test_first_anchor_decides_nothing_about_the_next() -> None:
    plain = '<a href="a/">a</a>\n' * 2 + '<a href="b/">b</a>'
    odd = "<a class='x' href='c/'>c</a><a href='../'>up</a><a href=\"d/\">d</a>"
    assert names(page(plain, odd), 150, 160, 200) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "anchor",
    [
        '<a href="../">..</a>',
        '<a href="/login">Login</a>',
        '<a href="other/">foo</a>',
        '<a href="https://evil.example.com/simple/foo/">foo</a>',
        '<a href="foo/">-foo-</a>',
        '<a href="foo/">fo&lt;o</a>',
        '<a href="%66oo/"><script>alert(1)</script></a>',
        '<a href="caf%C3%A9/">café</a>',
        '<a name="foo">foo</a>',
        "<!-- <a href='foo/'>foo</a> -->",
    ],
)
def test_other_anchors_are_passed_over(anchor: str) -> None:
    """Elsewhere than below the list may only a page link that says what it is."""
    listed = [*"abcdefghij"]
    anchors = [f'<a href="{name}/">{name}</a>' for name in listed]
    assert names(page(*anchors, anchor, head="")) == listed
    elsewhere = {"evil": ["foo"], "logi": ["Login"]}.get(
        anchor[17:21] if "evil" in anchor else anchor[10:14], []
    )
    assert names(page(*anchors, anchor)) == [*listed, *elsewhere]


def test_base_element_and_final_url_count() -> None:
    anchors = [f'<a href="/root/{name}/">{name}</a>' for name in ("a", "b")]
    assert names(page(*anchors, head='<base href="/root/">')) == ["a", "b"]
    assert names(page(*anchors, head=""), url="https://mirror.example.org/root/?x=1") == ["a", "b"]
    with pytest.raises(NotAList):
        names(page(*anchors, head=""))


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<html><body>Please <a href='/login'>log in</a></body></html>", "text/html"),
        ("<html><body><a href='https://portal.example.com/a/'>a</a></body></html>", "text/html"),
        ("<html><body>Welcome</body></html>", "text/html"),
        ("<html><body><a href='x/'>Y</a><a href='foo/'>foo</a></body></html>", "text/html"),
        ("", "text/html"),
        ("   \n", "application/json"),
        ("hello", "text/plain"),
        ("\x00\x01\x02", "application/octet-stream"),
        ("<html></html>", "image/png"),
        ('{"message": "not found"}', "application/json"),
        ("[]", "application/json"),
    ],
)
def test_what_is_no_list_is_told_from_a_broken_one(body: str, content_type: str) -> None:
    """Captive portals and login pages (H6)."""
    with pytest.raises(NotAList, match=r"^[^\n]+$"):
        names(body, content_type=content_type)


def test_long_page_that_shows_no_sign_is_not_read_to_its_end() -> None:
    with pytest.raises(NotAList):
        step(
            State(url=URL, content_type="text/html"),
            b"<html>" + b"<p>x</p><a href='/'>x</a>" * 50_000,
            last=False,
        )


WHOLE = page('<a href="a/">a</a>', '<a href="b/">b</a>', '<a href="c/">c</a>').encode()
WHOLE_JSON = projects("a", "b", "c").encode()


@pytest.mark.parametrize("body", [WHOLE, WHOLE_JSON], ids=["html", "json"])
def test_list_that_is_cut_anywhere_is_refused(body: bytes) -> None:
    """Half a list would be a worse one than the one that is held."""
    kind = "text/html" if body is WHOLE else "application/json"
    stop = body.index(b"</body>") + 7 if body is WHOLE else len(body)
    for end in range(stop - 1):
        with pytest.raises(ValueError, match=r"^[^\n]+$"):
            names(body[:end], content_type=kind)


def test_page_without_html_and_body_elements_needs_no_end() -> None:
    assert names(META + '<a href="a/">a</a>') == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        '{"projects": [{"name": "a"}], "meta": {"api-version": "1.0"}}',
        '{"projects": [{"name": "a"}]}',
        '\ufeff {"meta": {"_last-serial": 1, "api-version": 1.1}, "projects": [{"_last-serial": 2, "name": "a"}]} \n',
        '{"x": {"projects": [{"name": "no"}]}, "projects": [{"name": "a", "projects": [{"name": "no"}]}]}',
        r'{"projects": [{"name": "\u0061"}], "\"y": "\\\""}',
        '{"projects": [{"name": 5}, null, "b", [], {}, {"name": "a"}, 7, {"nam": "c"}]}',
        '{"projects":[{"name":"a"},{"name":"a"},{"name":"A"}]}',
        '{"projects":[{"name":"\U0001f600"},{"name":"a"},{"name":"<b>"},{"name":"../x"},{"name":""}]}',
    ],
)
def test_json_in_any_order_and_with_anything_beside(body: str) -> None:
    assert names(body, content_type="application/json") == ["a"]
    for cut in range(len(body.encode())):
        if cut > 4:
            assert names(body, cut, content_type=None) == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        '{"projects": {}}',
        '{"projects": null}',
        '{"projects": [{"name": "a"}]',
        '{"projects": [{"name": "a"}',
        '{"projects": [{"name": "a"} {"name": "b"}]}',
        '{"projects": [{"name": "a"}]} trailing',
        '{"projects": [{"name": "a"}]}{"projects": []}',
        '{"meta": {"api-version": "2.0"}, "projects": []}',
        '{"projects" [',
        "{projects: []}",
        '{"projects": [' + "[" * 100_000,
        '{"x": ' + '{"x":' * 100_000,
        '{"x": "' + "y" * 600_000 + '", "projects": []}',
        '{"projects": [{"name": ' + "1" * 5000 + "}]}",
    ],
    ids=range(14),
)
def test_json_that_is_none_is_refused(body: str) -> None:
    data = body.encode()
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        names(data, *range(100_000, len(data), 100_000), content_type="application/json")


def test_html_of_another_major_version_is_refused() -> None:
    with pytest.raises(ValueError, match="API version 2"):
        names(page(head='<meta name="pypi:repository-version" content="2.0">'))


def test_empty_lists_are_lists() -> None:
    assert names(page()) == []
    assert names(projects(), content_type="application/json") == []


def test_there_is_an_end_to_names_and_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_NAMES", 3)
    monkeypatch.setattr(listing, "MAX_BYTES", 1000)
    assert len(names(projects("a", "b", "c"), content_type=None)) == 3
    with pytest.raises(ValueError, match="3 projects"):
        names(projects("a", "b", "c", "d"), content_type=None)
    with pytest.raises(ValueError, match="list of over"):
        names(projects("a" * 100, "b" * 1000), content_type=None)


@given(
    st.lists(
        st.one_of(st.text(max_size=8), st.from_regex(r"[A-Za-z0-9._-]{1,8}", fullmatch=True)), max_size=20
    ),
    st.lists(st.integers(0, 600), max_size=6),
    st.booleans(),
)
def test_list_is_the_same_however_it_is_cut(texts: list[str], cuts: list[int], html: bool) -> None:
    """And holds nothing that isn't a name: what could need escaping can't be one."""
    if html:
        anchors = [
            f'<a href="{name}/">{text}</a>\n' for text in texts if (name := project_name(text)) is not None
        ]
        body = page(*anchors).encode()
    else:
        body = projects(*texts).encode()
    kind = "text/html" if html else None
    inside = [cut for cut in cuts if 8 < cut < len(body)]
    whole, cut = made(body, content_type=kind), made(body, *inside, content_type=kind)
    assert (cut["html"], cut["json"]) == (whole["html"], whole["json"])
    assert gzip.decompress(cut["html.gz"]) == whole["html"]
    assert gzip.decompress(cut["json.gz"]) == whole["json"]
    valid = [name for text in texts if (name := project_name(text)) is not None]
    found = [project_name(project["name"]) for project in json.loads(whole["json"])["projects"]]
    assert found == [name for before, name in zip([None, *valid], valid, strict=False) if name != before]
    assert whole["html"].count(b"<a ") == len(found)


@given(st.binary(max_size=300), st.sampled_from(["text/html", "application/json", None]))
def test_any_bytes_are_a_list_or_are_refused_in_one_line(body: bytes, kind: str | None) -> None:
    try:
        parts = made(body, content_type=kind)
    except ValueError as error:
        message = str(error)
    else:
        json.loads(parts["json"])
        return
    assert len(message.splitlines()) == 1
