"""Password hashes: made, read, and checked."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.rules.passwords import make, parse

# Cheap, so that many can be tried.
CHEAP = "$scrypt$ln=1,r=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$"


def test_a_password_belongs_to_its_hash_and_no_other_does() -> None:
    made = make("sësame", b"s" * 16)
    assert re.fullmatch(r"\$scrypt\$ln=14,r=8,p=5\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}", made)
    assert parse(made).matches("sësame")
    assert not parse(made).matches("sesame")


def test_the_vector_of_the_standard() -> None:
    """RFC 7914 section 12, the third vector."""
    import base64  # noqa: PLC0415 - here and nowhere else

    digest = bytes.fromhex(
        "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
        "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"
    )
    salt, text = (base64.b64encode(data).decode().rstrip("=") for data in (b"SodiumChloride", digest))
    assert parse(f"$scrypt$ln=14,r=8,p=1${salt}${text}").matches("pleaseletmein")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hidden",
        "$2b$12$abcdefghijklmnopqrstuu",
        "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaA",
        CHEAP,
        CHEAP + "A" * 21,
        CHEAP + "A" * 43 + "\n",
        CHEAP.replace("ln=1", "ln=0") + "A" * 43,
        CHEAP.replace("ln=1", "ln=40") + "A" * 43,
        CHEAP.replace("r=1", "r=99").replace("ln=1,", "ln=14,") + "A" * 43,
        CHEAP.replace("p=1", "p=99") + "A" * 43,
        CHEAP + "A" * 45,
    ],
)
def test_what_is_no_hash_or_costs_too_much_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match="pypicache passwd") as refused:
        parse(text)
    assert not text or text not in str(refused.value)


@given(st.text(max_size=30), st.text(max_size=30), st.binary(min_size=8, max_size=32))
def test_only_the_same_password_matches(one: str, other: str, salt: bytes) -> None:
    import base64  # noqa: PLC0415 - as above
    import hashlib  # noqa: PLC0415 - as above

    digest = hashlib.scrypt(one.encode("utf-8", "surrogatepass"), salt=salt, n=2, r=1, p=1, dklen=32)
    plain = [base64.b64encode(data).decode().rstrip("=") for data in (salt, digest)]
    hashed = parse(f"$scrypt$ln=1,r=1,p=1${plain[0]}${plain[1]}")
    assert hashed.matches(one)
    assert hashed.matches(other) == (one == other)
