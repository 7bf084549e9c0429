"""Those who may change things: logging in with a name and a password, and the token that comes of it.

The token comes back in devpi's X-Devpi-Auth header, `base64(user:token)`, and nowhere else: no cookie and no Authorization,
which a browser would send for any page that asks it to. A request that a browser made changes nothing and logs
nobody in, whatever it brings along.

An account with an empty password is whoever is on this machine: a loopback address or a Unix socket, and no proxy between.
That holds for its tokens too. Besides, whoever can read the daemon's own key may sign a token for nobody and one request, which is
how the command line talks to a daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from aiohttp import web

from pypicache.errors import Denied, Unauthorized
from pypicache.rules import tokens
from pypicache.rules.tokens import LIFETIME, Verdict
from pypicache.web.accounts import Accounts
from pypicache.web.address import Network
from pypicache.web.credentials import address_of, is_local, is_of_browser, pair_of

HEADER = "X-Devpi-Auth"

NOBODY = ""
"""The user of tokens that are signed by whoever can read the key: no account is called that."""

CHALLENGE = 'X-Devpi-Auth realm="pypicache"'
"""Not Basic: a browser would ask its user, and keep the answer."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who a request is from, as far as its token tells."""

    user: str | None = None
    """None when it has no token that is good."""
    expired: bool = False
    """Whether it has one that isn't good any more."""


class Session:
    """Logs in, and knows those who have. `secrets` are the passwords or hashes of the accounts."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        secrets: Mapping[str, str],
        key: bytes,
        clock: Callable[[], float],
        trusted: Sequence[Network] = (),
    ) -> None:
        self._accounts = accounts
        self._secrets = secrets
        self._key = key
        self._clock = clock
        self._trusted = trusted

    @property
    def possible(self) -> bool:
        """Whether anyone can log in."""
        return bool(self._secrets)

    async def log_in(self, request: web.BaseRequest, user: str, password: str) -> str:
        """A token for the user. Raises Unauthorized, Denied, TooManyAttempts."""
        _refuse_browsers(request)
        if user in self._secrets and not password:
            # Before it is looked at: from elsewhere it must not count as having got it right.
            self._must_be_here(request, user)
        if not await self._accounts.verify(user, password, address_of(request, self._trusted)):
            raise Unauthorized("the name or the password is wrong", challenge=CHALLENGE)
        expires = int(self._clock()) + LIFETIME
        return tokens.make(self._key, user=user, secret=self._secrets[user], expires=expires)

    def who(self, request: web.BaseRequest) -> Who:
        """Who the request is from."""
        pair = pair_of(request.headers.get(HEADER))
        if pair is None:
            return Who()
        secret = self._secrets.get(pair.user)
        if pair.user == NOBODY:  # such a token is for one request
            secret = f"{request.method} {request.rel_url.raw_path}"
        verdict = tokens.judge(
            self._key, pair.password, user=pair.user, secret=secret or "", now=self._clock()
        )
        if secret is None or verdict is not Verdict.GOOD:
            return Who(expired=True)
        return Who(pair.user if secret or is_local(request) else None)

    def may_change(self, request: web.BaseRequest) -> str:
        """The user, if the request may change things. Raises Unauthorized, Denied."""
        _refuse_browsers(request)
        who = self.who(request)
        if who.user is not None:
            return who.user or "whoever has the cache's key"
        pair = pair_of(request.headers.get(HEADER))
        if pair is not None and not who.expired:
            self._must_be_here(request, pair.user)
        raise Unauthorized(
            "the login has expired: log in again" if who.expired else "log in first", challenge=CHALLENGE
        )

    def _must_be_here(self, request: web.BaseRequest, user: str) -> None:
        if not self._secrets.get(user) and not is_local(request):
            raise Denied(
                f"the account {user} has an empty password, which is accepted from the server itself only, and not "
                "through a proxy: give it a password"
            )


def _refuse_browsers(request: web.BaseRequest) -> None:
    if is_of_browser(request):
        raise Denied("nothing is changed for web pages: use devpi's client, or `pypicache index set`")
