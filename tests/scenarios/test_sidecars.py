"""Sidecars (PEP 658) through a real daemon, of wheels whose mirror has none: issue items E1 to E5, cases 9, 10 and 28."""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.client import Response, get
from tests.daemon import Daemon, config_for
from tests.origin import Origin
from tests.origin_faults import Both, Hang, IgnoreRange, Rate, Status, WrongBytes
from tests.wheels import Artifact, artifact, sdist, wheel

Make = Callable[..., Daemon]

JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}
BIG = 50 << 20


def listed(running: Daemon, item: Artifact) -> dict[str, Any]:
    """What the page says of the file."""
    page = get(f"{running.simple}{item.name}/", JSON).json()
    found: dict[str, Any] = next(file for file in page["files"] if file["filename"] == item.filename)
    return found


def sidecar_url(running: Daemon, item: Artifact) -> str:
    href = str(listed(running, item)["url"])
    return f"{running.url}/packages/{href.removeprefix('../../packages/')}.metadata"


def sidecar(running: Daemon, item: Artifact, headers: dict[str, str] | None = None) -> Response:
    return get(sidecar_url(running, item), headers)


def test_a_sidecar_costs_tens_of_kilobytes_of_a_large_wheel(origin: Origin, daemon: Make) -> None:
    """E5: the METADATA member, byte for byte; advertised before it is made, and with its hash afterwards."""
    item = wheel("big", "1.0", size=BIG, requires=["other>=2"], requires_python=">=3.9")
    origin.add(item, core_metadata=False)
    running = daemon(config_for(origin))
    before = listed(running, item)
    assert before["core-metadata"] is before["dist-info-metadata"] is True
    answer = sidecar(running, item)
    assert (answer.status, answer.body) == (200, item.metadata)
    assert answer.headers["cache-status"] == "pypicache; fwd=miss; stored"
    assert origin.bytes_sent(item.filename) < 64 << 10
    running.wait_log(f"made the metadata of {item.filename}")
    after = listed(running, item)
    assert after["core-metadata"] == after["dist-info-metadata"] == {"sha256": item.metadata_sha256}
    again = sidecar(running, item)
    assert (again.body, again.headers["cache-status"]) == (item.metadata, "pypicache; hit")
    assert origin.bytes_sent(item.filename) < 64 << 10
    assert len(origin.gets(f"{item.filename}.metadata")) == 0


def test_the_page_changes_its_etag_when_something_is_learned(origin: Origin, daemon: Make) -> None:
    """A client that holds the page is told of the hash; one that holds the new page isn't told twice."""
    item = wheel("demo", "1.0")
    origin.add(item, core_metadata=False)
    running = daemon(config_for(origin))
    url = f"{running.simple}demo/"
    first = get(url, JSON).headers["etag"]
    assert get(url, {**JSON, "If-None-Match": first}).status == 304
    sidecar(running, item)
    changed = get(url, {**JSON, "If-None-Match": first})
    assert changed.status == 200
    assert get(url, {**JSON, "If-None-Match": changed.headers["etag"]}).status == 304


@pytest.mark.parametrize("form", ["json", "html"])
def test_requires_python_is_learned(origin: Origin, daemon: Make, form: Any) -> None:
    """What a sidecar learns is also used: the page lacked it."""
    item = wheel("demo", "1.0", requires_python=">=3.9")
    entry = origin.add(item, core_metadata=False, extra={"requires-python": None})
    assert entry.requires_python
    origin.project("demo", form=form)
    if form == "html":
        href = f'<a href="{entry.path}#sha256={item.sha256}">{item.filename}</a>'
        origin.project("demo", body=f"<!DOCTYPE html><html><body>{href}</body></html>".encode())
    running = daemon(config_for(origin))
    assert "requires-python" not in listed(running, item)
    sidecar(running, item)
    assert listed(running, item)["requires-python"] == ">=3.9"
    page = get(f"{running.simple}demo/", {"Accept": "text/html"}).text
    assert 'data-requires-python="&gt;=3.9"' in page
    assert page.count(f'="sha256={item.metadata_sha256}"') == 2


def test_requires_python_of_a_mirrors_own_sidecar_is_learned(origin: Origin, daemon: Make) -> None:
    item = wheel("demo", "1.0", requires_python=">=3.9")
    origin.add(item, extra={"requires-python": None})
    running = daemon(config_for(origin))
    assert "requires-python" not in listed(running, item)
    assert sidecar(running, item).body == item.metadata
    etag = get(f"{running.simple}demo/", JSON).headers["etag"]
    running.restart()
    assert listed(running, item)["requires-python"] == ">=3.9"
    assert listed(running, item)["core-metadata"] == {"sha256": item.metadata_sha256}
    assert etag


