"""Slowing down those who guess passwords: when the next attempt may be made.

Failures are counted for the address that they come from and for the account that they are for. ::

    failures                      the next attempt may be made
    up to 5                       at once
    more, from one address        after 1 s, 2 s, 4 s … 60 s
    up to 100                     at once, from another address
    more, for one account         one a second, from addresses that never had it right

An hour without a failure clears the count, a success clears the address's. So a whole network of guessers gets one attempt a second
at an account; the account's owner at the usual address isn't held up by them, and neither is anyone on this machine, which
is an address of its own and counts towards no account.

What is remembered is bounded: of more addresses than that, those that were quiet longest are forgotten.
`now` is an argument, in seconds of a clock that never goes back.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import Any

LOCAL = "local"
"""The address of whoever is on this machine."""

FREE = 5
"""Failures of one address that cost nothing: people mistype."""

FREE_FOR_ACCOUNT = 100
"""Failures for one account, from everywhere, that cost nothing."""

LONGEST = 60.0
"""Seconds that an address waits at most."""

FORGET = 3600.0
"""Seconds without a failure after which an address begins anew."""

REMEMBER = 10_000
"""Addresses and accounts that are remembered."""


class Attempts:
    """Failures, remembered."""

    def __init__(self, *, remember: int = REMEMBER) -> None:
        self._remember = remember
        self._failures: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        """How many there were, and when the last one was, by kind and key."""
        self._welcome: OrderedDict[tuple[str, str], None] = OrderedDict()
        """Addresses that had it right, each with its account."""

    def __len__(self) -> int:
        return len(self._failures) + len(self._welcome)

    def wait(self, address: str, account: str, now: float) -> float:
        """How many seconds until an attempt may be made; 0: it may be made now."""
        count, last = self._count("address", address, now)
        wait = last + min(LONGEST, 2.0 ** min(count - FREE - 1, 10)) - now if count > FREE else 0.0
        if address != LOCAL and (address, account) not in self._welcome:
            count, last = self._count("account", account, now)
            if count > FREE_FOR_ACCOUNT:
                wait = max(wait, last + 1.0 - now)
        return max(0.0, wait)

    def failed(self, address: str, account: str, now: float) -> None:
        """Note an attempt when it begins, as if it had failed: many at once are then many."""
        self._add("address", address, now)
        if address != LOCAL:
            self._add("account", account, now)

    def succeeded(self, address: str, account: str) -> None:
        """Take the attempt back: it was right."""
        self._failures.pop(("address", address), None)
        if address != LOCAL:
            count, last = self._failures.get(("account", account), (0, 0.0))
            if count:
                self._failures["account", account] = (count - 1, last)
            self._welcome[address, account] = None
            self._welcome.move_to_end((address, account))
            _shrink(self._welcome, self._remember)

    def _count(self, kind: str, key: str, now: float) -> tuple[int, float]:
        count, last = self._failures.get((kind, key), (0, 0.0))
        return (count, last) if now - last < FORGET else (0, 0.0)

    def _add(self, kind: str, key: str, now: float) -> None:
        count, _ = self._count(kind, key, now)
        self._failures[kind, key] = (count + 1, now)
        self._failures.move_to_end((kind, key))
        _shrink(self._failures, self._remember)


def _shrink(held: OrderedDict[tuple[str, str], Any], most: int) -> None:
    while len(held) > most:
        held.popitem(last=False)


def network_of(peer: str | None) -> str:
    """What counts as one address: an IPv4 address, or an IPv6 network of 64 bits, which is one line to the internet."""
    try:
        address = ip_address((peer or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return f"{int(address) >> 64:x}::/64"
        address = address.ipv4_mapped
    return str(address)
