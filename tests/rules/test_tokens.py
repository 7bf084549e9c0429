"""Tokens: good for their user, until their time, under their key and password, and for nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.rules.tokens import Verdict, judge, make

KEY = b"k" * 32


def token(user: str = "root", secret: str = "pw", expires: int = 1000, key: bytes = KEY) -> str:
    return make(key, user=user, secret=secret, expires=expires)


@pytest.mark.parametrize(
    ("given_token", "now", "verdict"),
    [
        (token(), 0.0, Verdict.GOOD),
        (token(), 999.9, Verdict.GOOD),
        (token(), 1000.0, Verdict.EXPIRED),
        (token(expires=0), 0.0, Verdict.EXPIRED),
        (token(user="other"), 0.0, Verdict.WRONG),
        (token(secret="changed"), 0.0, Verdict.WRONG),
        (token(secret=""), 0.0, Verdict.WRONG),
        (token(key=b"x" * 32), 0.0, Verdict.WRONG),
        (token().replace("3e8.", "3e9."), 0.0, Verdict.WRONG),
        (token()[:-1], 0.0, Verdict.WRONG),
        (token() + "\n", 0.0, Verdict.WRONG),
        ("", 0.0, Verdict.WRONG),
        ("pw", 0.0, Verdict.WRONG),
    ],
)
def test_what_a_token_is_worth(given_token: str, now: float, verdict: Verdict) -> None:
    assert judge(KEY, given_token, user="root", secret="pw", now=now) is verdict


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.text(max_size=8))
def test_parts_never_run_into_each_other(user: str, secret: str, other: str, more: str) -> None:
    made = make(KEY, user=user, secret=secret, expires=10)
    good = judge(KEY, made, user=other, secret=more, now=0) is Verdict.GOOD
    assert good == ((user, secret) == (other, more))


@given(st.text())
def test_junk_is_worth_nothing(junk: str) -> None:
    assert judge(KEY, junk, user="root", secret="pw", now=0) is Verdict.WRONG
