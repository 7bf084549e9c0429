from __future__ import annotations

import pytest

from pypicache.rules.policy import Allow, Hide, judge_project, visible
from pypicache.simple.model import Digest, File, Project, ProjectName

FILE = File(
    filename="demo-1.0.tar.gz",
    url="https://files.example/demo-1.0.tar.gz",
    hashes=(Digest("sha256", "0" * 64),),
)


def page(status: str | None, reason: str | None = None) -> Project:
    return Project(
        name=ProjectName("demo"),
        files=(FILE,),
        versions=("1.0",),
        api_version=(1, 4),
        status=status,
        status_reason=reason,
        tracks=("https://other.example/simple/demo/",),
        alternate_locations=("https://third.example/simple/demo/",),
    )


@pytest.mark.parametrize("status", [None, "active", "archived", "deprecated"])
def test_project_that_is_not_quarantined_passes(status: str | None) -> None:
    project = page(status, "end of life")
    assert judge_project(project) == Allow()
    assert visible(project) is project


def test_quarantined_project_keeps_its_page_and_hides_its_files() -> None:
    """PEP 792: a quarantined project's files are not offered, and its status is shown; all else stays."""
    before = page("quarantined", "malware")
    after = visible(before)
    assert judge_project(before) == Hide("demo is quarantined by its index: malware")
    assert after.files == ()
    assert before.files == (FILE,)
    for field in set(Project.__struct_fields__) - {"files"}:
        assert getattr(after, field) == getattr(before, field)


def test_quarantine_without_a_reason() -> None:
    assert judge_project(page("quarantined")) == Hide("demo is quarantined by its index")


def test_hostile_reason_is_one_short_line() -> None:
    verdict = judge_project(page("quarantined", "a\r\nSet-Cookie: b" + "x" * 10_000))
    assert isinstance(verdict, Hide)
    assert verdict.reason.isprintable()
    assert len(verdict.reason) <= 300
