from __future__ import annotations

import re

import pytest

from pypicache.simple import fields, pep503
from pypicache.simple.model import Digest, File, Project, ProjectName

FOO = ProjectName("foo")
URL = "https://index.example.org/simple/foo/"
A64 = "a" * 64
META = '<!DOCTYPE html><meta name="pypi:repository-version" content="1.1">'


def page(html: str) -> Project:
    return pep503.parse(html.encode(), url=URL, name=FOO)


def only(attributes: str, text: str = "foo-1.0.zip") -> File:
    (file,) = page(f"{META}<a {attributes}>{text}</a>").files
    return file


def rendered(*files: File, **more: object) -> str:
    project = Project(name=FOO, files=files, **more)  # type: ignore[arg-type]  # the table's business
    return pep503.render(project, href=lambda file: f"../../packages/{file.filename}").decode()


def test_a_full_page() -> None:
    project = page(f"""<!DOCTYPE html>
        <html><head><meta name="pypi:repository-version" content="1.3"><META NAME="pypi:Project-Status" content="archived">
        <meta name="pypi:project-status-reason" content="old &amp; tired">
        <meta name="pypi:tracks" content="https://a.example/foo/"><meta name="pypi:tracks" content="javascript:x">
        <meta name="pypi:alternate-locations" content="https://b.example/foo/">
        <meta name="pypi:alternate-locations" content="https://c.example/foo/">
        <title>Links for foo</title></head><body><h1>Links for foo</h1>
        <a href="../../packages/foo-1.0.zip#sha256={A64}" data-requires-python="&gt;=3.7, !=3.8.*" data-size="7"
           data-upload-time="2024-01-02T03:04:05+00:00" data-yanked="why" data-core-metadata="sha256={A64}"
           data-gpg-sig="true" data-provenance="https://index.example.org/p">foo-1.0.zip</a><br/>
        </body></html>""")
    assert project == Project(
        name=FOO,
        files=(
            File(
                filename="foo-1.0.zip",
                url="https://index.example.org/packages/foo-1.0.zip",
                hashes=(Digest("sha256", A64),),
                size=7,
                upload_time="2024-01-02T03:04:05Z",
                requires_python=">=3.7, !=3.8.*",
                yanked="why",
                core_metadata=(Digest("sha256", A64),),
                gpg_sig=True,
                provenance="https://index.example.org/p",
            ),
        ),
        versions=("1.0",),
        api_version=(1, 3),
        status="archived",
        status_reason="old & tired",
        tracks=("https://a.example/foo/",),
        alternate_locations=("https://b.example/foo/", "https://c.example/foo/"),
    )


@pytest.mark.parametrize(
    "html",
    [
        "",
        "<html><body><h1>Welcome to our hotel</h1><form action=/login><a href=/login>Log in</a></form>",
        "<a href=/static/icon.png>i</a><a href=..>up</a>",
        "<a href=https://portal.example/agent-2.0.exe>Install our client</a>",
        "<a href=bar/>bar</a><a href=foo/>foo</a>",
        "<!-- <a href=foo-1.0.zip>foo-1.0.zip</a> -->",
        "It works!",
    ],
)
def test_h6_case_22_a_page_of_something_else_is_refused(html: str) -> None:
    """A captive portal must not be taken for a project without files."""
    with pytest.raises(ValueError, match="not a project's page"):
        page(html)


def test_h6_either_proof_is_enough() -> None:
    assert page(META).files == ()
    assert len(page("<a href=Foo_1.zip>x</a>").files) == 1
    assert page("<a href=Foo-1.zip>x</a>").api_version == (1, 0)


