"""Section H of the checklist: what clients are told when mirrors fail."""

from __future__ import annotations

import json

import pytest

from tests.conformance.place import JSON, Place, new_name
from tests.origin import (
    Action,
    Body,
    Both,
    CloseAt,
    CloseBeforeStatus,
    Garbage,
    Gzipped,
    Headers,
    Origin,
    Redirect,
    ResetAt,
    ResetBeforeStatus,
    ResetInHead,
    Status,
)
from tests.wheels import Wheel, wheel

LOGIN = b"<!DOCTYPE html><html><body><h1>Log in</h1><a href='/help'>help</a></body></html>"

FAULTS: dict[str, Action] = {
    "400": Status(400),
    "401": Status(401, {"WWW-Authenticate": 'Basic realm="mirror"'}),
    "403": Status(403),
    "407": Status(407),
    "429": Status(429, {"Retry-After": "Wed, 21 Oct 2037 07:28:00 GMT"}),
    "451": Status(451),
    "500": Status(500),
    "502": Status(502),
    "503": Status(503, {"Retry-After": "100000"}),
    "504": Status(504),
    "204": Status(204),
    "206": Status(206),
    "300": Status(300),
    "304 to nothing": Status(304),
    "reset": ResetBeforeStatus(),
    "closed": CloseBeforeStatus(),
    "reset in the head": ResetInHead(20),
    "reset in the body": ResetAt(50),
    "cut": CloseAt(50),
    "no HTTP": Garbage(b"SSH-2.0-OpenSSH\r\n"),
    "a login page": Status(200, {"Content-Type": "text/html"}, LOGIN),
    "a login page as JSON": Status(200, {"Content-Type": JSON}, LOGIN),
    "an image": Status(200, {"Content-Type": "image/png"}, b"\x89PNG"),
    "nothing": Status(200, {"Content-Type": JSON}, b""),
    "half a page": Status(200, {"Content-Type": JSON}, b'{"meta": {"api-version": "1.1"}, "files": ['),
    "other JSON": Status(200, {"Content-Type": JSON}, b'{"error": "no"}'),
    "deep JSON": Status(200, {"Content-Type": JSON}, b"[" * 100_000),
    "no gzip": Both(Body(b"x" * 100), Headers({"Content-Encoding": "gzip"})),
    "unknown coding": Headers({"Content-Encoding": "br"}),
    "gzip bomb": Both(Body(b" " * (30 << 20)), Gzipped()),
    "redirect loop": Redirect("/simple/loop/"),
    "redirect inside": Redirect("http://169.254.169.254/latest/"),
    "redirect to another scheme": Redirect("file:///etc/passwd"),
    "redirect to nowhere": Redirect(""),
}


def add(place: Place) -> Wheel:
    made = wheel(new_name("failing"), "1.0")
    place.origin.add(made)
    return made


@pytest.fixture(autouse=True)
def healed(shared_origin: Origin) -> None:
    """No script of another test is left; a loop of redirects leads back to itself."""
    shared_origin.heal()
    shared_origin.script("/simple/loop/", Redirect("/simple/loop/"), repeat=True)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_h1_h2_h3_h4_h6_h7_case_22_35_40_41_no_fault_of_a_mirror_reaches_a_client(
    eager: Place, fault: Action
) -> None:
    """Nothing held: 503 with a small Retry-After (H2), never the mirror's own status (H3, H4). Something held: that (H1)."""
    new, held = add(eager), add(eager)
    for made in (new, held):  # so that the right answer is never a bodiless 304
        eager.origin.project(made.name, etag=False, last_modified=False)
    before = eager.page(held.name)
    for made in (new, held):
        eager.origin.script(f"/simple/{made.name}/", fault, repeat=True)
    failed = eager.page(new.name)
    assert failed.status == 503
    assert 1 <= int(failed.headers["retry-after"]) <= 30
    assert failed.headers["cache-status"] == "pypicache; fwd=miss; detail=no-answer"
    stale = eager.page(held.name)
    assert (stale.status, stale.body) == (200, before.body)
    assert stale.headers["cache-status"] == "pypicache; hit; detail=stale-if-error"
    assert stale.headers["etag"] == before.headers["etag"]
    # Silence isn't absence: the next answer counts, the failure isn't remembered.
    eager.origin.heal()
    assert eager.page(new.name).status == 200


