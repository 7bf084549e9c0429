"""What can go wrong with an answer, as values: an action turns the right `Reply` into a wrong one.

An action is any function from Reply to Reply; those here are named for what the client sees. They decide and
do nothing: `origin_wire` carries a Reply out, byte by byte. Offsets count bytes of this response's body, not of
the file, and an offset beyond the end means the end.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tests.origin_reply import Cut, End, Framing, Gate, Release, Reply, reason

Action = Callable[[Reply], Reply]


@dataclass(frozen=True, slots=True)
class Normal:
    """The right answer: a place holder in a script."""

    def __call__(self, reply: Reply) -> Reply:
        return reply


class Both:
    """Several actions at once, the first one first."""

    def __init__(self, *actions: Action) -> None:
        self._actions = actions

    def __call__(self, reply: Reply) -> Reply:
        for action in self._actions:
            reply = action(reply)
        return reply


@dataclass(frozen=True, slots=True)
class Status:
    """Another status, with a body of its own and none of the right answer's headers."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """None: one line of text, or nothing where the status forbids a body."""

    def __call__(self, reply: Reply) -> Reply:
        body = self.body
        if body is None:
            body = b"" if self.code in {204, 304} else f"{reason(self.code)}\n".encode()
        plain = Reply(status=self.code, headers=(("Content-Type", "text/plain; charset=utf-8"),), body=body)
        return plain.having(self.headers)


@dataclass(frozen=True, slots=True)
class Redirect:
    """The answer is elsewhere: `url` becomes the Location, verbatim."""

    url: str
    code: int = 302

    def __call__(self, reply: Reply) -> Reply:
        return Status(self.code, {"Location": self.url})(reply)


@dataclass(frozen=True, slots=True)
class Headers:
    """The right answer with these headers set."""

    headers: Mapping[str, str]

    def __call__(self, reply: Reply) -> Reply:
        return reply.having(self.headers)


@dataclass(frozen=True, slots=True)
class Without:
    """The right answer with these headers left out."""

    name: str

    def __call__(self, reply: Reply) -> Reply:
        return reply.without(self.name.lower())


@dataclass(frozen=True, slots=True)
class Delay:
    """Nothing at all for some seconds, or until a gate opens; then the right answer."""

    until: float | Gate

    def __call__(self, reply: Reply) -> Reply:
        return replace(reply, wait=self.until)


@dataclass(frozen=True, slots=True)
class Hang:
    """The connection and the request are accepted; no answer comes until `Origin.release`."""

    def __call__(self, reply: Reply) -> Reply:
        return replace(reply, wait=Release())


@dataclass(frozen=True, slots=True)
class Rate:
    """No faster than so many bytes of the body a second."""

    bytes_per_second: float

    def __call__(self, reply: Reply) -> Reply:
        return replace(reply, rate=self.bytes_per_second)


@dataclass(frozen=True, slots=True)
class Drip:
    """So many bytes of the body a second, one at a time: never silent for long, never done."""

    bytes_per_second: float = 1.0

    def __call__(self, reply: Reply) -> Reply:
        return replace(reply, rate=self.bytes_per_second, piece=1)


def _cut(reply: Reply, cut: Cut) -> Reply:
    return replace(reply, cuts=(*reply.cuts, cut))


@dataclass(frozen=True, slots=True)
class ResetAt:
    """A TCP reset after `at` bytes of the body have arrived."""

    at: int

    def __call__(self, reply: Reply) -> Reply:
        return _cut(reply, Cut(self.at, End.RESET))


@dataclass(frozen=True, slots=True)
class CloseAt:
    """An early but orderly end of the connection after `at` bytes of the body."""

    at: int

    def __call__(self, reply: Reply) -> Reply:
        return _cut(reply, Cut(self.at, End.FIN))


