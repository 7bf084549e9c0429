"""What was taken away upstream, and what wasn't: real daemons over one, two and three real mirrors."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client import Response, get
from tests.daemon import Daemon, config_for
from tests.origin import Origin, Status, WrongBytes
from tests.waiting import until
from tests.wheels import Wheel, wheel

MakeDaemon = Callable[..., Daemon]
MakeOrigin = Callable[..., Origin]

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
AT_ONCE = {"ttl": 0, "patience": "10s", "negative_ttl": 0}
"""Every page request asks the mirrors, so that a test needn't wait for a ttl to pass."""

ONE, TWO = wheel("demo", "1.0", size=3000), wheel("demo", "2.0", size=3000)


class Client:
    """What an installer sees of one project through a daemon over these mirrors."""

    def __init__(self, make: MakeDaemon, *origins: Origin, index: dict[str, Any] | None = None) -> None:
        self.origins = origins
        self.daemon = make(config_for(*origins, index=index or AT_ONCE))
        page = self.page().json()
        self.links = {f["filename"]: f["url"].removeprefix("../..") for f in page["files"]}

    def page(self) -> Response:
        return get(f"{self.daemon.simple}demo/", JSON)

    def versions(self) -> list[str]:
        """What the page lists."""
        answer = self.page()
        assert answer.status == 200, answer.text
        return sorted(f["filename"].split("-")[1] for f in answer.json()["files"])

    def file(self, item: Wheel, suffix: str = "", method: str = "GET") -> Response:
        """The file by the link that the page once had, as from a lock file."""
        return get(f"{self.daemon.url}/root/pypi{self.links[item.filename]}{suffix}", method=method)

    def fetch(self, item: Wheel) -> bytes:
        """The file's bytes, once it is stored and its link is remembered."""
        answer = self.file(item)
        assert answer.status == 200, answer.text
        until(lambda: self.remembers(item), told=lambda: "the link isn't remembered")
        return answer.body

    def remembers(self, item: Wheel) -> bool:
        """Whether the file's link is remembered."""
        records = self.daemon.cache.glob("links/[0-9a-f][0-9a-f][0-9a-f]/*")
        return any(item.filename.encode() + b'"' in record.read_bytes() for record in records)

    def blob(self, item: Wheel) -> bool:
        """Whether the file's bytes are in the cache."""
        return bool(list(self.daemon.cache.glob(f"blobs/sha256/*/*/{item.sha256}")))


def fails(origin: Origin) -> None:
    """The mirror answers everything with an error, until it is healed."""
    origin.script(lambda request: True, Status(500), repeat=True)


def denies(origin: Origin) -> None:
    """The mirror says that there is no such project, until it is healed."""
    origin.script("/simple/demo/", Status(404), repeat=True)


@pytest.fixture
def pair(origins: MakeOrigin) -> tuple[Origin, Origin]:
    """Two mirrors with both files."""
    made = origins(), origins()
    for each in made:
        each.add(ONE)
        each.add(TWO)
    return made


def test_case_26_a_file_that_is_no_longer_listed(origin: Origin, daemon: MakeDaemon) -> None:
    """Its link answers 404 with the reason, its sidecar too, and its bytes are kept; listed again, it is back."""
    origin.add(ONE)
    entry = origin.add(TWO)
    client = Client(daemon, origin)
    assert (client.fetch(TWO), client.file(TWO, ".metadata").status) == (TWO.data, 200)
    origin.remove_file(TWO.filename, keep_bytes=True)
    assert client.versions() == ["1.0"]
    for suffix, method in [("", "GET"), ("", "HEAD"), (".metadata", "GET")]:
        answer = client.file(TWO, suffix, method)
        assert (answer.status, answer.headers["cache-control"]) == (404, "no-store")
        assert method == "HEAD" or "demo-2.0-py3-none-any.whl is no longer listed by root/pypi" in answer.text
    assert client.blob(TWO)
    assert client.file(ONE).status == 200
    origin.add(TWO, path=entry.path)
    assert client.versions() == ["1.0", "2.0"]
    asked = len(origin.gets(TWO.filename))
    assert (client.file(TWO).body, client.file(TWO, ".metadata").status) == (TWO.data, 200)
    assert len(origin.gets(TWO.filename)) == asked


