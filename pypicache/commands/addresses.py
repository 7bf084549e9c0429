"""How clients address an index of a configuration: what lock files that were made through it have."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from pypicache.config.schema import Config, Listen


def addresses(config: Config, name: str) -> tuple[str, ...]:
    """Every address of the index's pages, the one that README tells people first."""
    roots = tuple(dict.fromkeys(_roots(config)))
    short = ("simple/", "index/") if name == config.default_index else ()
    return tuple(f"{root}{path}" for root in roots for path in (*short, f"{name}/simple/"))


def _roots(config: Config) -> Iterator[str]:
    if config.server.public_url is not None:
        yield config.server.public_url
    for listen in config.server.listen:
        yield from _of(listen)


def _of(listen: Listen) -> Iterator[str]:
    """The addresses of a socket; one that only this machine reaches has several names."""
    if listen.port is None:
        return
    host = listen.host or "127.0.0.1"
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    yield f"http://{f'[{host}]' if ':' in host else host}:{listen.port}/"
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if local:
        yield from (f"http://{name}:{listen.port}/" for name in ("127.0.0.1", "localhost", "[::1]"))
