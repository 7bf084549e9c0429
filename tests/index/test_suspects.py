"""Of whom a download is asked next, as stories: what happened, and who is asked then."""

from __future__ import annotations

import pytest

from pypicache.index.suspects import Suspects
from tests.fakes import FakeCopy

STORIES: list[tuple[str, str, list[str]]] = [
    ("nobody brings more", "no", ["abc", ""]),
    ("one was wrong, the next one alone brings it", "a!", ["abc", "b"]),
    ("one was wrong, and so are the others", "a! b! c!", ["abc", "b", "c", ""]),
    ("one was wrong, the others fail: a second chance", "a! no no", ["abc", "b", "c", "a"]),
    ("and no third one, if it is wrong again", "a! no no a!", ["abc", "b", "c", "a", ""]),
    ("nor if it fails", "a! no no no", ["abc", "b", "c", "a", ""]),
    ("two were wrong, one fails: both get it", "a! no c! a! c!", ["abc", "b", "c", "a", "c", ""]),
    ("the same, and the second one has it", "a! b! no a!", ["abc", "b", "c", "a", "b"]),
    ("several had a part in it", "ab? a! no no", ["abc", "a", "b", "c", "a"]),
]


@pytest.mark.parametrize(("events", "asked"), [row[1:] for row in STORIES], ids=[row[0] for row in STORIES])
def test_who_is_asked(events: str, asked: list[str]) -> None:
    """`no`: they bring no more. `a!`: a's bytes were wrong. `ab?`: those of a and b together were."""
    suspects = Suspects([FakeCopy(name, []) for name in "abc"])
    seen = ["".join(copy.origin for copy in suspects.asked)]
    for event in events.split():
        if event == "no":
            more = suspects.brought_no_more()
        else:
            more = suspects.were_wrong(set(event[:-1]), certain=event.endswith("!"))
        seen.append("".join(copy.origin for copy in suspects.asked))
        assert more is bool(seen[-1])
    assert seen == asked