def test_case_26_a_project_that_is_gone(origin: Origin, daemon: MakeDaemon) -> None:
    """With one mirror its 404 counts when it is repeated; then page and links answer 404, until it is back."""
    origin.add(ONE)
    client = Client(daemon, origin)
    assert client.fetch(ONE) == ONE.data
    denies(origin)
    assert client.versions() == ["1.0"]
    assert client.file(ONE).status == 200
    assert client.page().status == 404
    answer = client.file(ONE)
    assert (answer.status, client.blob(ONE)) == (404, True)
    assert "root/pypi has no project demo any more" in answer.text
    origin.heal()
    assert client.versions() == ["1.0"]
    assert client.file(ONE).body == ONE.data


def test_promise_5_lock_files_hold_through_a_mere_outage(origin: Origin, daemon: MakeDaemon) -> None:
    """*Silence is not absence*: errors, refusals and a dead mirror take nothing away, however often."""
    origin.add(ONE)
    client = Client(daemon, origin)
    assert client.fetch(ONE) == ONE.data
    for status in (500, 403, 429, 503):
        script = origin.script(lambda request: True, Status(status), repeat=True)
        for _ in range(2):
            assert (client.versions(), client.file(ONE).status) == (["1.0"], 200)
        script.actions.clear()
    origin.close()
    for _ in range(2):
        assert (client.versions(), client.file(ONE).status) == (["1.0"], 200)
    client.daemon.restart(keep_port=False)
    assert (client.versions(), client.file(ONE).status) == (["1.0"], 200)


def test_case_27_quarantine_on_and_off(origin: Origin, daemon: MakeDaemon) -> None:
    """*Every byte served was judged now*: links and sidecars answer 403 with the reason; taken back, all is as it was."""
    origin.add(ONE)
    client = Client(daemon, origin)
    assert (client.fetch(ONE), client.file(ONE, ".metadata").status) == (ONE.data, 200)
    status = {"project-status": {"status": "quarantined", "reason": "looks like malware"}}
    origin.project("demo", extra=status, api_version="1.4")
    page = client.page().json()
    assert page["files"] == []
    assert page["project-status"] == status["project-status"]
    for suffix, method in [("", "GET"), ("", "HEAD"), (".metadata", "GET")]:
        answer = client.file(ONE, suffix, method)
        assert answer.status == 403
        assert method == "HEAD" or "demo is quarantined by its index: looks like malware" in answer.text
    assert client.blob(ONE)
    client.daemon.wait_log("withdrawn: the project: demo is quarantined")
    fails(origin)
    assert (client.page().json()["files"], client.file(ONE).status) == ([], 403)
    origin.heal()
    origin.project("demo", extra={})
    assert client.versions() == ["1.0"]
    assert (client.file(ONE).status, client.file(ONE, ".metadata").status) == (200, 200)