def test_d11_another_major_version_is_refused() -> None:
    with pytest.raises(ValueError, match="API version 2"):
        page('<meta name="pypi:repository-version" content="2.0"><a href=foo-1.zip>x</a>')


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("foo-1.0.zip", "https://index.example.org/simple/foo/foo-1.0.zip"),
        ("../../p/foo-1.0.zip", "https://index.example.org/p/foo-1.0.zip"),
        ("/p/foo-1.0.zip", "https://index.example.org/p/foo-1.0.zip"),
        ("//cdn.example/foo-1.0.zip", "https://cdn.example/foo-1.0.zip"),
        ("http://other.example/foo-1.0.zip", "http://other.example/foo-1.0.zip"),
        ("/p/foo-1.0.zip?a=1&amp;b=2", "https://index.example.org/p/foo-1.0.zip?a=1&b=2"),
        ("/p/a b/foo-1.0.zip", "https://index.example.org/p/a%20b/foo-1.0.zip"),
        ("/p/%21/foo%2D1.0.zip", "https://index.example.org/p/%21/foo%2D1.0.zip"),
    ],
)
def test_1b_links_of_every_kind(href: str, expected: str) -> None:
    file = only(f'href="{href}"')
    assert (file.filename, file.url) == ("foo-1.0.zip", expected)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("https://cdn.example/d/", "https://cdn.example/d/foo-1.0.zip"),
        ("/d/", "https://index.example.org/d/foo-1.0.zip"),
        ("d/", "https://index.example.org/simple/foo/d/foo-1.0.zip"),
        ("javascript:x", "https://index.example.org/simple/foo/foo-1.0.zip"),
    ],
)
def test_c12_the_first_base_counts_wherever_it_stands(base: str, expected: str) -> None:
    project = page(
        f'{META}<a href=foo-1.0.zip>x</a><base target=x><base href="{base}"><base href="https://no.example/">'
    )
    assert [file.url for file in project.files] == [expected]


@pytest.mark.parametrize(
    "anchor",
    [
        '<a href="../">Parent Directory</a>',
        '<a href="/login">foo-login</a>',
        '<a href="logo.png"><img src=x></a>',
        '<a href="foo-1.0.zip.asc">foo-1.0.zip.asc</a>',
        '<a href="foo-1.0.whl.metadata">foo-1.0.whl.metadata</a>',
        '<a href="javascript:x//foo-1.0.zip">foo-1.0.zip</a>',
        '<a href="ftp://f.example/foo-1.0.zip">foo-1.0.zip</a>',
        '<a href="https://u:p@f.example/foo-1.0.zip">foo-1.0.zip</a>',
        '<a href="a%2Ffoo-1.0.zip">foo-1.0.zip</a>',
        '<a href="%00foo-1.0.zip">foo-1.0.zip</a>',
        '<a href=".foo-1.0.zip">foo-1.0.zip</a>',
        '<a name="foo-1.0.zip">foo-1.0.zip</a>',
        '<a href="#foo-1.0.zip"></a>',
    ],
)
def test_1b_case_35_anchors_that_are_no_files_are_dropped(anchor: str) -> None:
    assert page(META + anchor).files == ()


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        ('<a href="/download/17">foo-1.0.zip</a>', "foo-1.0.zip"),
        ('<a href="/download/%FF">\n foo-1.0.zip </a>', "foo-1.0.zip"),
        ('<a href="/p/foo-1.0.zip">Download foo-1.0.tgz</a>', "foo-1.0.zip"),
        ('<a href="/p/foo-1%2Bcpu-py3-none-any.whl">x</a>', "foo-1+cpu-py3-none-any.whl"),
        ('<a href="/p/foo-1+cpu-py3-none-any.whl">x</a>', "foo-1+cpu-py3-none-any.whl"),
        ('<a href="/p/foo-1%212.0.zip">x</a>', "foo-1!2.0.zip"),
        ('<a href="/p/fo%C3%B6-1.zip">x</a>', "foö-1.zip"),
        ('<a href="/p/foo-1%252B.zip">x</a>', "foo-1%2B.zip"),
    ],
)
def test_1b_a11_case_5_6_17_the_name_is_the_last_segment_or_else_the_text(anchor: str, expected: str) -> None:
    assert [file.filename for file in page(META + anchor).files] == [expected]


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ("", ()),
        ("#", ()),
        (f"#sha256={A64}", (Digest("sha256", A64),)),
        (f"#SHA256={A64.upper()}", (Digest("sha256", A64),)),
        (f"#sha256={A64}&amp;md5={'0' * 32}", (Digest("sha256", A64), Digest("md5", "0" * 32))),
        (f"#egg=foo&md5={'0' * 32}&subdirectory=x", (Digest("md5", "0" * 32),)),
        ("#egg=deadbeef", ()),
        ("#sha256=junk", ()),
        ("#sha256", ()),
    ],
)
def test_1b_case_9_to_12_hashes_in_the_fragment(fragment: str, expected: tuple[Digest, ...]) -> None:
    file = only(f'href="foo-1.0.zip{fragment}"')
    assert expected == file.hashes
    assert "#" not in file.url


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("", False),
        ("data-yanked", True),
        ('data-yanked=""', True),
        ('data-yanked="&lt;b&gt; &quot;x&quot; &amp;"', '<b> "x" &'),
        ('data-yanked="false"', "false"),
    ],
)
def test_c6_case_14_yank_marks(attributes: str, expected: bool | str) -> None:
    assert expected == only(f"href=foo-1.0.zip {attributes}").yanked


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("", None),
        ("data-core-metadata=true", True),
        ("data-dist-info-metadata=TRUE", True),
        (f"data-dist-info-metadata=sha256={A64}", (Digest("sha256", A64),)),
        (f"data-core-metadata=false data-dist-info-metadata=sha256={A64}", False),
        ("data-core-metadata=sha256=junk", True),
        ("data-core-metadata", None),
        ("data-core-metadata=maybe", None),
    ],
)
def test_c7_core_metadata_by_either_name(attributes: str, expected: object) -> None:
    assert expected == only(f"href=foo-1.0.zip {attributes}").core_metadata