def test_thirty_requests_are_one(origin: Origin, daemon: Make) -> None:
    """Concurrent requests collapse, and a client that leaves stops nothing for the others."""
    item = wheel("demo", "1.0", size=1 << 20)
    origin.add(item, core_metadata=False)
    origin.script(item.filename, Rate(64 << 10), repeat=True)
    running = daemon(config_for(origin))
    url = sidecar_url(running, item)
    with ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda _: get(url), range(30)))
    assert {(answer.status, answer.body) for answer in answers} == {(200, item.metadata)}
    assert len(origin.gets(item.filename)) == 1
    assert any("collapsed" in answer.headers["cache-status"] for answer in answers)


def test_a_mirror_without_ranges_gives_the_whole_wheel_once(origin: Origin, daemon: Make) -> None:
    """The wheel is then in the cache; and the mirror isn't asked for a range again soon."""
    first, second = wheel("demo", "1.0", size=300_000), wheel("demo", "2.0", size=300_000)
    for item in (first, second):
        origin.add(item, core_metadata=False)
        origin.script(item.filename, IgnoreRange(), repeat=True)
    running = daemon(config_for(origin))
    assert sidecar(running, first).body == first.metadata
    assert get(sidecar_url(running, first).removesuffix(".metadata")).body == first.data
    assert len(origin.gets(first.filename)) == 2
    assert sidecar(running, second).body == second.metadata
    assert len(origin.gets(second.filename)) == 1


@pytest.mark.parametrize("status", [400, 403, 416, 501])
def test_a_mirror_that_refuses_ranges_with_an_error(origin: Origin, daemon: Make, status: int) -> None:
    item = wheel("demo", "1.0", size=300_000)
    origin.add(item, core_metadata=False)
    origin.script(lambda r: r.filename == item.filename and "range" in r.headers, Status(status), repeat=True)
    running = daemon(config_for(origin))
    assert sidecar(running, item).body == item.metadata


def test_a_size_that_nobody_gave_is_asked_for(origin: Origin, daemon: Make) -> None:
    item = wheel("demo", "1.0", size=1 << 20)
    origin.add(item, core_metadata=False, size=False)
    running = daemon(config_for(origin))
    assert sidecar(running, item).body == item.metadata
    assert origin.bytes_sent(item.filename) < 64 << 10


def test_the_cached_wheel_is_enough(origin: Origin, daemon: Make) -> None:
    """With every mirror dead, and offline; nothing is asked of a mirror even when they live."""
    item = wheel("demo", "1.0", size=300_000)
    origin.add(item, core_metadata=False)
    running = daemon(config_for(origin, index={"ttl": 0}))
    url = sidecar_url(running, item)
    assert get(url.removesuffix(".metadata")).body == item.data
    origin.close()
    assert get(url).body == item.metadata
    running.config["indexes"]["root/pypi"]["offline"] = True
    running.restart()
    assert get(url).body == item.metadata


def test_offline_without_the_wheel_is_no_absence(origin: Origin, daemon: Make) -> None:
    item = wheel("demo", "1.0")
    origin.add(item, core_metadata=False)
    running = daemon(config_for(origin))
    url = sidecar_url(running, item)
    running.config["indexes"]["root/pypi"]["offline"] = True
    running.restart()
    answer = get(url)
    assert answer.status == 503
    assert "offline" in answer.text


@pytest.mark.parametrize(
    "fault", [Status(404), Status(500), WrongBytes(), Both(IgnoreRange(), WrongBytes(10))]
)
def test_an_advertised_sidecar_is_answered_or_503(origin: Origin, daemon: Make, fault: Any) -> None:
    """E1: all ways failed, but there is one, says the page."""
    item = wheel("demo", "1.0", size=200_000)
    origin.add(item, core_metadata=False)
    origin.script(item.filename, fault, repeat=True)
    running = daemon(config_for(origin))
    answer = sidecar(running, item)
    assert answer.status == 503
    assert answer.headers["retry-after"].isdigit()
    assert len(answer.text.splitlines()) == 1
    origin.heal()
    assert sidecar(running, item).body == item.metadata


def test_each_mirror_is_tried_in_turn(origins: Callable[..., Origin], daemon: Make) -> None:
    first, second = origins(), origins()
    item = wheel("demo", "1.0", size=1 << 20)
    for each in (first, second):
        each.add(item, core_metadata=False)
    first.script(item.filename, WrongBytes(-1), repeat=True)
    running = daemon(config_for(first, second))
    assert sidecar(running, item).body == item.metadata
    for each in (first, second):
        assert 0 < each.bytes_sent(item.filename) < 128 << 10


