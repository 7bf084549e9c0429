from __future__ import annotations

import pytest

from pypicache.rules.redirects import MAX_HOPS, Refused, follow, same_origin

BASE = "https://mirror.example/simple/demo/?a=b#c"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("https://files.example/x", "https://files.example/x"),
        ("HTTPS://Files.Example:8443/x", "HTTPS://Files.Example:8443/x"),
        ("https://files.example", "https://files.example"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x"),
        ("https://files.example:/x", "https://files.example:/x"),
        ("//files.example/x", "https://files.example/x"),
        ("/x/y", "https://mirror.example/x/y"),
        ("x", "https://mirror.example/simple/demo/x"),
        ("../x", "https://mirror.example/simple/x"),
        ("?page=2", "https://mirror.example/simple/demo/?page=2"),
        (" /x\t", "https://mirror.example/x"),
        ("/x#fragment", "https://mirror.example/x"),
        ("https://files.example/x#f", "https://files.example/x"),
        ("/a%2Fb%2b%21!+~'(),;=", "https://mirror.example/a%2Fb%2b%21!+~'(),;="),
        (
            "https://files.example/a%2fb/../c?X-Sig=a%2Fb%3d%3D&e=",
            "https://files.example/a%2fb/../c?X-Sig=a%2Fb%3d%3D&e=",
        ),
        ("https://files.example:65535/a?b=[c]{d}", "https://files.example:65535/a?b=[c]{d}"),
        ("https://files.example/a b", "https://files.example/a%20b"),
        ("/a b", "https://mirror.example/a%20b"),
        ("/\u00e9", "https://mirror.example/%C3%A9"),
        ("/\udcc3\udca9", "https://mirror.example/%C3%A9"),
    ],
)
def test_redirect_is_followed_as_written(location: str, target: str) -> None:
    assert follow(BASE, location, hops=0) == target


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        (None, "without a Location"),
        ("", "without a Location"),
        (" ", "without a Location"),
        ("http://mirror.example/x", "from https to http"),
        ("ftp://mirror.example/x", "scheme 'ftp'"),
        ("file:///etc/passwd", "scheme 'file'"),
        ("javascript:alert(1)", "scheme 'javascript'"),
        ("localhost:80/x", "scheme 'localhost'"),
        ("https://user@files.example/x", "user name"),
        ("https://user:word@files.example/x", "user name"),
        ("https://@files.example/x", "user name"),
        ("//user:word@files.example/x", "user name"),
        ("https:///x", "plain host"),
        ("https:x", "plain host"),
        ("https:/x", "plain host"),
        ("https://:443/x", "plain host"),
        ("https://files.example:0/x", "plain host"),
        ("https://files%2eexample/x", "plain host"),
        ("https://f\u00efles.example/x", "plain host"),
        ("https://\N{FULLWIDTH DIGIT ONE}27.0.0.1/x", "plain host"),
        ("https://[fe80::1%25eth0]/x", "plain host"),
        ("https://files.example:99999/x", "malformed"),
        ("https://files.example:65536", "malformed"),
        ("https://files.example:00000/x", "plain host"),
        ("http://files.example:443/x", "from https to http"),
        ("https://files.example:x/x", "malformed"),
        ("https://[::1/x", "malformed"),
        ("/\ud800", "malformed"),
        ("https://files.example\\@evil.example/x", "backslashes"),
        ("/x\r\nSet-Cookie: a=b", "control characters"),
        ("/\x00", "control characters"),
        ("ht\ntps://evil.example/", "control characters"),
    ],
)
def test_redirect_is_refused(location: str | None, reason: str) -> None:
    refused = follow(BASE, location, hops=0)
    assert isinstance(refused, Refused)
    assert reason in refused.reason


def test_upgrade_to_https_is_fine() -> None:
    assert follow("http://mirror.example/x", "https://mirror.example/x", hops=0) == "https://mirror.example/x"
    assert follow("http://mirror.example/x", "http://other.example/x", hops=0) == "http://other.example/x"


def test_at_most_five_redirects() -> None:
    assert follow(BASE, "/x", hops=MAX_HOPS - 1) == "https://mirror.example/x"
    assert follow(BASE, "/x", hops=MAX_HOPS) == Refused("more than 5 redirects")


def test_credentials_of_the_current_url_do_not_go_into_the_next() -> None:
    assert follow("https://user:word@mirror.example/a/b", "c", hops=0) == "https://mirror.example/a/c"


def test_malformed_current_url_is_refused() -> None:
    assert follow("https://[bad/", "/x", hops=0) == Refused("a redirect to a malformed URL")


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("https://mirror.example/a", "https://mirror.example/b?c", True),
        ("https://mirror.example/a", "HTTPS://MIRROR.example:443/", True),
        ("http://mirror.example:80", "http://mirror.example", True),
        ("https://u:p@mirror.example/", "https://mirror.example/", True),
        ("https://mirror.example/", "http://mirror.example/", False),
        ("http://mirror.example/", "https://mirror.example/", False),
        ("https://mirror.example/", "https://mirror.example:8443/", False),
        ("https://mirror.example/", "https://files.mirror.example/", False),
        ("https://mirror.example/", "https://mirror.example.evil.example/", False),
        ("https://mirror.example:0/", "https://mirror.example/", False),
        ("https://mirror.example:x/", "https://mirror.example:x/", False),
        ("ftp://mirror.example/", "ftp://mirror.example/", False),
        ("https:///x", "https:///x", False),
        ("https://mirror.example?a", "https://mirror.example#a", True),
        ("https://evil.example/@mirror.example/", "https://mirror.example/", False),
        ("https://evil.example?@mirror.example/", "https://mirror.example/", False),
        ("", "", False),
    ],
)
def test_credentials_stay_with_their_origin(a: str, b: str, same: bool) -> None:
    assert same_origin(a, b) is same
    assert same_origin(b, a) is same