@pytest.mark.parametrize(
    ("attributes", "size", "time"),
    [
        ("data-size=7 data-upload-time=2024-01-02T03:04:05.6Z", 7, "2024-01-02T03:04:05.6Z"),
        ("data-size=-7 data-upload-time=yesterday", None, None),
        ("data-size=seven data-upload-time", None, None),
        (f"data-size={'9' * 19}", None, None),
        (f"data-size={'9' * 9000}", None, None),
        ("data-size=\u0667", None, None),
    ],
)
def test_c11_d6_size_and_upload_time(attributes: str, size: int | None, time: str | None) -> None:
    file = only(f"href=foo-1.0.zip {attributes}")
    assert (size, time) == (file.size, file.upload_time)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [("", None), ("data-gpg-sig=true", True), ("data-gpg-sig=False", False), ("data-gpg-sig=x", None)],
)
def test_c8_gpg_sig(attributes: str, expected: bool | None) -> None:
    assert expected == only(f"href=foo-1.0.zip {attributes}").gpg_sig


def test_case_38_of_files_with_one_name_the_first_is_kept() -> None:
    project = page(f"{META}<a href=/a/foo-1.0.zip>x</a><a href=/b/foo-1.0.zip>x</a>")
    assert [file.url for file in project.files] == ["https://index.example.org/a/foo-1.0.zip"]


def test_case_7_and_8_legacy_files_are_listed_and_versions_worked_out() -> None:
    names = (
        "foo-1.0.exe",
        "foo-1.1.tar.Z",
        "foo-1.2-beta.zip",
        "foo-latest.tgz",
        "foo-1.3-1.noarch.rpm",
        "FOO-1.0.DMG",
    )
    project = page(META + "".join(f"<a href={name}>{name}</a>" for name in names))
    assert tuple(file.filename for file in project.files) == names
    assert project.versions == ("1.0", "1.1", "1.2-beta", "1.3")


def test_too_many_links_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 200000 links"):
        page("<a href>" * (fields.MAX_FILES + 1))


