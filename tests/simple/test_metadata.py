"""The one field of core metadata that a page can have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.simple.metadata import (
    MAX_HEADERS,
    MAX_REQUIREMENTS,
    is_metadata_of,
    requires,
    requires_python,
)
from pypicache.simple.model import ProjectName

HEAD = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"

TABLE = [
    (HEAD + b"Requires-Python: >=3.8\n\nText", ">=3.8"),
    (HEAD + b"Requires-Python:>=3.7, !=3.8.*", ">=3.7, !=3.8.*"),
    (HEAD.replace(b"\n", b"\r\n") + b"requires-python:  >=3.8 \r\n\r\nText", ">=3.8"),
    (HEAD + b"Requires-Python: >=3.8\nRequires-Python: >=3.9\n", ">=3.8"),
    (HEAD, None),
    (b"", None),
    (HEAD + b"Requires-Python:\nSummary: x\n", None),
    (HEAD + b"\nRequires-Python: >=3.8\n", None),
    (HEAD + b"Description: x\n Requires-Python: >=3.8\n", None),
    (HEAD + b"Requires-Python: >=3.8,\n  <4\n", None),
    (HEAD + b"Requires-Python: three\n", None),
    (HEAD + b"Requires-Python: >=3.8\x00\n", None),
    (HEAD + "Requires-Python: >=3.8 \N{SNOWMAN}\n".encode(), None),
    (HEAD + b"Requires-Python: " + b">=3," * 100 + b"<4\n", None),
    (HEAD + b"X: " + b"x" * MAX_HEADERS + b"\nRequires-Python: >=3.8\n", None),
]


@pytest.mark.parametrize(("metadata", "expected"), TABLE)
def test_requires_python(metadata: bytes, expected: str | None) -> None:
    """A specifier that no client could read, or only part of one, is as good as none."""
    assert requires_python(metadata) == expected


IDENTITY = [
    (HEAD, True),
    (HEAD.replace(b"\n", b"\r\n"), True),
    (HEAD.replace(b"demo", b"D.e_mo").replace(b"Name", b"name"), False),
    (b"Name: DEMO \nMetadata-Version: 2.1\n", True),
    (HEAD + b"\nA description, \xff and all", True),
    (HEAD + "Author: \N{SNOWMAN}\n".encode(), True),
    (HEAD + b"Requires-Dist: lib\xff\n", False),
    (HEAD.replace(b"demo", b"other"), False),
    (HEAD.replace(b"demo", b""), False),
    (b"Name: demo\nVersion: 1.0\n", False),
    (b"Summary: x\n\n" + HEAD, False),
    (b"<html>404</html>", False),
    (b"", False),
]


@pytest.mark.parametrize(("metadata", "expected"), IDENTITY)
def test_what_can_be_metadata_of_a_project(metadata: bytes, expected: bool) -> None:
    assert is_metadata_of(metadata, ProjectName("demo")) is expected


@given(st.binary() | st.text().map(lambda text: HEAD + b"Requires-Python: " + text.encode() + b"\n"))
def test_any_bytes_are_answered(metadata: bytes) -> None:
    found = requires_python(metadata)
    assert found is None or (found.isprintable() and found.strip() == found)


REQUIRED = [
    (HEAD, ()),
    (b"", ()),
    (
        HEAD + b"Requires-Dist: Idna>=2\nRequires-Dist: charset_normalizer (<4,>=2)\n",
        ("idna", "charset-normalizer"),
    ),
    (HEAD + b"requires-dist:a\r\nREQUIRES-DIST:  b.c[x]; python_version < '3.8'\r\n", ("a", "b-c")),
    (HEAD + b"Requires-Dist: a>=1; python_version<'3'\nRequires-Dist: A<2\n", ("a",)),
    (HEAD + b"Requires-Dist: pysocks!=1.5.7; extra == 'socks'\nRequires-Dist: b; 'x' == extra\n", ("b",)),
    (HEAD + b"Requires-Dist: win; sys_platform == 'win32' and extra=='x'\n", ()),
    (HEAD + b"Requires-Dist: extra==1\n", ("extra",)),
    (
        HEAD + b"Requires-Dist: there @ https://files.example/there.whl\nRequires-Dist: b@http://x.example\n",
        (),
    ),
    (HEAD + b"Requires-Dist: ../../etc\nRequires-Dist: -a\nRequires-Dist: \xff\nRequires-Dist:\n", ()),
    (HEAD + b"\nRequires-Dist: of-the-description\n", ()),
    (HEAD + b"Description: x\n Requires-Dist: folded\n", ()),
]


@pytest.mark.parametrize(("metadata", "expected"), REQUIRED)
def test_requires(metadata: bytes, expected: tuple[str, ...]) -> None:
    """What an extra makes needed, what has an address of its own, and what can't be a name is passed over."""
    assert tuple(requires(metadata)) == expected


def test_what_is_required_comes_with_its_specifier() -> None:
    """For a guess only, so the first one of a project will do."""
    metadata = HEAD + (
        b"Requires-Dist: idna>=2, <4; python_version>'3'\nRequires-Dist: chardet (<4,>=2)\n"
        b"Requires-Dist: b.c[x, y] ~=1.0\nRequires-Dist: d\nRequires-Dist: idna<3\n"
    )
    assert requires(metadata) == {"idna": ">=2, <4", "chardet": "<4,>=2", "b-c": "~=1.0", "d": ""}


def test_no_metadata_requires_the_whole_index() -> None:
    many = HEAD + b"".join(b"Requires-Dist: p%d\n" % number for number in range(5000))
    assert len(requires(many)) == MAX_REQUIREMENTS


@given(st.binary() | st.binary().map(lambda data: HEAD + b"Requires-Dist: " + data))
def test_any_bytes_require_names(metadata: bytes) -> None:
    assert all(name and name == name.lower() and "/" not in name for name in requires(metadata))
