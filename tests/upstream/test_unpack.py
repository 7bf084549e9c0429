"""A body becomes a page, or a ValueError, within its limits."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.simple.model import load
from pypicache.upstream.unpack import GROWTH, MAX_MEMBERS, RATIO_FREE, inflate, unpack, weight
from tests.upstream.making import DEMO, JSON, WHEEL, page

URL = "https://index.example.org/simple/demo/"


def test_plain_and_gzipped_bodies_have_one_digest() -> None:
    plain = unpack([page()], "", JSON, url=URL, name=DEMO, known=None)
    zipped = unpack([gzip.compress(page())], "gzip", JSON, url=URL, name=DEMO, known=None)
    assert plain == zipped
    assert plain.body_digest == hashlib.sha256(page()).hexdigest()
    assert plain.page is not None
    assert load(plain.page).files[0].filename == WHEEL


def test_known_body_is_not_parsed() -> None:
    """Even one that is no page: whoever knows the digest has parsed it once."""
    body = b"not a page"
    unpacked = unpack([body], "", JSON, url=URL, name=DEMO, known=hashlib.sha256(body).hexdigest())
    assert unpacked.page is None


def test_salt_makes_another_digest() -> None:
    digests = {
        unpack([page()], "", JSON, url=URL, name=DEMO, known=None, salt=s).body_digest for s in ("", "a", "b")
    }
    assert len(digests) == 3


@given(
    members=st.lists(st.binary(max_size=3000), min_size=1, max_size=4),
    level=st.integers(0, 9),
    cuts=st.lists(st.integers(0, 12_000), max_size=5),
)
def test_inflate_undoes_gzip_however_it_is_cut(members: list[bytes], level: int, cuts: list[int]) -> None:
    wire = b"".join(gzip.compress(member, level) for member in members)
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[a:b] for a, b in itertools.pairwise(edges)]
    assert inflate(pieces) == b"".join(members)


@given(data=st.binary(max_size=2000), cut=st.integers(1, 2000))
def test_gzip_cut_anywhere_is_an_error(data: bytes, cut: int) -> None:
    wire = gzip.compress(data)
    with pytest.raises(ValueError, match="gzip"):
        inflate([wire[: max(0, len(wire) - cut)]])


@given(st.binary(max_size=300))
def test_bytes_that_are_not_gzip_are_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="gzip"):
        inflate([b"\x1f\x8b\x09" + data])


def _deflated(size: int) -> bytes:
    encoder = zlib.compressobj(9, zlib.DEFLATED, 31)
    return encoder.compress(bytes(size)) + encoder.flush()


BOMBS = {
    "zeros": _deflated(8 << 20),
    "zeros in members": _deflated(2 << 20) * 9,
    "noise, then zeros": gzip.compress(random.Random(1).randbytes(5000)) + _deflated(40 << 20),
    "a cut bomb": _deflated(40 << 20)[:-20],
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bomb_is_refused(bomb: str) -> None:
    with pytest.raises(ValueError, match="beyond all measure"):
        inflate([BOMBS[bomb]])


def test_small_page_may_shrink_as_much_as_it_likes() -> None:
    assert inflate([_deflated(RATIO_FREE)]) == bytes(RATIO_FREE)


def test_page_larger_than_any_page_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pypicache.upstream.unpack.MAX_PAGE", 2 << 20)
    noise = random.Random(1).randbytes(1 << 20)
    assert len(inflate([gzip.compress(noise * 2, 0)])) == 2 << 20
    with pytest.raises(ValueError, match="beyond all measure"):
        inflate([gzip.compress(noise * 2 + b"x", 0)])


def test_many_tiny_members_are_refused() -> None:
    member = gzip.compress(b"x")
    assert inflate([member * MAX_MEMBERS]) == b"x" * MAX_MEMBERS
    with pytest.raises(ValueError, match="too many members"):
        inflate([member * (MAX_MEMBERS + 1)])


def test_junk_after_a_member_is_refused() -> None:
    with pytest.raises(ValueError, match="not gzip"):
        inflate([gzip.compress(b"x") + b"<script>"])


@pytest.mark.parametrize(("coding", "expected"), [("", 100), ("identity", 100), ("gzip", 100 * GROWTH)])
def test_weight_guesses_what_is_inside(coding: str, expected: int) -> None:
    assert weight(100, coding) == expected
