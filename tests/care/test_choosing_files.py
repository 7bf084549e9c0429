from __future__ import annotations

import pytest

from pypicache.care.orders import Wanted
from pypicache.care.prefetching import choose, newest
from pypicache.commands.targets import Place
from pypicache.errors import PypicacheError
from pypicache.simple.model import File, Project, ProjectName

NAMES = [
    "demo-1.0-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "demo-1.0-cp312-cp312-manylinux_2_34_x86_64.whl",
    "demo-1.0-cp312-cp312-musllinux_1_2_x86_64.whl",
    "demo-1.0-cp39-abi3-macosx_10_9_x86_64.whl",
    "demo-1.0-cp39-abi3-macosx_11_0_arm64.whl",
    "demo-1.0-cp312-cp312-win_amd64.whl",
    "demo-1.0.tar.gz",
    "demo-0.9-py3-none-any.whl",
    "demo-1.1rc1-py3-none-any.whl",
]
PAGE = Project(
    name=ProjectName("demo"),
    files=tuple(File(filename=name, url=f"https://h.example/{name}") for name in NAMES),
)


@pytest.mark.parametrize(
    ("python", "platform", "number"),
    [
        ("3.12", "linux-x86_64", 1),
        ("3.12", "manylinux_2_28_x86_64", 0),
        ("3.12.4", "musl-x86_64", 2),
        ("3.13", "macos-arm64", 4),
        ("3.10", "macosx_10_15_x86_64", 3),
        ("3.12", "windows-amd64", 5),
        ("3.12", "win_amd64", 5),
        ("3.11", "linux-x86_64", 6),
        ("3.12", "linux-aarch64", 6),
    ],
)
def test_the_file_that_an_installer_would_take(python: str, platform: str, number: int) -> None:
    """The best wheel, or else the sdist."""
    files, lacking = choose(PAGE, Wanted(project="demo"), [Place(python, platform).target], sdists=False)
    assert [file.filename for file in files] == [NAMES[number]]
    assert not lacking


def test_the_newest_version_is_a_final_one_and_not_yanked() -> None:
    assert newest(PAGE) == "1.0"
    assert newest(Project(name=ProjectName("demo"), files=PAGE.files[-1:])) == "1.1rc1"
    yanked = File(filename="demo-2.0.tar.gz", url="https://h.example/demo-2.0.tar.gz", yanked=True)
    assert newest(Project(name=ProjectName("demo"), files=(*PAGE.files, yanked))) == "1.0"
    assert newest(Project(name=ProjectName("demo"))) is None


@pytest.mark.parametrize(
    ("python", "platform"), [("three", None), (None, "amiga"), (None, "linux"), ("3", None)]
)
def test_names_that_mean_nothing_are_told(python: str | None, platform: str | None) -> None:
    with pytest.raises(PypicacheError, match="is called"):
        _ = Place(python, platform).target
