"""The queue before the page store, against a model of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pypicache.store.pending import Pending

KEYS = st.sampled_from("abcde")
PUT = st.tuples(st.just("put"), KEYS, st.binary(max_size=6))
DROP = st.tuples(st.just("drop"), KEYS, st.none())
BATCH = st.tuples(st.sampled_from(["store", "fail", "fail and lose"]), st.none(), st.none())


def test_a_new_value_replaces_the_waiting_one() -> None:
    pending = Pending(max_count=10, max_bytes=100)
    pending.put("a", b"1", None)
    pending.put("a", b"22", 5.0)
    write = pending.get("a")
    assert write is not None
    assert (write.value, write.expire) == (b"22", 5.0)
    assert (len(pending), pending.nbytes, pending.lost) == (1, 2, 0)


def test_the_oldest_value_makes_room_and_a_drop_does_not() -> None:
    pending = Pending(max_count=2, max_bytes=100)
    pending.put("purged", None, None)
    pending.put("a", b"1", None)
    pending.put("b", b"2", None)
    assert "a" not in pending
    assert "purged" in pending
    assert "b" in pending
    assert pending.lost == 1


def test_a_value_that_finds_no_room_does_not_undo_a_drop() -> None:
    pending = Pending(max_count=2, max_bytes=10)
    pending.put("a", None, None)
    assert not pending.put("a", b"x" * 11, None)
    write = pending.get("a")
    assert write is not None
    assert write.value is None


def test_a_batch_is_limited_and_has_at_least_one() -> None:
    pending = Pending(max_count=10, max_bytes=100)
    for key in "abc":
        pending.put(key, b"x" * 20, None)
    assert list(pending.take(max_count=2, max_bytes=100)) == ["a", "b"]
    pending.done()
    assert list(pending.take(max_count=2, max_bytes=5)) == ["c"]


def test_a_batch_that_failed_does_not_bring_back_what_is_older() -> None:
    pending = Pending(max_count=10, max_bytes=100)
    pending.put("a", b"old", None)
    pending.put("b", b"other", None)
    pending.take(max_count=10, max_bytes=100)
    pending.put("a", b"new", None)
    assert pending.keep(values=True) == 0
    assert {key: write.value for key, write in pending.take(max_count=10, max_bytes=100).items()} == {
        "b": b"other",
        "a": b"new",
    }


@given(st.lists(PUT | DROP | BATCH, max_size=40), st.integers(1, 6), st.integers(0, 12))
def test_what_is_got_is_the_newest_or_nothing(
    steps: list[tuple[str, str | None, bytes | None]], max_count: int, max_bytes: int
) -> None:
    """A value is never older than a later put or drop of its key, and the bounds hold throughout."""
    pending = Pending(max_count=max_count, max_bytes=max_bytes)
    newest: dict[str, bytes | None] = {}
    on_disk: dict[str, bytes] = {}
    dropped_after: dict[str, set[bytes]] = {}
    for what, key, value in steps:
        if key is not None:
            pending.put(key, value, None)
            newest[key] = value
            if value is None:
                dropped_after[key] = set()
            else:
                dropped_after.setdefault(key, set()).add(value)
        elif pending.waiting:
            batch = pending.take(max_count=3, max_bytes=8)
            if what == "store":
                for name, write in batch.items():
                    if write.value is None:
                        on_disk.pop(name, None)
                    else:
                        on_disk[name] = write.value
                pending.done()
            else:
                pending.keep(values=what == "fail")
        for name, last in newest.items():
            waiting = pending.get(name)
            got = waiting.value if waiting is not None else on_disk.get(name)
            assert got is None or got in dropped_after[name]
            assert last is not None or got is None
        held = [w for w in (pending.get(name) for name in "abcde") if w is not None]
        assert pending.nbytes <= max_bytes
        assert sum(w.value is not None for w in held) <= max_count
    while pending.waiting:
        pending.take(max_count=1, max_bytes=1)
        pending.done()
    assert (len(pending), pending.nbytes) == (0, 0)
    assert pending.settled(pending.number)
