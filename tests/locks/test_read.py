from __future__ import annotations

import pytest

from pypicache.locks.read import Pin, PinnedFile, read
from pypicache.locks.rewrite import Unreadable
from pypicache.simple.model import Digest, ProjectName

ONE, TWO = "1" * 64, "2" * 64
WHEEL, SDIST = "demo-1.0+local-py3-none-any.whl", "demo-1.0+local.tar.gz"
DEMO = ProjectName("demo")
FILES = (PinnedFile(SDIST, Digest("sha256", ONE)), PinnedFile(WHEEL, Digest("sha256", TWO)))

UV = f"""\
version = 1
[[package]]
name = "app"
version = "0"
source = {{ virtual = "." }}
[[package]]
name = "Demo"
version = "1.0+local"
source = {{ registry = "https://index.example/simple" }}
sdist = {{ url = "https://f.example/packages/ab/demo-1.0%2Blocal.tar.gz", hash = "sha256:{ONE}" }}
wheels = [{{ url = "https://f.example/packages/cd/demo-1.0%2Blocal-py3-none-any.whl", hash = "sha256:{TWO}" }}]
[[package]]
name = "other"
version = "2"
source = {{ git = "https://git.example/other" }}
"""
PYLOCK = f"""\
lock-version = "1.0"
[[packages]]
name = "demo"
version = "1.0+local"
index = "https://index.example/simple"
sdist = {{ name = "{SDIST}", path = "x", hashes = {{ md5 = "{"0" * 32}", sha256 = "{ONE}" }} }}
wheels = [{{ url = "https://f.example/{WHEEL}", hashes = {{ sha256 = "{TWO}" }} }}]
[[packages]]
name = "other"
vcs = {{ type = "git", url = "https://git.example/other" }}
"""
POETRY = f"""\
[[package]]
name = "demo"
version = "1.0+local"
files = [{{file = "{SDIST}", hash = "sha256:{ONE}"}}, {{file = "{WHEEL}", hash = "sha256:{TWO}"}}]
[package.source]
type = "legacy"
url = "https://index.example/simple"
[[package]]
name = "other"
version = "2"
[package.source]
type = "directory"
url = "."
[metadata]
lock-version = "2.1"
"""
OLD_POETRY = f"""\
[[package]]
name = "demo"
version = "1.0+local"
[metadata]
lock-version = "1.1"
[metadata.files]
demo = [{{file = "{SDIST}", hash = "sha256:{ONE}"}}, {{file = "{WHEEL}", hash = "sha256:{TWO}"}}]
"""
PDM = f"""\
[metadata]
lock_version = "4.5.0"
[[package]]
name = "demo"
version = "1.0+local"
files = [
    {{url = "https://f.example/packages/{SDIST}", hash = "sha256:{ONE}"}},
    {{file = "{WHEEL}", hash = "sha256:{TWO}"}},
]
[[package]]
name = "other"
git = "https://git.example/other"
"""


@pytest.mark.parametrize(
    ("name", "text", "index"),
    [
        ("uv.lock", UV, "https://index.example/simple"),
        ("pylock.dev.toml", PYLOCK, "https://index.example/simple"),
        ("poetry.lock", POETRY, "https://index.example/simple"),
        ("poetry.lock", OLD_POETRY, None),
        ("pdm.lock", PDM, None),
    ],
)
def test_every_tool_s_lock_file_says_the_same(name: str, text: str, index: str | None) -> None:
    """What isn't from an index is left out."""
    assert read(text, name) == (Pin(DEMO, "1.0+local", FILES, index),)


def test_a_requirements_file_pins_versions_and_hashes() -> None:
    text = (
        "# made by something\n-i https://index.example/simple\n"
        f"demo[x]==1.0 ; python_version >= '3.11' \\\n    --hash=sha256:{ONE} \\\n    --hash=sha256:{TWO}  # via app\n"
        "other @ https://files.example/other-1.tar.gz\n\nlast===2.0\n"
    )
    hashes = tuple(PinnedFile(None, Digest("sha256", value)) for value in (ONE, TWO))
    assert read(text, "requirements.txt") == (Pin(DEMO, "1.0", hashes), Pin(ProjectName("last"), "2.0"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("demo\n", "line 1 doesn't pin demo to a version"),
        ("\ndemo>=1\n", "line 2 doesn't pin demo to a version"),
        ("demo==1.*\n", "doesn't pin demo"),
        ("demo==1,!=2\n", "doesn't pin demo"),
        ("what is this\n", "line 1 isn't a requirement: what is this"),
        ("-r other.txt\n", "includes another file"),
        ("--requirement=other.txt\n", "includes another file"),
    ],
)
def test_what_pins_nothing_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        read(text, "requirements.txt")


@pytest.mark.parametrize(
    "text",
    ["[build]\nx = 1\n", '[[package]]\nname = "demo"\nwheels = [{ url = "https://h.example/a%2Fb" }]\n'],
)
def test_what_is_no_lock_file_is_refused(text: str) -> None:
    """Nor one whose files have names that no index gives."""
    with pytest.raises(Unreadable):
        read(text, "uv.lock")
