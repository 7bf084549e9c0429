"""Section C of the checklist, and section 1b: HTML out, and HTML in as odd mirrors serve it."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest

from tests.conformance.place import HTML, JSON, Place, new_name
from tests.wheels import artifact, wheel

REASON = 'bad "quote" & <b>bold</b>\'s'
SHA = "a" * 64


def serve(place: Place, body: str, **options: object) -> str:
    """A project whose page has this body, as text/html unless told; its name."""
    name = new_name("markup")
    settings = {"form": "html", "body": body.replace("NAME", name).encode(), **options}
    place.origin.project(name, **settings)  # type: ignore[arg-type] # options of Page, by name
    return name


def listed(place: Place, body: str, **options: object) -> list[dict[str, object]]:
    name = serve(place, body, **options)
    files: list[dict[str, object]] = place.json(name)["files"]
    place.html(name)
    return files


def test_c1_to_c10_everything_a_file_can_say(place: Place) -> None:
    """C1 to C10: the attributes, escaped, and the same in both forms (D13)."""
    name = new_name("full")
    item = wheel(name, "1.0", requires_python=">=3.7, !=3.8.*, <4")
    place.origin.add(
        item,
        yanked=REASON,
        extra={"gpg-sig": True, "provenance": "https://origin.example/integrity/x?a=1&b=2"},
    )
    place.origin.add(wheel(name, "1.1"), yanked=True)
    place.origin.add(wheel(name, "1.2"), core_metadata=False)
    place.origin.add(wheel(name, "1.3"), core_metadata="bare")
    place.origin.project(
        name, extra={"project-status": {"status": "archived", "reason": 'no <more> & "less"'}}
    )
    page = place.html(name)
    assert page.meta("pypi:repository-version") == ["1.4"]
    assert page.meta("pypi:project-status") == ["archived"]
    assert page.meta("pypi:project-status-reason") == ['no <more> & "less"']
    first = page.anchor(item.filename)
    assert first["href"].partition("#")[2] == f"sha256={item.sha256}"
    assert first["data-requires-python"] == ">=3.7, !=3.8.*, <4"
    assert first["data-yanked"] == REASON
    assert first["data-core-metadata"] == f"sha256={item.metadata_sha256}"
    assert first["data-gpg-sig"] == "true"
    assert first["data-provenance"] == "https://origin.example/integrity/x?a=1&b=2"
    second, third, fourth = page.anchors[1:]
    assert second["data-yanked"] == ""
    assert third["data-core-metadata"] == "true"  # the wheel's own; its mirror said nothing
    assert not {"data-yanked", "data-gpg-sig", "data-provenance"} & set(third)
    assert fourth["data-core-metadata"] == "true"
    raw = place.page(name, accept=HTML).text
    assert "&gt;=3.7, !=3.8.*, &lt;4" in raw
    assert "<b>" not in raw


def test_c4_one_hash_the_strongest(place: Place) -> None:
    name = new_name("hashes")
    item = wheel(name, "1.0")
    place.origin.add(item, hashes={"md5": "0" * 32, "sha512": "1" * 128, "sha256": item.sha256})
    (anchor,) = place.html(name).anchors
    assert anchor["href"].partition("#")[2] == f"sha256={item.sha256}"
    assert set(place.json(name)["files"][0]["hashes"]) == {"md5", "sha512", "sha256"}


def test_c11_size_and_upload_time_are_read_from_html_and_written(place: Place) -> None:
    files = listed(
        place,
        f'<a href="NAME-1.0.tar.gz#sha256={SHA}" data-size="12" data-upload-time="2024-02-03T04:05:06.7+01:00">x</a>',
    )
    assert (files[0]["size"], files[0]["upload-time"]) == (12, "2024-02-03T03:05:06.7Z")


@pytest.mark.parametrize(
    ("head", "href", "upstream"),
    [
        ("", "../../packages/NAME-1.0.tar.gz", "/packages/NAME-1.0.tar.gz"),
        ("", "/files/NAME-1.0.tar.gz", "/files/NAME-1.0.tar.gz"),
        ("", "HOST/any/NAME-1.0.tar.gz", "/any/NAME-1.0.tar.gz"),
        ("", "ORIGIN/abs/NAME-1.0.tar.gz", "/abs/NAME-1.0.tar.gz"),
        ("", "ORIGIN/signed/NAME-1.0.tar.gz?a=1&amp;b=%21!", "/signed/NAME-1.0.tar.gz?a=1&b=%21!"),
        ("", "sub%2Bdir/NAME-1.0.tar.gz", "/simple/NAME/sub%2Bdir/NAME-1.0.tar.gz"),
        ("", "with space/NAME-1.0.tar.gz", "/simple/NAME/with%20space/NAME-1.0.tar.gz"),
        ('<base href="/elsewhere/">', "NAME-1.0.tar.gz", "/elsewhere/NAME-1.0.tar.gz"),
        ('<base href="/one/"><base href="/two/">', "NAME-1.0.tar.gz", "/one/NAME-1.0.tar.gz"),
    ],
)
def test_c12_1b_links_of_every_form_lead_to_the_file(
    place: Place, head: str, href: str, upstream: str
) -> None:
    """1b, C12: the file is fetched from the address exactly as the page gave it, `<base>` applied."""
    name = new_name("linked")
    data = name.encode() * 100
    item = artifact(name, "1.0", f"{name}-1.0.tar.gz", data)
    host = place.origin.url.removeprefix("http:")
    href = href.replace("HOST", host).replace("ORIGIN", place.origin.url)
    body = f'<html><head>{head}</head><a href="{href}#sha256={item.sha256}">NAME-1.0.tar.gz</a></html>'
    target = upstream.replace("NAME", name)
    place.origin.add(item, path=unquote(urlsplit(target).path))
    place.origin.project(name, form="html", body=body.replace("NAME", name).encode())
    answer = place.get(place.link(item))
    assert (answer.status, answer.body) == (200, data)
    assert place.origin.gets(item.filename)[0].target == target
    assert "base" not in place.page(name, accept=HTML).text


@pytest.mark.parametrize(
    "anchor",
    [
        '<a href="../">..</a>',
        '<a href="/login">Log in</a>',
        '<a href="icon.png">icon</a>',
        '<a href="javascript:alert(1)">NAME-3.0.tar.gz</a>',
        '<a href="ftp://x.example/NAME-3.0.tar.gz">NAME-3.0.tar.gz</a>',
        '<a href="file:///etc/NAME-3.0.tar.gz">NAME-3.0.tar.gz</a>',
        '<a href="NAME-3.0.tar.gz%00">x</a>',
        '<a href=".NAME-3.0.tar.gz">x</a>',
        '<a href="a%5CNAME-3.0.tar.gz">x</a>',
        '<a href="https://user:pw@x.example/NAME-3.0.tar.gz">x</a>',
        "<a>NAME-3.0.tar.gz</a>",
        '<!-- <a href="NAME-3.0.tar.gz">x</a> -->',
        '<script>"<a href=NAME-3.0.tar.gz>"</script>',
    ],
)
def test_1b_case_35_anchors_that_are_no_files_are_left_out(place: Place, anchor: str) -> None:
    (file,) = listed(place, f'<a href="NAME-1.0.tar.gz#sha256={SHA}">x</a>{anchor}')
    assert str(file["filename"]).endswith("-1.0.tar.gz")


def test_1b_without_sizes_the_page_is_of_version_1_0(place: Place) -> None:
    """No null, nothing invented: a page whose sizes aren't known claims no more than 1.0."""
    name = serve(place, f'<a href="NAME-1.0.tar.gz#sha256={SHA}">x</a><a href="NAME-2.0.tar.gz">x</a>')
    page = place.json(name)
    assert page["meta"] == {"api-version": "1.0"}
    assert page["versions"] == ["1.0", "2.0"]
    assert [file["hashes"] for file in page["files"]] == [{"sha256": SHA}, {}]
    assert not any("size" in file for file in page["files"])


