"""Every error pypicache raises, drawn as a tree.

::

    PypicacheError                      500
    ├── ConfigError(problems)           --   never reaches a client
    ├── BadRequest                      400
    ├── Unauthorized(challenge)         401  only where accounts are configured
    ├── MethodNotAllowed(allowed)       405
    ├── NotAcceptable                   406
    ├── TooLarge                        413
    ├── UnsupportedMediaType            415
    ├── NotFound                        404
    │   ├── ProjectNotFound
    │   └── FileNotFound
    ├── CannotChange                    409  the configuration can't be written
    ├── Denied(reason)                  403  the index says no, and says why
    ├── TooManyAttempts(retry_after)    429  guesses at a password; never without Retry-After
    ├── UpstreamError(origin)           503  one mirror failed; never an absence
    │   ├── UpstreamTimeout                  it was silent
    │   ├── UpstreamRefused                  it can't be reached, or answered with a status that isn't an answer
    │   ├── UpstreamGarbled                  its answer isn't a page, or isn't the file
    │   └── AllUpstreamsFailed(causes)       nobody answered
    ├── Abandoned                       503  a download was stopped, since nobody read it
    ├── IntegrityError(expected, got)   503  bytes that aren't the ones the page promised
    └── StoreError                      500
        └── StoreFull                        no room; the file is streamed through instead

Each class carries the status it suggests; `pypicache.web.errors` is the one place that maps an
error to a response. A message is one line, names the thing, and holds no secret. This module imports nothing
of the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


def one_line(text: str, limit: int = 300) -> str:
    """Hostile text made fit for a log line or an error body: printable, one line, at most `limit` characters."""
    clean = text[: limit + 1]
    if not clean.isprintable():
        clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in clean)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


class PypicacheError(Exception):
    """The base of every error of this package."""

    status: ClassVar[int] = 500
    """The HTTP status that suits the error, if it gets as far as a client."""


class ConfigError(PypicacheError):
    """The configuration has problems; `problems` holds one printable line for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class BadRequest(PypicacheError):
    """The request itself is malformed."""

    status = 400


class Unauthorized(PypicacheError):
    """Who asks isn't known, or not by these credentials; `challenge` is the WWW-Authenticate header's value."""

    status = 401

    def __init__(self, message: str, *, challenge: str = 'Basic realm="pypicache", charset="UTF-8"') -> None:
        self.challenge = challenge
        super().__init__(message)


class CannotChange(PypicacheError):
    """The configuration is sound, the change is too, and the file can't be written; the message has the remedy."""

    status = 409


class TooManyAttempts(PypicacheError):
    """Credentials were wrong too often; these aren't looked at for `retry_after` seconds."""

    status = 429

    def __init__(self, message: str, *, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class NotAcceptable(PypicacheError):
    """No form that the client accepts can be made (RFC 9110 section 15.5.7)."""

    status = 406


class MethodNotAllowed(PypicacheError):
    """The place is there and isn't asked like that; `allowed` are the methods it knows."""

    status = 405

    def __init__(self, method: str, allowed: Sequence[str]) -> None:
        self.allowed = tuple(allowed)
        super().__init__(f"{one_line(method, 20)} is not answered here")


class TooLarge(PypicacheError):
    """The request's body is longer than anything that is meant to be sent there."""

    status = 413


class UnsupportedMediaType(PypicacheError):
    """The request's body isn't of a type that is read there (RFC 9110 section 15.5.16)."""

    status = 415


class NotFound(PypicacheError):
    """What was asked for is known not to exist."""

    status = 404


class ProjectNotFound(NotFound):
    """Every mirror that answered says there is no such project.

    `confirmed` when that is final: two mirrors say so, or none is left that could know better. `origins` are the
    mirrors that said so. `age` is how many seconds ago they did; None when they were asked for this very answer.
    """

    def __init__(
        self,
        message: str,
        *,
        confirmed: bool = False,
        origins: Sequence[str] = (),
        age: float | None = None,
    ) -> None:
        self.confirmed = confirmed
        self.origins = tuple(origins)
        self.age = age
        super().__init__(message)


class FileNotFound(NotFound):
    """The project's page lists no such file."""


class Denied(PypicacheError):
    """The project or file exists, and the index does not hand it out; the message is the reason."""

    status = 403


class UpstreamError(PypicacheError):
    """A mirror failed to answer. Silence isn't absence: this never means that something doesn't exist.

    `origin` is the mirror's name; `retry_after` what it asked for, in seconds, if it did.
    """

    status = 503

    told = False
    """Whether observers know of it already: whoever else handles it needn't tell them again."""

    def __init__(self, origin: str, message: str, *, retry_after: float | None = None) -> None:
        self.origin = origin
        self.retry_after = retry_after
        super().__init__(f"{origin}: {one_line(message)}" if origin else one_line(message))


class UpstreamTimeout(UpstreamError):
    """The mirror was silent for longer than its timeouts allow."""


class UpstreamRefused(UpstreamError):
    """The mirror can't be reached, or its status is neither an answer nor an absence."""

    def __init__(
        self, origin: str, message: str, *, http_status: int | None = None, retry_after: float | None = None
    ) -> None:
        self.http_status = http_status
        super().__init__(origin, message, retry_after=retry_after)


class UpstreamGarbled(UpstreamError):
    """The mirror answered with something that isn't what was asked for."""


class AllUpstreamsFailed(UpstreamError):
    """No mirror answered; `causes` holds how each one failed, in the order they were tried."""

    def __init__(self, what: str, causes: Sequence[UpstreamError]) -> None:
        self.causes = tuple(causes)
        waits = [cause.retry_after for cause in causes if cause.retry_after is not None]
        tried = "; ".join(str(cause) for cause in causes) or "no mirror to ask"
        PypicacheError.__init__(self, one_line(f"{what}: {tried}", 1000))
        self.origin = ""
        self.retry_after = min(waits) if waits else None


class Abandoned(PypicacheError):
    """A download was stopped, since nobody read it; what is held is kept for whoever asks next."""

    status = 503


class IntegrityError(PypicacheError):
    """The bytes that arrived are not the ones that the page promised."""

    status = 503

    def __init__(self, what: str, *, expected: str, got: str) -> None:
        self.expected = expected
        self.got = got
        super().__init__(f"{one_line(what)}: expected {one_line(expected)}, got {one_line(got)}")


class StoreError(PypicacheError):
    """The cache directory can't be used."""


class StoreFull(StoreError):
    """There is no room for these bytes in the cache."""
