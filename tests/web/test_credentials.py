"""What stands in the headers of a request, taken apart; hostile text included."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.web.credentials import Basic, Bearer, authorization, is_loopback, pair_of


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (basic("me:secret"), Basic("me", "secret")),
        (basic("me:"), Basic("me", "")),
        (basic("me:a:b"), Basic("me", "a:b")),
        (basic("mé:sëcret"), Basic("mé", "sëcret")),
        (basic("__token__:abc"), Bearer("abc")),
        (basic("me:x").replace("Basic", "bAsIc"), Basic("me", "x")),
        ("Bearer abc", Bearer("abc")),
        ("bearer  abc ", Bearer("abc")),
        (basic("nocolon"), None),
        ("Basic", None),
        ("Basic ", None),
        ("Basic !!!", None),
        ("Basic /w==", None),
        ("Bearer ", None),
        ("Digest username=me", None),
        ("", None),
        (None, None),
        (basic("me:" + "x" * 5000), None),
    ],
)
def test_the_authorization_header(header: str | None, expected: Basic | Bearer | None) -> None:
    found = authorization(header)
    if header is not None and len(header) > 4096:
        assert found is None or (isinstance(found, Basic) and len(found.password) < 4096)
    else:
        assert found == expected


@given(st.text(), st.text(alphabet=st.characters(exclude_characters=":")))
def test_no_header_breaks_it(junk: str, user: str) -> None:
    authorization(junk)
    authorization(f"Basic {junk}")
    encoded = base64.b64encode(f"{user}:{junk}".encode("utf-8", "replace")).decode()
    assert pair_of(junk) is None or isinstance(pair_of(junk), Basic)
    if len(encoded) <= 4096:
        assert pair_of(encoded) is not None


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(Basic("me", "hidden")) + repr(Bearer("hidden"))


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::1%lo", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("localhost", False),
        ("", False),
        (None, False),
    ],
)
def test_an_address_of_this_machine(peer: str | None, expected: bool) -> None:
    assert is_loopback(peer) is expected