@pytest.mark.parametrize(
    ("fragment", "hashes"),
    [
        ("", {}),
        ("#md5=" + "B" * 32, {"md5": "b" * 32}),
        ("#sha512=" + "c" * 128, {"sha512": "c" * 128}),
        ("#SHA256=" + "D" * 64, {"sha256": "d" * 64}),
        (f"#md5={'0' * 32}&amp;sha256={SHA}", {"md5": "0" * 32, "sha256": SHA}),
        ("#egg=x&amp;subdirectory=y", {}),
        ("#sha256=short", {}),
    ],
)
def test_1b_case_9_10_11_12_hashes_of_every_kind(place: Place, fragment: str, hashes: dict[str, str]) -> None:
    (file,) = listed(place, f'<a href="NAME-1.0.tar.gz{fragment}">x</a>')
    assert file["hashes"] == hashes


def test_c3_case_13_reasons_survive_both_forms(eager: Place) -> None:
    """HTML to JSON to HTML: a reason with markup, a newline and an emoji comes out as it went in."""
    reason = 'say "no" & <i>don\'t</i>\nline \N{SNAKE} &amp;'
    name = new_name("reasons")
    item = wheel(name, "1.0")
    eager.origin.add(item, yanked=reason)
    for form in ("json", "html"):
        eager.origin.project(name, form=form)
        assert eager.json(name)["files"][0]["yanked"] == reason
        assert eager.html(name).anchor(item.filename)["data-yanked"] == reason


def test_c1_the_legacy_type_is_the_same_document(place: Place) -> None:
    name = new_name("same")
    place.origin.add(wheel(name, "1.0"))
    assert place.page(name, accept="text/html").body == place.page(name, accept=HTML).body
    assert place.page(name, accept=JSON).body != place.page(name, accept=HTML).body
