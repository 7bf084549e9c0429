"""Which wheel's metadata a resolver will most likely look at, where there is little to guess."""

from __future__ import annotations

import pytest

from pypicache.rules.likely import likely
from pypicache.simple.model import Digest, File, Project, ProjectName, dump


def listed(filename: str, *, yanked: bool = False, sidecar: bool = True) -> File:
    return File(
        filename=filename,
        url=f"https://files.example/packages/aa/{filename}",
        hashes=(Digest("sha256", "0" * 64),),
        yanked=yanked,
        core_metadata=sidecar or None,
    )


def page(*files: File) -> bytes:
    return dump(Project(name=ProjectName("demo"), files=files))


ONE, TWO, THREE = (listed(f"demo-{version}-py3-none-any.whl") for version in ("1.0", "2.0", "3.0rc1"))

TABLE = [
    ((ONE, TWO), "", "demo-2.0-py3-none-any.whl"),
    ((TWO, ONE), "", "demo-2.0-py3-none-any.whl"),
    ((ONE, TWO), "<2", "demo-1.0-py3-none-any.whl"),
    ((ONE, TWO), ">3", None),
    ((ONE, TWO), "nonsense", None),
    ((ONE, TWO, THREE), ">=1", "demo-2.0-py3-none-any.whl"),
    ((THREE,), "", "demo-3.0rc1-py3-none-any.whl"),
    ((ONE, listed("demo-2.0-py3-none-any.whl", yanked=True)), "", "demo-1.0-py3-none-any.whl"),
    ((ONE, listed("demo-2.0-py3-none-any.whl", sidecar=False)), "", None),
    ((ONE, listed("demo-2.0-cp311-cp311-linux_x86_64.whl")), "", None),
    ((TWO, listed("demo-2.0-cp311-cp311-linux_x86_64.whl")), "", None),
    ((ONE, listed("demo-2.0.tar.gz"), listed("other-3.0-py3-none-any.whl")), "", "demo-1.0-py3-none-any.whl"),
    ((listed("demo-nonsense-py3-none-any.whl"),), "", None),
    ((), "", None),
]


@pytest.mark.parametrize(("files", "specifier", "expected"), TABLE)
def test_likely(files: tuple[File, ...], specifier: str, expected: str | None) -> None:
    """The newest version that is allowed, if it has one wheel, for all platforms, with a sidecar."""
    assert likely(page(*files), specifier) == (None if expected is None else f"aa/{expected}")
