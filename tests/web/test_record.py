"""What is told of a request once it has been answered."""

from __future__ import annotations

import pytest

from pypicache.errors import Denied, FileNotFound, IntegrityError, ProjectNotFound, UpstreamError
from pypicache.events import Kind
from pypicache.index.entry import Outcome
from pypicache.simple.model import ProjectName
from pypicache.web import places
from pypicache.web.headers import cache_status, of_error
from pypicache.web.record import about, outcome

DEMO = ProjectName("demo")


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (None, ("other", "", "")),
        (places.Root(), ("other", "", "")),
        (places.NotHere("no"), ("other", "", "")),
        (places.ProjectPage("root/pypi", DEMO), ("page", "root/pypi", "demo")),
        (places.FilePath("corp", ("a", "demo-1.0.tar.gz")), ("file", "corp", "demo-1.0.tar.gz")),
        (places.FilePath("corp", ("demo.whl.metadata",)), ("sidecar", "corp", "demo.whl.metadata")),
        (places.ProjectList("corp"), ("list", "corp", "")),
        (places.LegacyJSON("corp", DEMO), ("legacy", "corp", "demo")),
    ],
)
def test_what_a_request_was_about(place: places.Route | None, told: tuple[Kind, str, str]) -> None:
    assert about(place) == told


@pytest.mark.parametrize("how", Outcome)
def test_every_way_of_an_answer_has_a_word(how: Outcome) -> None:
    """No Cache-Status that the edge can send is taken for one that it didn't."""
    assert outcome(cache_status(how, collapsed=False)) == how.value.replace("-while-revalidate", "").replace(
        "-", "_"
    )
    assert outcome(cache_status(how, collapsed=True)) == "shared"


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (ProjectNotFound("demo", age=3.0), "negative"),
        (ProjectNotFound("demo"), "absent"),
        (FileNotFound("demo"), "refused"),
        (Denied("demo"), "refused"),
        (IntegrityError("demo", expected="a", got="b"), "failed"),
        (UpstreamError("origin", "silent"), "failed"),
        (ValueError(), "none"),
    ],
)
def test_every_error_has_a_word(error: Exception, word: str) -> None:
    assert outcome(of_error(error).get("Cache-Status")) == word
