"""What other processes have written is noticed, and one's own isn't."""

from __future__ import annotations

from pathlib import Path

from pypicache.store.generations import Generations


def test_others_writes_are_noticed_and_own_ones_are_not(tmp_path: Path) -> None:
    path = tmp_path / "generations"
    Generations.make(path, 3)
    with (
        Generations(path, number=0, count=3) as first,
        Generations(path, number=1, count=3) as second,
        Generations(path, number=2, count=3) as third,
    ):
        before = [each.others("entry:a:x") for each in (first, second, third)]
        first.stored(["entry:a:x"])
        third.stored(["entry:a:x", "entry:a:x"])
        now = [each.others("entry:a:x") for each in (first, second, third)]
        assert [new - old for new, old in zip(now, before, strict=True)] == [2, 3, 1]
        assert first.others("entry:a:y") == 0


def test_marks_change_with_others_writes_only(tmp_path: Path) -> None:
    path = tmp_path / "generations"
    Generations.make(path, 3)
    with (
        Generations(path, number=0, count=3) as first,
        Generations(path, number=1, count=3) as second,
        Generations(path, number=2, count=3) as third,
    ):
        third.stored(["entry:a:x"])
        marks = second.marks("entry:a:x")
        assert [seen for _, _, seen in marks] == [0, 1]
        second.stored(["entry:a:x"])
        first.stored(["entry:a:y"])
        assert all(look(where) == seen for look, where, seen in marks)
        third.stored(["entry:a:x"])
        assert [look(where) == seen for look, where, seen in marks] == [True, False]
        first.stored(["entry:a:x"])
        assert [look(where) == seen for look, where, seen in marks] == [False, False]


def test_alone_there_is_nobody_to_notice(tmp_path: Path) -> None:
    with Generations(tmp_path / "none") as alone:
        alone.stored(["x"])
        assert alone.others("x") == 0
        assert alone.marks("x") == ()
