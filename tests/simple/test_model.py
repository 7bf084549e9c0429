from __future__ import annotations

import pytest

from pypicache.simple.model import (
    Digest,
    File,
    Project,
    ProjectName,
    digest,
    dump,
    load,
    project_name,
    valid_filename,
)

A64 = "a" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("foo", "foo"),
        ("Foo_Bar", "foo-bar"),
        ("foo.bar", "foo-bar"),
        ("foo--bar", "foo-bar"),
        ("FrIeNdLy-._.-bArD", "friendly-bard"),
        ("q", "q"),
        ("0", "0"),
        ("simple", "simple"),
        ("a" * 200, "a" * 200),
    ],
)
def test_a1_case_1_to_3_names_are_normalised(text: str, expected: str) -> None:
    assert expected == project_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-a",
        "a-",
        "_",
        "..",
        "a/b",
        "a\\b",
        "a%2Fb",
        "a b",
        "a\n",
        "a\x00",
        "a\r\nb",
        "é",
        "a\u017f\u212a",
        "a" * 201,
    ],
)
def test_a5_case_37_what_is_no_name(text: str) -> None:
    """A5: the end of the text is meant, not the end of a line; case folding reaches ASCII only."""
    assert project_name(text) is None


@pytest.mark.parametrize(
    "text", ["foo-1.0.tar.gz", "torch-2.1+cu118.whl", "pkg-1!2.0.zip", "fö ö.zip", "a" * 255]
)
def test_case_17_file_names(text: str) -> None:
    assert valid_filename(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        ".hidden",
        "a/b",
        "a\\b",
        "a\x00",
        "a\n",
        "a\x7f",
        "a\x85",
        "a\ud800",
        "a" * 256,
        "é" * 128,
    ],
)
def test_what_is_no_file_name(text: str) -> None:
    """Reliability 5.2: one path segment that a file system takes, with nothing that confuses a log."""
    assert not valid_filename(text)


@pytest.mark.parametrize(
    ("algorithm", "value", "expected"),
    [
        ("sha256", A64, Digest("sha256", A64)),
        ("SHA256", A64.upper(), Digest("sha256", A64)),
        (" md5 ", "0" * 32, Digest("md5", "0" * 32)),
        ("blake2b_256", "ab", Digest("blake2b_256", "ab")),
        ("sha256", "a" * 63, None),
        ("sha256", "g" * 64, None),
        ("sha256", "", None),
        ("", "ab", None),
        ("a b", "ab", None),
        ("x", "a" * 257, None),
    ],
)
def test_case_12_digests_are_lower_case_or_none(algorithm: str, value: str, expected: Digest | None) -> None:
    assert expected == digest(algorithm, value)


def test_the_best_digest_is_the_strongest_that_can_be_checked() -> None:
    md5, sha512, odd = Digest("md5", "0" * 32), Digest("sha512", "0" * 128), Digest("snefru", "00")
    file = File(filename="a-1.zip", url="https://x.example/a-1.zip", hashes=(odd, md5, sha512))
    assert file.best_digest == sha512
    assert file.sha256 is None
    assert file.hash("md5") == "0" * 32
    assert str(file.best_digest) == "sha512:" + "0" * 128
    assert File(filename="a", url="b", hashes=(odd,)).best_digest is None


@pytest.mark.parametrize(("said", "expected"), [(True, True), (False, False), (None, False), ((), True)])
def test_has_sidecar(said: bool | tuple[Digest, ...] | None, expected: bool) -> None:
    assert expected is File(filename="a", url="b", core_metadata=said).has_sidecar


def test_a_page_survives_the_store() -> None:
    file = File(
        filename="a-1.zip",
        url="https://x.example/a-1.zip",
        yanked="why",
        core_metadata=(Digest("md5", "0" * 32),),
    )
    page = Project(name=ProjectName("a"), files=(file,), versions=("1",), status="archived")
    assert page == load(dump(page))
    assert page.file("a-1.zip") == file
    assert page.file("b") is None
    with pytest.raises(ValueError, match="Expected `array`"):
        load(b"\x01")
