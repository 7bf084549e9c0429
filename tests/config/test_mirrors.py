from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from distlib.index import DEFAULT_INDEX

from pypicache.config.schema import Config, Mirror, Proxy
from pypicache.config.secret import Secret
from pypicache.config.wellknown import MIRRORS, NAMES, WellKnown
from tests.environment import REPOSITORY

LoadText = Callable[..., Config]
ProblemsOf = Callable[..., list[str]]

ALL = ", ".join(NAMES)

BAD: list[tuple[str, list[str]]] = [
    ("[]", ["1:10: mirrors: at least one mirror is due"]),
    ("pypi", ["1:10: mirrors: a list is due, not text"]),
    ("[pipy]", ['1:11: mirrors[0]: no well-known mirror is called "pipy"; did you mean "pypi"?']),
    ("[tsinghua-tuna]", ['1:11: mirrors[0]: no well-known mirror is called "tsinghua-tuna": there are ' + ALL]),
    ("[m.example/simple]", ["1:11: mirrors[0]: a mirror is an absolute URL (https://…/simple/) or one of " + ALL]),
    ("['ftp://m.example/']", ["1:11: mirrors[0]: an absolute URL is due (http or https)"]),
    ("['https:///x']", ["1:11: mirrors[0]: an absolute URL is due (http or https)"]),
    ("['https://m.example:x/']", ["1:11: mirrors[0]: that isn't a sound URL"]),
    ("['https://m.example:0/']", ["1:11: mirrors[0]: port 0 can't be connected to"]),
    ("['https://[::1/']", ["1:11: mirrors[0]: that isn't a sound URL"]),
    ("['https://m_.-/']", ["1:11: mirrors[0]: that isn't a host name"]),
    ("['https://m.example/?token=hidden']", ["1:11: mirrors[0]: a query or fragment can't be part of this URL"]),
    ("['https://m.example/a b']", ["1:11: mirrors[0]: a URL holds no spaces, backslashes or letters beyond ASCII: percent-encode them"]),
    ("['https://${HOST}/']", ["1:11: mirrors[0]: that isn't a host name"]),
    ("['https://m.example/${P}/']", ["1:11: mirrors[0]: variables stand for paths and secrets, not for parts of an address"]),
    ("['https://u:${P}@m.example/']", ["1:11: mirrors[0]: the environment has no variable P"]),
    ("['https://u:%0a@m.example/']", ["1:11: mirrors[0]: a password can't hold control characters"]),
    ("['https://u%3a:x@m.example/']", ["1:11: mirrors[0]: the name of a user can't hold colons or control characters"]),
    ("[{}]", ["1:11: mirrors[0]: a mirror needs a url"]),
    ("[{url: tuna, nmae: x}]", ['1:23: mirrors[0].nmae: unknown key; did you mean "name"?']),
    ("[{url: tuna, name: 'a b'}]", ["1:29: mirrors[0].name: the name of a mirror is at most 64 letters, digits and . _ - that begin with a letter or digit"]),
    ("[tuna, {url: 'https://m.example/', name: tuna}]", ['1:17: mirrors[1]: the name "tuna" is taken by another mirror of this index']),
    ("[tuna, {url: aliyun, serves: page}]", ['1:39: mirrors[1].serves: both or pages or files is due; did you mean "pages"?']),
    ("[{url: tuna, serves: files}]", ["1:10: mirrors: no mirror here serves pages"]),
    ("[{url: tuna, serves: pages}]", ["1:10: mirrors: no mirror here serves files"]),
    ("[{url: tuna, password: 0123}]", ["1:33: mirrors[0].password: text is due, not a number: quote it"]),
    ("[{url: tuna, password: p}]", ["1:11: mirrors[0]: a password needs a username"]),
    ("[{url: tuna, username: u, password: p, token: t}]", ["1:11: mirrors[0]: either a token or username and password, not both"]),
    ("[{url: tuna, token: t, token_file: f}]", ["1:45: mirrors[0].token_file: stands beside token: give one of them"]),
    ("[{url: 'https://u:p@m.example/', token: t}]", ["1:11: mirrors[0]: credentials stand both in the url and beside it"]),
    ("[{url: tuna, token: t, headers: {authorization: x}}]", ["1:11: mirrors[0]: credentials stand both in headers and beside it"]),
    ("[{url: tuna, username: 'a:b'}]", ["1:33: mirrors[0].username: the name of a user can't hold colons or control characters"]),
    ("[{url: tuna, token: '${T}'}]", ["1:30: mirrors[0].token: the environment has no variable T"]),
    ("[{url: tuna, token: '${A-B}'}]", ["1:30: mirrors[0].token: what stands in ${} isn't the name of a variable; write $${ for a plain ${"]),
    ("[{url: tuna, token: '${LINES}'}]", ["1:30: mirrors[0].token: the variable holds control characters or several lines"]),
    ("[{url: tuna, token: '${EMPTY}'}]", ["1:30: mirrors[0].token: the variable holds nothing"]),
    ("[{url: tuna, allow_private: 10.0.0.0/8}]", ["1:38: mirrors[0].allow_private: a list is due, not text"]),
    ("[{url: tuna, connections: 0}]", ["1:36: mirrors[0].connections: a whole number from 1 to 64 is due"]),
    ("[{url: tuna, timeout: 5s}]", ["1:32: mirrors[0].timeout: a mapping is due, not text"]),
    ("[tuna, {url: aliyun, timeout: {read: 0}}]", ["1:47: mirrors[1].timeout.read: a duration above zero is due"]),
    ("[{url: tuna, headers: {Host: x}}]", ["1:33: mirrors[0].headers.Host: this header is set by pypicache itself"]),
    ("[{url: tuna, headers: {A: x, a: y}}]", ["1:39: mirrors[0].headers.a: given twice: the case of a header's name doesn't matter"]),
    ("[{url: tuna, headers: {A: 1}}]", ["1:36: mirrors[0].headers.A: text is due, not a number: quote it"]),
    ('[{url: tuna, headers: {A: "x\\ny"}}]', ["1:36: mirrors[0].headers.A: text can't hold control characters or line breaks"]),
    ("[{url: tuna, proxy: p.example:80}]", ["1:30: mirrors[0].proxy: an absolute URL is due (http, https, socks5 or socks5h)"]),
]  # fmt: skip