@pytest.mark.parametrize("how", [True, "bare"])
def test_an_advertised_sidecar_that_no_mirror_has_is_made(origin: Origin, daemon: Make, how: Any) -> None:
    """Case 28: the page promises it, and GET says 404."""
    item = wheel("demo", "1.0", size=1 << 20)
    origin.add(item, core_metadata=how)
    origin.script(f"{item.filename}.metadata", Status(404), repeat=True)
    running = daemon(config_for(origin))
    said = listed(running, item)["core-metadata"]
    for _ in range(2):
        assert sidecar(running, item).body == item.metadata
    assert listed(running, item)["core-metadata"] == said
    assert origin.bytes_sent(item.filename) < 64 << 10
    assert len(origin.gets(f"{item.filename}.metadata")) <= 2


def test_a_made_sidecar_that_is_not_the_promised_one_is_not_served(origin: Origin, daemon: Make) -> None:
    """A hash mismatch is fatal in pip and uv: better a 503 that says so."""
    item = wheel("demo", "1.0")
    origin.add(item, core_metadata={"sha256": "0" * 64})
    origin.script(f"{item.filename}.metadata", Status(404), repeat=True)
    answer = sidecar(daemon(config_for(origin)), item)
    assert answer.status == 503
    assert "404" in answer.text


def hostile(name: str, members: dict[str, bytes]) -> Artifact:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for path, data in members.items():
            made.writestr(path, data)
    return artifact(name, "1.0", f"{name}-1.0-py3-none-any.whl", out.getvalue())


HOSTILE = [
    hostile("bomb", {"bomb-1.0.dist-info/METADATA": b"\0" * (11 << 20)}),
    hostile("other", {"another-1.0.dist-info/METADATA": b"Name: another\n"}),
    hostile("none", {"none/__init__.py": b""}),
    artifact("page", "1.0", "page-1.0-py3-none-any.whl", b"<html>log in</html>" * 1000),
    artifact("empty", "1.0", "empty-1.0-py3-none-any.whl", b""),
]


@pytest.mark.parametrize("item", HOSTILE, ids=[item.name for item in HOSTILE])
def test_a_wheel_without_metadata_is_found_out_once(origin: Origin, daemon: Make, item: Artifact) -> None:
    """Advertised until the whole, verified wheel shows that there is none; then neither advertised nor served."""
    origin.add(item, core_metadata=False)
    running = daemon(config_for(origin))
    url = sidecar_url(running, item)
    assert listed(running, item)["core-metadata"] is True
    assert get(url).status == 503
    assert "core-metadata" not in listed(running, item) or listed(running, item)["core-metadata"] is False
    assert get(url).status == 404
    asked = len(origin.gets(item.filename))
    running.restart()
    assert get(url).status == 404
    assert len(origin.gets(item.filename)) == asked
    assert get(url.removesuffix(".metadata")).body == item.data
    assert "Traceback" not in running.log


def test_only_wheels_with_a_digest_get_one(origin: Origin, daemon: Make) -> None:
    """Case 9: without a digest nothing says which wheel the sidecar is of."""
    source, bare = sdist("demo", "1.0"), wheel("demo", "2.0")
    origin.add(source, core_metadata=False)
    origin.add(bare, core_metadata=False, hashes={})
    running = daemon(config_for(origin))
    for each in (source, bare):
        assert listed(running, each).get("core-metadata") in {None, False}
        assert sidecar(running, each).status == 404
    assert origin.count("/packages/") == 0


def test_nothing_is_made_where_that_is_switched_off(origin: Origin, daemon: Make) -> None:
    item = wheel("demo", "1.0")
    origin.add(item, core_metadata=False)
    running = daemon(config_for(origin, index={"synthesize_metadata": False}))
    assert listed(running, item)["core-metadata"] is False
    assert sidecar(running, item).status == 404
    assert "has no effect" not in running.log


def test_a_replaced_wheel_forgets_what_was_learned(origin: Origin, daemon: Make) -> None:
    """Case 20: facts belong to the file's digest."""
    old, new = wheel("demo", "1.0", requires_python=">=3.7"), wheel("demo", "1.0", requires_python=">=3.9")
    path = origin.add(old, core_metadata=False).path
    running = daemon(config_for(origin, index={"ttl": 0}))
    assert sidecar(running, old).body == old.metadata
    origin.add(new, core_metadata=False, path=path)
    assert listed(running, new)["core-metadata"] is True
    assert sidecar(running, new).body == new.metadata
    assert listed(running, new)["core-metadata"] == {"sha256": new.metadata_sha256}


