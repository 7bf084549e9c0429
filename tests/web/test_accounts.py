"""Passwords and tokens against accounts: right and wrong, remembered, slowed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pypicache.errors import TooManyAttempts
from pypicache.rules.attempts import FREE, Attempts
from pypicache.rules.passwords import PasswordHash, parse
from pypicache.web.accounts import AT_ONCE, REMEMBER, REMEMBERED, Account, Accounts
from tests.clock import ManualClock


def hashed(password: str) -> PasswordHash:
    """A cheap one."""
    digest = hashlib.scrypt(password.encode(), salt=b"s" * 16, n=2, r=1, p=1, dklen=32)
    salt, text = (base64.b64encode(data).decode().rstrip("=") for data in (b"s" * 16, digest))
    return parse(f"$scrypt$ln=1,r=1,p=1${salt}${text}")


class Counting(ThreadPoolExecutor):
    """Counts what it is given; `gate` holds it up."""

    def __init__(self) -> None:
        super().__init__(2, initializer=lambda: None)
        self.count = 0
        self.gate = threading.Event()
        self.gate.set()

    def submit(self, fn, /, *args, **kwargs):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN002, ANN003, ANN201 - passed on
        self.count += 1

        def held():  # type: ignore[no-untyped-def] # noqa: ANN202 - as above
            self.gate.wait(20)
            return fn(*args, **kwargs)

        return super().submit(held)


@pytest.fixture
def threads() -> Iterator[Counting]:
    with Counting() as pool:
        yield pool
        pool.gate.set()


@pytest.fixture
def accounts(threads: Counting, clock: ManualClock) -> Accounts:
    return Accounts(
        accounts={
            "plain": Account(password="open sesame"),
            "hashed": Account(hash=hashed("s3cret")),
            "none": Account(password=""),
        },
        tokens=("t1", "t2"),
        attempts=Attempts(),
        threads=threads,
        monotonic=clock,
    )


@pytest.mark.parametrize(
    ("user", "password", "expected"),
    [
        ("plain", "open sesame", True),
        ("plain", "s3cret", False),
        ("plain", "", False),
        ("hashed", "s3cret", True),
        ("hashed", "open sesame", False),
        ("none", "", True),
        ("none", "x", False),
        ("nobody", "", False),
        ("nobody", "s3cret", False),
        ("", "", False),
        ("\0", "t1", False),
        ("plai", "nopen sesame", False),
    ],
)
async def test_a_name_and_a_password(accounts: Accounts, user: str, password: str, expected: bool) -> None:
    assert await accounts.verify(user, password, "a") is expected
    assert await accounts.verify(user, password, "a") is expected


@pytest.mark.parametrize(("token", "expected"), [("t1", True), ("t2", True), ("t3", False), ("", False)])
async def test_a_token(accounts: Accounts, token: str, expected: bool) -> None:
    assert await accounts.is_token(token, "a") is expected
    assert await accounts.is_token(token, "a") is expected


async def test_a_hashed_password_costs_once(
    accounts: Accounts, threads: Counting, clock: ManualClock
) -> None:
    threads.gate.clear()
    asking = [asyncio.create_task(accounts.verify("hashed", "s3cret", "a")) for _ in range(50)]
    await asyncio.sleep(0)
    threads.gate.set()
    assert all(await asyncio.gather(*asking))
    assert await accounts.verify("hashed", "s3cret", "b")
    assert threads.count == 1
    clock.advance(REMEMBER)
    assert await accounts.verify("hashed", "s3cret", "a")
    assert threads.count == 2


async def test_a_name_that_does_not_exist_takes_as_long_as_one_that_does(
    accounts: Accounts, threads: Counting
) -> None:
    assert not await accounts.verify("nobody", "s3cret", "a")
    assert threads.count == 1


async def test_the_same_mistake_over_and_over_is_one_attempt(accounts: Accounts, threads: Counting) -> None:
    """A build with an old password asks hundreds of times, and isn't guessing."""
    for _ in range(100):
        assert not await accounts.verify("hashed", "old", "a")
        assert not await accounts.verify("plain", "old", "a")
        assert not await accounts.is_token("old", "a")
    assert threads.count == 1


@pytest.mark.parametrize("user", ["plain", "hashed", "nobody", ""])
async def test_guessing_is_slowed_also_for_whom_guesses_right(accounts: Accounts, user: str) -> None:
    for number in range(FREE + 1):
        assert not await accounts.verify(user, f"guess {number}", "a")
    with pytest.raises(TooManyAttempts) as refused:
        await accounts.verify("plain", "open sesame", "a")
    assert refused.value.retry_after == 1.0
    assert await accounts.verify("plain", "open sesame", "b")
    # What was right a moment ago still is: an address can be shared.
    assert await accounts.verify("plain", "open sesame", "a")


async def test_tokens_are_guessed_at_slowly(accounts: Accounts) -> None:
    for number in range(FREE + 1):
        assert not await accounts.is_token(f"guess {number}", "a")
    with pytest.raises(TooManyAttempts):
        await accounts.is_token("guess more", "a")
    assert await accounts.is_token("t1", "a")


async def test_many_guesses_at_once_are_not_all_looked_at(accounts: Accounts, threads: Counting) -> None:
    threads.gate.clear()
    asking = [asyncio.create_task(accounts.verify("hashed", str(n), "a")) for n in range(100)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    threads.gate.set()
    outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert outcomes.count(False) == threads.count <= AT_ONCE
    assert sum(isinstance(outcome, TooManyAttempts) for outcome in outcomes) == 100 - threads.count


async def test_what_is_remembered_is_bounded(accounts: Accounts, clock: ManualClock) -> None:
    for number in range(REMEMBERED + 10):
        assert not await accounts.is_token(str(number), f"address {number}")
        clock.advance(2)
    assert len(accounts._outcomes) == REMEMBERED


async def test_who_leaves_does_not_stop_the_check(accounts: Accounts, threads: Counting) -> None:
    threads.gate.clear()
    first = asyncio.create_task(accounts.verify("hashed", "s3cret", "a"))
    await asyncio.sleep(0)
    second = asyncio.create_task(accounts.verify("hashed", "s3cret", "a"))
    await asyncio.sleep(0)
    first.cancel()
    threads.gate.set()
    assert await second
    assert threads.count == 1
