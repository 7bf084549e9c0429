"""Names and passwords: whether these two belong together.

A password that is kept as a hash costs 0.2 s to check, so that is done in a thread, and what came of it is remembered for five
minutes: an installer sends its password with each of hundreds of requests. What is remembered is a digest under a key that
nobody else has, never the password. A wrong one takes as long as a right one, and a name that doesn't exist as long as
one that does. Guessing is slowed by `rules.attempts`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

from pypicache.errors import TooManyAttempts
from pypicache.rules import passwords
from pypicache.rules.attempts import Attempts
from pypicache.rules.passwords import PasswordHash

REMEMBER = 300.0
"""Seconds for which the outcome of a check holds."""

REMEMBERED = 4096
"""Outcomes that are remembered."""

AT_ONCE = 8
"""Checks that one address may have under way; a browser or an installer with one password has one."""

WAITING = 64
"""Checks that may be under way altogether: a dozen seconds' work."""

TOKENS = "\0"
"""What stands for the account where a token is guessed at: no user can be called that."""


@dataclass(frozen=True, slots=True)
class Account:
    """What proves that someone is someone: a password, or the hash of one."""

    password: str | None = field(default=None, repr=False)
    hash: PasswordHash | None = None

    @property
    def is_open(self) -> bool:
        """Whether the password is empty: then it proves nothing."""
        return self.password == ""


class Accounts:
    """Checks passwords of accounts, and tokens, which are passwords without a name.

    `attempts` outlives it: a reload forgives nobody.
    """

    def __init__(
        self,
        *,
        accounts: Mapping[str, Account],
        tokens: tuple[str, ...] = (),
        attempts: Attempts,
        threads: Executor,
        monotonic: Callable[[], float],
    ) -> None:
        self._accounts = accounts
        self._attempts = attempts
        self._threads = threads
        self._monotonic = monotonic
        self._key = secrets.token_bytes(32)
        self._tokens = frozenset(self._digest(TOKENS, token) for token in tokens)
        # Somebody who isn't there is checked against this, so that it takes as long as for somebody who is.
        hashed = next((account.hash for account in accounts.values() if account.hash is not None), None)
        self._nobody = Account(password=secrets.token_hex(16), hash=hashed)
        self._outcomes: OrderedDict[bytes, tuple[bool, float]] = OrderedDict()
        self._checking: dict[bytes, asyncio.Task[bool]] = {}
        self._busy: Counter[str] = Counter()

    def get(self, user: str) -> Account | None:
        """The account of that name."""
        return self._accounts.get(user)

    async def is_token(self, token: str, address: str) -> bool:
        """Whether that is one of the tokens. Raises TooManyAttempts."""
        digest = self._digest(TOKENS, token)
        right = digest in self._tokens
        return right or self._judged(digest, TOKENS, address, right=False)

    async def verify(self, user: str, password: str, address: str) -> bool:
        """Whether that is the user's password. Raises TooManyAttempts when it isn't looked at now."""
        digest, now = self._digest(user, password), self._monotonic()
        outcome = self._outcomes.get(digest)
        if outcome is not None and now < outcome[1]:
            return outcome[0]
        if (task := self._checking.get(digest)) is None:
            account = self._accounts.get(user, self._nobody)
            name = user if user in self._accounts else ""
            if account.hash is None:
                expected = self._digest(user, account.password or "")
                return self._judged(digest, name, address, right=hmac.compare_digest(digest, expected))
            self._must_wait(address, name)
            if self._busy[address] >= AT_ONCE or self._busy.total() >= WAITING:
                raise TooManyAttempts("too many passwords are being checked", retry_after=1)
            self._busy[address] += 1
            task = asyncio.create_task(
                self._check(digest, name, password, account.hash, address), name="check a password"
            )
            self._checking[digest] = task
            task.add_done_callback(lambda _: self._checking.pop(digest, None))
        # It is shared, and its outcome is wanted even if who asked has left.
        return await asyncio.shield(task)

    async def _check(
        self, digest: bytes, name: str, password: str, hashed: PasswordHash, address: str
    ) -> bool:
        try:
            loop = asyncio.get_running_loop()
            right = await loop.run_in_executor(self._threads, hashed.matches, password)
        finally:
            self._busy[address] -= 1
            if not self._busy[address]:
                del self._busy[address]
        return self._note(digest, name, address, right=right and name != "")

    def _judged(self, digest: bytes, name: str, address: str, *, right: bool) -> bool:
        """What was found out at once. An outcome that is remembered is no new attempt."""
        outcome = self._outcomes.get(digest)
        if outcome is not None and self._monotonic() < outcome[1]:
            return outcome[0]
        self._must_wait(address, name)
        return self._note(digest, name, address, right=right and name != "")

    def _must_wait(self, address: str, name: str) -> None:
        wait = self._attempts.wait(address, name, self._monotonic())
        if wait > 0:
            raise TooManyAttempts("the credentials were wrong too often: try again later", retry_after=wait)

    def _note(self, digest: bytes, name: str, address: str, *, right: bool) -> bool:
        now = self._monotonic()
        if right:
            self._attempts.succeeded(address, name)
        else:
            self._attempts.failed(address, name, now)
        self._outcomes[digest] = (right, now + REMEMBER)
        self._outcomes.move_to_end(digest)
        while len(self._outcomes) > REMEMBERED:
            self._outcomes.popitem(last=False)
        return right

    def _digest(self, user: str, password: str) -> bytes:
        said = f"{len(user)}:{user}{password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, said, hashlib.sha256)


def account(*, password: str | None, password_hash: str | None) -> Account:
    """An account out of a configuration."""
    return Account(password, passwords.parse(password_hash) if password_hash is not None else None)
