"""The one field of core metadata that a page can have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypicache.simple.metadata import MAX_HEADERS, requires_python

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


@given(st.binary() | st.text().map(lambda text: HEAD + b"Requires-Python: " + text.encode() + b"\n"))
def test_any_bytes_are_answered(metadata: bytes) -> None:
    found = requires_python(metadata)
    assert found is None or (found.isprintable() and found.strip() == found)
