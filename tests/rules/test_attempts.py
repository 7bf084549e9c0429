"""Guessing is slowed, and nobody is locked out by others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.rules.attempts import (
    FORGET,
    FREE,
    FREE_FOR_ACCOUNT,
    LOCAL,
    LONGEST,
    Attempts,
    network_of,
)


def failing(count: int, address: str = "a", account: str = "root", *, now: float = 0.0) -> Attempts:
    attempts = Attempts()
    for _ in range(count):
        attempts.failed(address, account, now)
    return attempts


@pytest.mark.parametrize(
    ("failures", "wait"),
    [(0, 0), (1, 0), (FREE, 0), (FREE + 1, 1), (FREE + 2, 2), (FREE + 4, 8), (FREE + 20, LONGEST)],
)
def test_who_fails_more_waits_longer(failures: int, wait: float) -> None:
    assert failing(failures).wait("a", "root", 0.0) == wait


def test_another_address_does_not_wait() -> None:
    assert failing(FREE + 5).wait("b", "root", 0.0) == 0


def test_a_network_of_guessers_gets_one_attempt_a_second_at_an_account() -> None:
    attempts = Attempts()
    for number in range(FREE_FOR_ACCOUNT + 1):
        attempts.failed(f"address {number}", "root", 10.0)
    assert attempts.wait("fresh", "root", 10.0) == 1.0
    assert attempts.wait("fresh", "root", 11.0) == 0.0
    assert attempts.wait("fresh", "another", 10.0) == 0.0


def test_the_owner_at_the_usual_address_is_not_held_up_by_guessers() -> None:
    attempts = Attempts()
    attempts.succeeded("home", "root")
    for number in range(FREE_FOR_ACCOUNT + 50):
        attempts.failed(f"address {number}", "root", 10.0)
    assert attempts.wait("home", "root", 10.0) == 0.0


def test_outsiders_do_not_lock_out_who_is_on_this_machine() -> None:
    attempts = Attempts()
    for number in range(1000):
        attempts.failed(f"address {number}", "root", 10.0)
    assert attempts.wait(LOCAL, "root", 10.0) == 0.0


def test_an_hour_of_peace_is_a_new_beginning() -> None:
    attempts = failing(FREE + 10)
    assert attempts.wait("a", "root", FORGET) == 0.0
    attempts.failed("a", "root", FORGET)
    assert attempts.wait("a", "root", FORGET) == 0.0


def test_getting_it_right_clears_the_address() -> None:
    attempts = failing(FREE + 10)
    attempts.succeeded("a", "root")
    assert attempts.wait("a", "root", 0.0) == 0.0


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500), st.booleans()), max_size=300))
def test_memory_is_bounded_and_waits_too(story: list[tuple[int, int, bool]]) -> None:
    attempts = Attempts(remember=50)
    for now, (address, account, right) in enumerate(story):
        attempts.failed(str(address), str(account), float(now))
        if right:
            attempts.succeeded(str(address), str(account))
        assert 0 <= attempts.wait(str(address), str(account), float(now)) <= LONGEST
        assert len(attempts) <= 100


@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "20010db800010002::/64"),
        ("2001:db8:1:2:ffff::", "20010db800010002::/64"),
        ("fe80::1%eth0", "fe80000000000000::/64"),
        ("", "unknown"),
        (None, "unknown"),
        ("a\nb", "unknown"),
    ],
)
def test_one_line_to_the_internet_is_one_address(peer: str | None, network: str) -> None:
    assert network_of(peer) == network