@pytest.mark.parametrize("what", ["removed", "gone", "quarantined"])
def test_the_last_verdict_outlives_pages_and_mirrors(origin: Origin, daemon: MakeDaemon, what: str) -> None:
    """With the pages wiped and the mirror down, what was refused stays refused and what was fine is served."""
    other = wheel("other", "1.0")
    for item in (ONE, TWO, other):
        origin.add(item)
    client = Client(daemon, origin)
    for item in (ONE, TWO):
        assert client.fetch(item) == item.data
    fine = f"{client.daemon.url}/root/pypi" + get(f"{client.daemon.simple}other/", JSON).json()["files"][0][
        "url"
    ].removeprefix("../..")
    assert get(fine).status == 200
    expected = 404
    match what:
        case "removed":
            origin.remove_file(TWO.filename, keep_bytes=True)
        case "gone":
            origin.remove("demo")
            client.page()
        case "quarantined":
            expected = 403
            origin.project("demo", extra={"project-status": {"status": "quarantined"}}, api_version="1.4")
    client.page()
    said = client.file(TWO)
    assert said.status == expected
    wipe_pages(client.daemon)
    origin.close()
    client.daemon.restart(keep_port=False)
    again = client.file(TWO)
    assert (again.status, again.text) == (said.status, said.text)
    assert get(fine.replace(fine.split("/root/")[0], client.daemon.url)).body == other.data
    origin.reopen()
    if what != "gone":
        origin.project("demo", extra={})
    origin.add(ONE)
    origin.add(TWO)
    wipe_pages(client.daemon)
    client.daemon.restart(keep_port=False)
    assert client.file(TWO).body == TWO.data
    wipe_pages(client.daemon)
    origin.close()
    client.daemon.restart(keep_port=False)
    assert client.file(TWO).body == TWO.data


def test_promise_5_a_replica_that_lags_takes_away_no_release(
    pair: tuple[Origin, Origin], daemon: MakeDaemon
) -> None:
    """The first mirror fails, the second hasn't the new release: it stays listed, and is had when the first is back."""
    first, second = pair
    second.remove_file(TWO.filename)
    client = Client(daemon, first, second)
    fails(first)
    assert client.versions() == ["1.0", "2.0"]
    assert client.file(ONE).body == ONE.data
    assert client.file(TWO).status == 503
    first.heal()
    assert client.file(TWO).body == TWO.data
    first.close()
    assert client.versions() == ["1.0", "2.0"]


def test_promise_5_a_file_that_only_a_replica_lists_comes_from_there(
    pair: tuple[Origin, Origin], daemon: MakeDaemon
) -> None:
    """Its link is that mirror's, also when the page is another one's again; and goes when that mirror says so."""
    first, second = pair
    new = wheel("demo", "3.0", size=3000)
    client = Client(daemon, first, second)
    second.add(new, path=f"/packages/somewhere/else/{new.filename}")
    fails(first)
    assert client.versions() == ["1.0", "2.0", "3.0"]
    first.heal()
    assert client.versions() == ["1.0", "2.0", "3.0"]
    client.links[new.filename] = f"/packages/somewhere/else/{new.filename}"
    assert client.file(new).body == new.data
    assert not first.gets(new.filename)
    second.remove_file(new.filename)
    assert client.versions() == ["1.0", "2.0"]
    assert client.file(new).status == 404


def test_promise_5_a_hiccup_of_either_mirror_takes_nothing_away(
    pair: tuple[Origin, Origin], daemon: MakeDaemon
) -> None:
    """A 404 that another mirror's page contradicts, or that a replica gives while the listing mirror is silent."""
    first, second = pair
    client = Client(daemon, first, second)
    assert client.fetch(ONE) == ONE.data
    denies(first)
    for _ in range(3):
        assert client.versions() == ["1.0", "2.0"]
    first.heal()
    fails(first)
    denies(second)
    for _ in range(2):
        assert client.versions() == ["1.0", "2.0"]
    assert client.file(ONE).status == 200
    client.daemon.wait_log("no such project, says origin2; origin, which listed it, doesn't answer")


def test_promise_5_removal_on_the_mirror_that_listed_it(
    pair: tuple[Origin, Origin], daemon: MakeDaemon
) -> None:
    """It is enough, and an outage of that mirror afterwards doesn't undo it, though the replica still has the file."""
    first, second = pair
    client = Client(daemon, first, second)
    assert client.fetch(TWO) == TWO.data
    first.remove_file(TWO.filename)
    assert client.versions() == ["1.0"]
    assert client.file(TWO).status == 404
    fails(first)
    for _ in range(2):
        assert (client.versions(), client.file(TWO).status) == (["1.0"], 404)
    first.close()
    client.daemon.restart(keep_port=False)
    assert (client.versions(), client.file(TWO).status) == (["1.0"], 404)
    second.close()
    assert (client.versions(), client.file(TWO).status) == (["1.0"], 404)
    assert client.blob(TWO)