@pytest.mark.parametrize(("mirrors", "expected"), BAD, ids=[mirrors for mirrors, _ in BAD])
def test_a_bad_mirror_is_told_at_its_place(
    problems_of: ProblemsOf, tmp_path: Path, mirrors: str, expected: list[str]
) -> None:
    (tmp_path / "f").write_text("x")
    assert problems_of(f"mirrors: {mirrors}", {"LINES": "a\nb", "EMPTY": ""}) == expected


def _mirrors(load_text: LoadText, text: str, env: dict[str, str] | None = None) -> tuple[Mirror, ...]:
    return load_text(f"mirrors: {text}", env or {"HOME": "/home/me"}).indexes["root/pypi"].mirrors


def test_the_public_index_is_where_the_packaging_library_says(load_text: LoadText) -> None:
    [mirror] = _mirrors(load_text, "[pypi]")
    known, ours = urlsplit(DEFAULT_INDEX), urlsplit(mirror.url)
    assert (ours.scheme, ours.netloc, ours.path) == (known.scheme, known.netloc, "/simple/")


@pytest.mark.parametrize("name", NAMES)
def test_a_well_known_mirror_has_an_https_address_that_ends_in_simple(load_text: LoadText, name: str) -> None:
    [mirror] = _mirrors(load_text, f"[{name}]")
    assert mirror.name == name
    assert mirror.url.startswith("https://")
    assert mirror.url.endswith("/simple/")


