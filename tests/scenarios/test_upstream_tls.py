"""Mirrors whose certificates or TLS can't be trusted: never asked for anything, and told by their reason."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.client import get
from tests.daemon import Daemon, config_for
from tests.origin import Origin, Redirect
from tests.wheels import wheel

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
DEMO, OTHER = wheel("demo", "1.0", size=3000), wheel("other", "1.0", size=1000)
PAST: dict[str, Any] = {
    "not_before": datetime(2020, 1, 1, tzinfo=UTC),
    "not_after": datetime(2020, 1, 2, tzinfo=UTC),
}
MakeOrigin = Callable[..., Origin]
MakeDaemon = Callable[..., Daemon]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server(certificate: trustme.LeafCert, newest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if newest is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = newest
    return context


def bad(authority: trustme.CA, what: str) -> ssl.SSLContext:
    match what:
        case "expired":
            return server(authority.issue_cert("127.0.0.1", **PAST))
        case "of_another_host":
            return server(authority.issue_cert("mirror.example.org"))
        case "by_a_stranger":
            return server(trustme.CA().issue_cert("127.0.0.1"))
        case _:
            return server(authority.issue_cert("127.0.0.1"), ssl.TLSVersion.TLSv1_1)


REASONS = {
    "expired": "certificate has expired",
    "of_another_host": "IP address mismatch",
    "by_a_stranger": "isn't trusted",
    "too_old": "broke off in the TLS handshake",
}


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.MINIMUM_SUPPORTED is deprecated:DeprecationWarning")
def test_u5_tls_that_cannot_be_trusted(
    origins: MakeOrigin, daemon: MakeDaemon, authority: trustme.CA, tmp_path: Path
) -> None:
    """A cold page is a 503 that says why, a held one goes out, and the mirror never sees a request."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    good = origins(name="m", tls=server(authority.issue_cert("127.0.0.1")))
    good.add(DEMO)
    good.add(OTHER)
    mirror = {"url": good.simple, "name": "m", "ca_file": str(tmp_path / "ca.pem")}
    indexes: dict[str, Any] = {f"tls/{what}": {"mirrors": [dict(mirror)], "ttl": 0} for what in REASONS}
    running = daemon({"indexes": indexes})
    held = {what: get(f"{running.url}/tls/{what}/simple/demo/", JSON).body for what in REASONS}
    running.stop()
    wrong = {what: origins(name="m", tls=bad(authority, what)) for what in REASONS}
    for what, one in wrong.items():
        one.add(OTHER)
        indexes[f"tls/{what}"]["mirrors"][0]["url"] = one.simple
    running.restart()
    for what, reason in REASONS.items():
        cold = get(f"{running.url}/tls/{what}/simple/other/", JSON)
        assert (cold.status, "m: " in cold.text, reason in cold.text) == (503, True, True), cold.text
        again = get(f"{running.url}/tls/{what}/simple/demo/", JSON)
        assert (again.status, again.body) == (200, held[what])
        assert wrong[what].requests == []


def test_u23_a_redirect_out_of_tls_is_not_followed(
    origins: MakeOrigin, daemon: MakeDaemon, authority: trustme.CA, tmp_path: Path
) -> None:
    """Nor is one to another host's plain http."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    secure = origins(name="secure", tls=server(authority.issue_cert("127.0.0.1")))
    plain = origins(name="plain")
    plain.add(DEMO)
    secure.script("simple/demo/", Redirect(f"{plain.simple}demo/"), repeat=True)
    mirror = {"ca_file": str(tmp_path / "ca.pem"), "allow_private": ["127.0.0.0/8"]}
    answer = get(f"{daemon(config_for(secure, mirror=mirror)).simple}demo/", JSON)
    assert answer.status == 503
    assert plain.requests == []