BARE = File(filename="foo-1.0.zip", url="https://f.example/foo-1.0.zip")


def test_c1_c2_c12_the_document() -> None:
    assert rendered(BARE) == (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n'
        "<head>\n"
        '<meta charset="utf-8">\n'
        '<meta name="pypi:repository-version" content="1.0">\n'
        "<title>Links for foo</title>\n"
        "</head>\n"
        "<body>\n"
        "<h1>Links for foo</h1>\n"
        '<a href="../../packages/foo-1.0.zip">foo-1.0.zip</a><br>\n'
        "</body>\n"
        "</html>\n"
    )


def test_c4_to_c11_all_attributes_of_a_file() -> None:
    file = File(
        filename="foo-1.0.zip",
        url="https://f.example/foo-1.0.zip",
        hashes=(Digest("md5", "0" * 32), Digest("sha256", A64)),
        size=7,
        upload_time="2024-01-02T03:04:05Z",
        requires_python=">=3.7, !=3.8.*",
        yanked='bad "quote" & <b>',
        core_metadata=(Digest("sha256", A64),),
        gpg_sig=False,
        provenance="https://f.example/p?a=1&b=2",
    )
    expected = (
        f'<a href="../../packages/foo-1.0.zip#sha256={A64}" data-requires-python="&gt;=3.7, !=3.8.*" data-size="7"'
        ' data-upload-time="2024-01-02T03:04:05Z" data-yanked="bad &quot;quote&quot; &amp; &lt;b&gt;"'
        f' data-core-metadata="sha256={A64}" data-dist-info-metadata="sha256={A64}" data-gpg-sig="false"'
        ' data-provenance="https://f.example/p?a=1&amp;b=2">foo-1.0.zip</a><br>'
    )
    assert [expected] == re.findall("<a .*", rendered(file))


@pytest.mark.parametrize(
    ("file", "present", "absent"),
    [
        (BARE, ">foo-1.0.zip<", "data-"),
        (File(filename="a", url="b", yanked=True), 'data-yanked=""', "None"),
        (
            File(filename="a", url="b", core_metadata=True),
            'data-core-metadata="true" data-dist-info-metadata="true"',
            "#",
        ),
        (File(filename="a", url="b", core_metadata=False), ">a<", "metadata"),
        (File(filename="a", url="b", hashes=(Digest("md5", "0" * 32),)), f"#md5={'0' * 32}", "sha256"),
        (File(filename="a", url="b", hashes=(Digest("snefru", "00"),)), ">a<", "#"),
        (File(filename='"><script>.zip', url="b"), "&quot;&gt;&lt;script&gt;.zip</a>", "<script"),
        (File(filename="a", url="b", requires_python="'\"><img>"), "&#x27;&quot;&gt;&lt;img&gt;", "<img"),
    ],
)
def test_c3_to_c7_reliability_5_12_what_is_written_and_what_is_not(
    file: File, present: str, absent: str
) -> None:
    html = rendered(file)
    assert present in html
    assert absent not in html


def test_c10_d12_the_metas_of_a_project() -> None:
    html = rendered(
        status="quarantined",
        status_reason='"><script>',
        tracks=("https://a.example/?a&b",),
        alternate_locations=("https://b.example/", "https://c.example/"),
    )
    assert re.findall(r'<meta name="pypi:(.*?)" content="(.*?)">', html) == [
        ("repository-version", "1.4"),
        ("project-status", "quarantined"),
        ("project-status-reason", "&quot;&gt;&lt;script&gt;"),
        ("tracks", "https://a.example/?a&amp;b"),
        ("alternate-locations", "https://b.example/"),
        ("alternate-locations", "https://c.example/"),
    ]


def test_a_link_that_has_a_fragment_keeps_it() -> None:
    project = Project(name=FOO, files=(File(filename="a", url="b", hashes=(Digest("sha256", A64),)),))
    assert b'href="x#md5=00"' in pep503.render(project, href=lambda _: "x#md5=00")