@dataclass(frozen=True, slots=True)
class StallAt:
    """Silence after `at` bytes of the body, until the gate opens (None: `Origin.release`); then the rest."""

    at: int
    gate: Gate | None = None

    def __call__(self, reply: Reply) -> Reply:
        return _cut(reply, Cut(self.at, End.STALL, gate=self.gate))


@dataclass(frozen=True, slots=True)
class ResetInHead:
    """A TCP reset after `at` bytes of the status line and headers."""

    at: int

    def __call__(self, reply: Reply) -> Reply:
        return _cut(reply, Cut(self.at, End.RESET, in_head=True))


@dataclass(frozen=True, slots=True)
class ResetBeforeStatus:
    """A TCP reset in place of an answer."""

    def __call__(self, reply: Reply) -> Reply:
        return _cut(reply, Cut(0, End.RESET, in_head=True))


@dataclass(frozen=True, slots=True)
class CloseBeforeStatus:
    """An orderly close in place of an answer, as by a server that has just tired of the idle connection."""

    def __call__(self, reply: Reply) -> Reply:
        return _cut(reply, Cut(0, End.FIN, in_head=True))


@dataclass(frozen=True, slots=True)
class CloseAfter:
    """The right answer, after which the connection is closed although nothing announced it."""

    def __call__(self, reply: Reply) -> Reply:
        return replace(reply, close=True)


@dataclass(frozen=True, slots=True)
class WrongBytes:
    """As many bytes as the right ones, of which the one at `at` is another (negative: from the end)."""

    at: int = -1

    def __call__(self, reply: Reply) -> Reply:
        body = bytearray(reply.body)
        if body:
            body[max(-len(body), min(self.at, len(body) - 1))] ^= 0xFF
        return replace(reply, body=bytes(body))


@dataclass(frozen=True, slots=True)
class Body:
    """The right answer's head around another body, which it fits or doesn't."""

    data: bytes

    def __call__(self, reply: Reply) -> Reply:
        return replace(reply, body=self.data)


@dataclass(frozen=True, slots=True)
class LieLength:
    """A Content-Length that isn't the body's; the connection is closed after the body."""

    length: int

    def __call__(self, reply: Reply) -> Reply:
        return replace(reply, length=self.length, close=True)


@dataclass(frozen=True, slots=True)
class NoLength:
    """A body that ends with the connection (RFC 9112 section 6.3, last rule)."""

    def __call__(self, reply: Reply) -> Reply:
        return replace(reply, framing=Framing.CLOSE)


@dataclass(frozen=True, slots=True)
class Chunked:
    """The body in chunks (RFC 9112 section 7.1), of `size` bytes each."""

    size: int = 65536

    def __call__(self, reply: Reply) -> Reply:
        return replace(reply, framing=Framing.CHUNKED, piece=self.size)


@dataclass(frozen=True, slots=True)
class IgnoreRange:
    """The whole file with a 200 where a range was asked for: what a server without ranges does."""

    def __call__(self, reply: Reply) -> Reply:
        if reply.whole is None:
            return reply.without("accept-ranges")
        full = replace(reply, status=200, body=reply.whole, whole=None)
        return full.without("content-range", "accept-ranges")


@dataclass(frozen=True, slots=True)
class WrongContentRange:
    """A 206 whose Content-Range is `value`, whatever was asked for and whatever the body is."""

    value: str

    def __call__(self, reply: Reply) -> Reply:
        return replace(reply, status=206).having({"Content-Range": self.value})


@dataclass(frozen=True, slots=True)
class Gzipped:
    """The body gzipped, with `Content-Encoding: gzip`, whether or not the client offered it."""

    def __call__(self, reply: Reply) -> Reply:
        packed = gzip.compress(reply.body, compresslevel=1, mtime=0)
        return replace(reply, body=packed).having({"Content-Encoding": "gzip"})


@dataclass(frozen=True, slots=True)
class Garbage:
    """These very bytes in place of head and body; then the connection is closed."""

    data: bytes

    def __call__(self, reply: Reply) -> Reply:
        return replace(reply, garbage=self.data)