@pytest.mark.parametrize("mirror", MIRRORS, ids=NAMES)
def test_a_well_known_mirror_names_its_operator_and_where_the_address_comes_from(mirror: WellKnown) -> None:
    """README's table has it, too; each quirk says who says so."""
    assert mirror.operator
    assert mirror.source
    readme = (REPOSITORY / "README.md").read_text()
    assert f"| `{mirror.name}` | {mirror.operator} |" in readme
    for quirk in mirror.quirks:
        assert quirk.endswith(")")
        assert quirk in readme


def test_no_two_well_known_mirrors_share_a_name_or_an_address() -> None:
    assert len(set(NAMES)) == len({mirror.url for mirror in MIRRORS}) == len(MIRRORS)


def test_an_address_ends_in_a_slash_and_holds_no_credentials(load_text: LoadText) -> None:
    text = (
        "['https://m.example/simple', 'http://us%40er:p%2F${PW}%3A@[::1]:8080/x', 'https://token@g.example']"
    )
    plain, secret, user_only = _mirrors(load_text, text, {"PW": "w%41"})
    assert (plain.url, plain.username, plain.password) == ("https://m.example/simple/", None, None)
    assert secret.url == "http://[::1]:8080/x/"
    assert (secret.username, secret.password) == ("us@er", Secret("p/w%41:"))
    assert (user_only.username, user_only.password) == ("token", Secret(""))


def test_a_mirror_without_a_name_is_called_after_its_host(load_text: LoadText) -> None:
    """Names are unique within an index; the ones that were given stay as they are."""
    text = (
        "['https://m.example/', 'https://m.example:1/', {url: 'https://n.example/', name: m.example-2}, tuna]"
    )
    names = [mirror.name for mirror in _mirrors(load_text, text)]
    assert names == ["m.example", "m.example-3", "m.example-2", "tuna"]


def test_a_well_known_mirror_can_be_set_up_in_full(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-")
    (tmp_path / "pw").write_text("from a file\n")
    [mirror] = _mirrors(
        load_text,
        "[{url: tuna, name: t, serves: both, username: u, password_file: pw, ca_file: ./ca.pem, netrc: on,"
        " proxy: 'socks5://me:${PW}@p.example:1080', trust_env: true, allow_private: [10.0.0.0/8, '::1'],"
        " connections: 8, timeout: {connect: 1, read: 500ms}, headers: {User-Agent: 'x/${PW} $${y}'}}]",
        {"PW": "pw"},
    )
    assert mirror == Mirror(
        name="t",
        url=mirror.url,
        username="u",
        password=Secret("from a file"),
        ca_file=tmp_path / "ca.pem",
        proxy=Proxy(url="socks5://p.example:1080", username="me", password=Secret("pw")),
        trust_env=True,
        netrc=True,
        allow_private=(ip_network("10.0.0.0/8"), ip_network("::1/128")),
        connections=8,
        connect_timeout=1.0,
        read_timeout=0.5,
        headers={"User-Agent": Secret("x/pw ${y}")},
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "{path} cannot be read: No such file or directory"),
        (b"", "the file holds nothing"),
        (b"\n", "the file holds nothing"),
        (b"a\nb\n", "the file holds control characters or several lines"),
        (b"\xff", "the file isn't UTF-8 text"),
        (b"x" * 70_000, "the file is too large to hold a secret"),
    ],
)
def test_a_bad_secret_file_is_told(
    problems_of: ProblemsOf, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    path = tmp_path / "pw"
    if content is not None:
        path.write_bytes(content)
    expected = f"1:35: mirrors[0].token_file: {reason.format(path=path)}"
    assert problems_of("mirrors: [{url: tuna, token_file: pw}]") == [expected]


def test_a_ca_file_that_is_not_there_is_told(problems_of: ProblemsOf, tmp_path: Path) -> None:
    expected = f"1:32: mirrors[0].ca_file: {tmp_path / 'ca'} cannot be read: No such file or directory"
    assert problems_of("mirrors: [{url: tuna, ca_file: ca}]") == [expected]