@pytest.mark.parametrize("algorithm", ["md5", "sha512"])
def test_a_files_own_sha256_is_learned(origin: Origin, daemon: Make, algorithm: str) -> None:
    """Cases 10 and 11: after the first download the page has it, with the size, in both forms; another ETag, too."""
    source, item = sdist("demo", "1.0"), wheel("demo", "2.0")
    for each in (source, item):
        hashes = {algorithm: hashlib.new(algorithm, each.data).hexdigest()}
        origin.add(each, core_metadata=False, hashes=hashes, size=False)
    running = daemon(config_for(origin))
    before = get(f"{running.simple}demo/", JSON)
    assert before.json()["meta"]["api-version"] == "1.0"
    for each in (source, item):
        url = sidecar_url(running, each).removesuffix(".metadata")
        assert get(url).body == each.data
        running.wait_log(f"stored {each.filename}")
    running.restart()
    after = get(f"{running.simple}demo/", JSON)
    assert after.headers["etag"] != before.headers["etag"]
    assert after.json()["meta"]["api-version"] == "1.1"
    for file, whose in zip(after.json()["files"], (source, item), strict=True):
        assert file["hashes"]["sha256"] == whose.sha256
        assert list(file["hashes"]) == [algorithm, "sha256"]
        assert file["size"] == len(whose.data)
    page = get(f"{running.simple}demo/", {"Accept": "text/html"}).text
    assert f"#sha256={source.sha256}" in page
    assert sidecar(running, item).body == item.metadata


def test_headers_and_codings_of_a_sidecar(origin: Origin, daemon: Make) -> None:
    """E3: an ETag for each coding, and Vary here only; short ones aren't worth it."""
    item = wheel("demo", "1.0", requires=[f"other{number}>=1" for number in range(200)])
    short = wheel("short", "1.0")
    for each in (item, short):
        origin.add(each, core_metadata=False)
    running = daemon(config_for(origin))
    plain = sidecar(running, item)
    packed = sidecar(running, item, {"Accept-Encoding": "gzip, deflate"})
    assert gzip.decompress(packed.body) == plain.body == item.metadata
    assert len(packed.body) < len(plain.body) / 2
    assert packed.headers["content-encoding"] == "gzip"
    assert plain.headers["etag"] == f'"{item.metadata_sha256}"'
    assert packed.headers["etag"] == f'"{item.metadata_sha256}-gzip"'
    for answer in (plain, packed):
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["cache-control"] == "public, max-age=365000000, immutable"
        assert answer.headers["content-length"] == str(len(answer.body))
        etag = answer.headers["etag"]
        coding = {"Accept-Encoding": answer.headers.get("content-encoding", "identity")}
        unchanged = sidecar(running, item, {**coding, "If-None-Match": etag})
        assert (unchanged.status, unchanged.headers["etag"]) == (304, etag)
        assert unchanged.headers["vary"] == "Accept-Encoding"
    head = get(sidecar_url(running, item), {"Accept-Encoding": "gzip"}, method="HEAD")
    assert (head.headers["content-length"], head.body) == (str(len(packed.body)), b"")
    small = sidecar(running, short, {"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers
    assert (small.body, small.headers["etag"]) == (short.metadata, f'"{short.metadata_sha256}"')
    wheel_url = sidecar_url(running, short).removesuffix(".metadata")
    assert "vary" not in get(wheel_url, {"Accept-Encoding": "gzip"}).headers


@pytest.mark.soak
def test_a_slow_mirror_does_not_keep_the_client(origin: Origin, daemon: Make) -> None:
    """Case 29: told before pip gives up at 15 s, by a 503 that asks to come back; other projects go on."""
    item, other = wheel("slow", "1.0"), wheel("other", "1.0")
    origin.add(item, core_metadata=False)
    origin.add(other, core_metadata=False)
    origin.script(item.filename, Hang(), repeat=True)
    running = daemon(config_for(origin, mirror={"timeout": {"connect": "5s", "read": "60s"}}))
    url = sidecar_url(running, item)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(get, url, timeout=15)
        origin.wait_for(lambda: bool(origin.gets(item.filename)))
        assert sidecar(running, other).body == other.metadata
        answer = waiting.result()
    assert answer.status == 503
    assert answer.headers["retry-after"].isdigit()


def test_a_wheel_that_arrives_later_corrects_a_sidecar(origin: Origin, daemon: Make) -> None:
    """*Nothing unverified is committed* for good: what ranges said is held against the verified wheel."""
    item = wheel("demo", "1.0", size=200_000)
    lie = wheel("demo", "1.0", size=200_000, requires=["evil"])
    entry = origin.add(lie, core_metadata=False, hashes={"sha256": item.sha256}, size=False)
    running = daemon(config_for(origin, index={"ttl": 0}))
    assert sidecar(running, lie).body == lie.metadata
    origin.add(item, core_metadata=False, path=entry.path, size=False)
    url = sidecar_url(running, item)
    assert get(url.removesuffix(".metadata")).body == item.data
    assert get(url).body == item.metadata
    assert listed(running, item)["core-metadata"] == {"sha256": item.metadata_sha256}