@pytest.mark.parametrize("status", [404, 410])
def test_h4_a_mirrors_404_and_410_are_404(eager: Place, status: int) -> None:
    made = add(eager)
    eager.origin.script(f"/simple/{made.name}/", Status(status), repeat=True)
    assert eager.page(made.name).status == 404


def test_h2_a_file_that_no_mirror_gives(eager: Place) -> None:
    for status in (401, 403, 404, 410, 429, 500, 504):
        made = add(eager)
        eager.origin.script(made.filename, Status(status, {"Retry-After": "7"}), repeat=True)
        answer = eager.get(eager.link(made))
        assert answer.status == 503
        assert made.filename in answer.text
        assert str(status) in answer.text


def test_h2_retry_after_is_the_mirrors_own_within_bounds(eager: Place) -> None:
    for given, expected in (("1", "1"), ("5", "5"), ("0", "1"), ("4000", "30"), ("soon", "2")):
        made = add(eager)
        eager.origin.script(f"/simple/{made.name}/", Status(429, {"Retry-After": given}), repeat=True)
        answer = eager.page(made.name)
        assert (answer.status, answer.headers["retry-after"]) == (503, expected)


def test_h1_a_stale_page_tells_its_age(eager: Place) -> None:
    made = add(eager)
    eager.page(made.name)
    eager.origin.script(f"/simple/{made.name}/", Status(500), repeat=True)
    answer = eager.page(made.name)
    assert answer.headers["age"].isdigit()
    assert "served from" in eager.daemon.log


def test_h5_a_page_is_complete_before_its_head_goes_out(eager: Place) -> None:
    """H5: a mirror's page that breaks off in the middle is an error with a length, not half a page."""
    made = add(eager)
    eager.origin.project(made.name, body=json.dumps({"meta": {}, "files": [], "pad": "x" * 500_000}).encode())
    eager.origin.script(f"/simple/{made.name}/", ResetAt(300_000), ResetAt(300_000), ResetAt(300_000))
    answer = eager.page(made.name)
    assert answer.status == 503
    assert int(answer.headers["content-length"]) == len(answer.body)


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_h7_redirects_are_followed_and_links_resolved_at_the_end(eager: Place, code: int) -> None:
    """H7: a relative link means what it means where the page really is."""
    made = wheel(new_name("moved"), "1.0")
    eager.origin.add(made, path=f"/deep/er/{made.filename}")
    target = new_name("target")
    body = f'<a href="../../deep/er/{made.filename}#sha256={made.sha256}">x</a>'
    eager.origin.project(target, form="html", body=body.encode())
    eager.origin.script(
        f"/simple/{made.name}/", Redirect(f"{eager.origin.url}/simple/{target}/", code), repeat=True
    )
    assert eager.get(eager.link(made)).body == made.data


def test_h7_five_redirects_are_followed_and_no_more(eager: Place) -> None:
    for hops, status in ((5, 200), (6, 503)):
        made = add(eager)
        for hop in range(hops):
            here = f"/simple/{made.name}/" if not hop else f"/hop/{made.name}/{hop}/"
            there = f"/hop/{made.name}/{hop + 1}/" if hop < hops - 1 else f"/end/{made.name}/"
            eager.origin.script(here, Redirect(there), repeat=True)
        page = json.dumps({"meta": {}, "files": []}).encode()
        eager.origin.script(f"/end/{made.name}/", Status(200, {"Content-Type": JSON}, page), repeat=True)
        assert eager.page(made.name).status == status


def test_h6_an_empty_project_is_a_page(eager: Place) -> None:
    """A page without files, in JSON or in HTML that says what it is, is no login page."""
    for form in ("json", "html"):
        name = new_name("empty")
        eager.origin.project(name, form=form)
        assert eager.json(name)["files"] == []