def test_promise_5_both_mirrors_remove(pair: tuple[Origin, Origin], daemon: MakeDaemon) -> None:
    """File and project: gone at once when two mirrors agree, and an outage of both afterwards doesn't undo it."""
    first, second = pair
    client = Client(daemon, first, second)
    assert client.fetch(ONE) == ONE.data
    for each in pair:
        each.remove_file(TWO.filename)
    assert client.versions() == ["1.0"]
    for each in pair:
        each.remove("demo")
    assert client.page().status == 404
    assert client.file(ONE).status == 404
    for each in pair:
        each.close()
    assert client.page().status == 503
    assert client.file(ONE).status == 404


def test_promise_5_what_the_replica_alone_listed_goes_when_both_deny_it(
    origins: MakeOrigin, daemon: MakeDaemon
) -> None:
    """Three mirrors: the page came from the second, which is silent now; the others agree that the file is gone."""
    first, second, third = origins(), origins(), origins()
    for each in (first, second, third):
        each.add(ONE)
    second.add(TWO)
    fails(first)
    client = Client(daemon, first, second, third)
    assert client.versions() == ["1.0", "2.0"]
    first.heal()
    fails(second)
    assert client.versions() == ["1.0"]


def test_u13_mirrors_that_flap(pair: tuple[Origin, Origin], daemon: MakeDaemon) -> None:
    """Right, 404 and failing in turn, one of them always right or silent: page and file are there throughout."""
    first, second = pair
    client = Client(daemon, first, second)
    for actions in [
        (None, denies),
        (denies, None),
        (fails, denies),
        (None, None),
        (denies, None),
        (fails, None),
    ]:
        for origin, action in zip(pair, actions, strict=True):
            origin.heal()
            if action is not None:
                action(origin)
        assert (client.versions(), client.file(ONE).status) == (["1.0", "2.0"], 200)


def test_case_20_a_changed_digest_is_followed_and_reported(origin: Origin, daemon: MakeDaemon) -> None:
    """U20: the old bytes are not served for the new page."""
    origin.add(ONE)
    client = Client(daemon, origin)
    assert client.file(ONE).body == ONE.data
    path = client.links[ONE.filename]
    other = wheel("demo", "1.0", size=4000)
    origin.add(other, path=path)
    assert client.versions() == ["1.0"]
    client.daemon.wait_log(
        rf"other bytes for {other.filename}: sha256:{other.sha256} instead of .*; followed"
    )
    assert client.file(ONE).body == other.data


def test_u20_first_seen_bytes_of_a_file_without_a_digest_stand(origin: Origin, daemon: MakeDaemon) -> None:
    """A page that promises nothing can't be held to it, but other bytes than the first time are refused and reported."""
    entry = origin.add(ONE, hashes={}, size=False)
    client = Client(daemon, origin)
    assert client.fetch(ONE) == ONE.data
    other = wheel("demo", "1.0", size=300_000)
    origin.add(other, hashes={}, size=False, path=entry.path)
    assert client.file(ONE).body == ONE.data
    for blob in client.daemon.cache.glob(f"blobs/sha256/*/*/{ONE.sha256}"):
        blob.unlink()
    origin.add(ONE, hashes={}, size=False, path=entry.path)
    script = origin.script(ONE.filename, WrongBytes(), repeat=True)
    assert client.file(ONE).status == 503
    client.daemon.wait_log(f"rejected {ONE.filename} from origin: expected sha256:{ONE.sha256}")
    script.actions.clear()
    assert client.file(ONE).body == ONE.data


def wipe_pages(daemon: Daemon) -> None:
    """Everything that is known about pages goes, as after a damaged database; the daemon is stopped for it."""
    if daemon._process is not None:
        daemon.stop()
    shutil.rmtree(Path(daemon.cache) / "pages")
