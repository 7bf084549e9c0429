"""diskcache's wrapper where the page store's tests don't reach."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from pypicache.errors import StoreError
from pypicache.store.bytesdisk import BytesDisk, Refused, identity, open_cache, seal, set_aside, unseal
from tests.store.conftest import names


def make(directory: Path) -> tuple[int, int]:
    cache, found = open_cache(directory, timeout=1, size_limit=1 << 20)
    with contextlib.closing(cache):
        assert found is not None
        return found


def test_a_database_that_another_process_put_there_is_left_alone(tmp_path: Path) -> None:
    """Of two that saw the same damage the second finds a new database, and must not set that aside."""
    directory = tmp_path / "pages"
    damaged = make(directory)
    assert set_aside(directory, expected=damaged, now=1)
    replaced = make(directory)
    assert not set_aside(directory, expected=damaged, now=2)
    assert identity(directory) == replaced
    assert names(tmp_path) == {"pages", "pages.corrupt-1"}


def test_a_path_that_diskcache_would_expand_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="dollar"):
        open_cache(tmp_path / "$HOME" / "pages", timeout=1, size_limit=1 << 20)


@pytest.mark.parametrize("value", ["text", 1, None, bytearray(b"x"), object()])
def test_only_bytes_are_stored(value: object) -> None:
    with pytest.raises(TypeError):
        BytesDisk("nowhere").store(value, read=False)


@pytest.mark.parametrize("key", [b"bytes", 1, None, ("a",)])
def test_only_text_is_a_key(key: object) -> None:
    disk = BytesDisk("nowhere")
    with pytest.raises(TypeError):
        disk.put(key)
    with pytest.raises(Refused):
        disk.get(key, raw=1)
    with pytest.raises(Refused):
        disk.get("text", raw=0)


def test_no_value_gets_a_file() -> None:
    with pytest.raises(Refused):
        BytesDisk("nowhere").filename()


@pytest.mark.parametrize("value", [b"", b"x", bytes(100)])
def test_a_seal_fits_its_key_and_value_only(value: bytes) -> None:
    sealed = seal("key", value)
    assert unseal("key", sealed) == value
    assert unseal("other", sealed) is None
    assert unseal("key", sealed + b"x") is None
    assert unseal("key", sealed[:-1]) is None
    assert unseal("key", b"") is None
