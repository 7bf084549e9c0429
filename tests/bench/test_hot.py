"""What answers out of memory cost, beside nginx with the same answers as files, in the same run: CPU seconds a request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from tests.bench import corpus, peers
from tests.bench.files import Connection
from tests.bench.peers import JSON_TYPE, Peer
from tests.client import get

BAR = 4.0
"""Times nginx's cost. It is aimed at once; the ordinary way to an answer costs ten times, and so would a shortcut that isn't taken."""

ROUNDS, REQUESTS = 5, 400

PAGE = {"Accept": JSON_TYPE, "Accept-Encoding": "gzip"}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Peer, Peer]]:
    """Nginx and pypicache, the latter with its access log and metrics, in front of the same corpus."""
    folder = tmp_path_factory.mktemp("bench")
    made = corpus.small(folder / "corpus")
    with ExitStack() as stack:
        limit = stack.enter_context(peers.nginx_static(folder / "nginx", made, workers=1))
        ours = stack.enter_context(peers.pypicache(folder / "pypicache", limit.simple, workers=1))
        yield limit, ours


@pytest.mark.bench
@pytest.mark.parametrize("what", ["page", "304", "file"])
def test_a_hot_answer_costs_what_nginx_takes_for_it(
    servers: tuple[Peer, Peer], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The best of interleaved rounds, and CPU only: what else runs on the machine only ever adds."""
    asked = [_connection(peer, what) for peer in servers]
    found: list[list[float]] = [[], []]
    for number in range(ROUNDS + 1):
        for peer, connection, costs in zip(servers, asked, found, strict=True):
            before = peer.cpu()
            for _ in range(REQUESTS):
                connection.fetch()
            if number:
                costs.append(peer.cpu() - before)
    for connection in asked:
        connection.close()
    theirs, cost = (min(costs) / REQUESTS * 1e6 for costs in found)
    with capsys.disabled():
        print(f"\nhot {what}: {cost:.0f} us of the processor, {cost / theirs:.2f} of nginx's")
    assert cost < theirs * BAR


def _connection(peer: Peer, what: str) -> Connection:
    """A connection that asks for it, and has asked until it is hot."""
    url = peer.file("wheel-126k") if what == "file" else f"{peer.simple}page/"
    headers = {} if what == "file" else dict(PAGE)
    if what == "304":
        headers["If-None-Match"] = get(url, headers).headers["etag"]
    parts = urlsplit(url)
    connection = Connection(parts.port or 0, parts.path, headers)
    for _ in range(4):
        connection.fetch()
    return connection
