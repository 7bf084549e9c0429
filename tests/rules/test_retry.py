from __future__ import annotations

import pytest

from pypicache.rules.retry import AGED, CAP, GIVE_UP, retry_after, second_chance_at

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("2", 2.0),
        (" 2\t", 2.0),
        ("1.5", 1.5),
        ("60", 60.0),
        ("61", CAP),
        ("31536000", CAP),
        ("9" * 5000, CAP),
        ("-1", None),
        ("1e3", None),
        ("2s", None),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("\N{ARABIC-INDIC DIGIT TWO}", None),
        ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
        ("Sunday, 06-Nov-94 08:49:47 GMT", 10.0),
        ("Sun Nov  6 08:49:47 1994", 10.0),
        ("Sun, 06 Nov 1994 08:49:47 -0000", 10.0),
        ("Sun, 06 Nov 1994 10:49:47 +0200", 10.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sun, 06 Nov 1994 07:00:00 GMT", 0.0),
        ("Mon, 01 Jan 0101 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", CAP),
        ("Sun, 99 Nov 1994 08:49:47 GMT", None),
        ("Sun, 06 Nov 1994 08:49:47 +99999999999", None),
        ("Sun, 06 Nov 1994 08:49:47 GMT" + " " * 50 + "x", None),
    ],
)
def test_retry_after(text: str | None, expected: float | None) -> None:
    assert retry_after(text, NOW) == expected


def test_cap_is_the_callers() -> None:
    assert retry_after("9", NOW, cap=5.0) == 5.0
    assert retry_after("Sun, 06 Nov 1994 08:49:47 GMT", NOW, cap=5.0) == 5.0


def test_a_failure_may_be_over_after_a_moment_and_not_where_all_take_long() -> None:
    assert second_chance_at(11.0, began=10.0, now=12.0) == 11.0 + AGED
    assert second_chance_at(10.0, began=10.0, now=10.0 + GIVE_UP) is None
