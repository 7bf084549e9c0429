"""README's tutorial, run word for word, by its readers' own programs, in a world where its names lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pypicache.config.wellknown import PYPI, address
from tests.environment import REPOSITORY, clean
from tests.tutorial import UNSHARE

README = (REPOSITORY / "README.md").read_text()


def tutorial(text: str) -> list[str]:
    """The code blocks of the tutorial, in order, but for the one that needs the network."""
    section = text.split("<!-- tutorial -->", 1)[1].split("<!-- end of tutorial -->", 1)[0]
    section = re.sub(r"<!-- live -->\n```sh\n.*?```\n", "", section, flags=re.DOTALL)
    return re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def own_world() -> None:
    """Whether this process may make itself a network and mounts; where it may not, nothing can be proved."""
    if os.geteuid() == 0 and shutil.which("unshare"):
        done = subprocess.run(
            [*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
        )
        if done.returncode == 0:
            return
    pytest.xfail("namespaces can't be made here: it needs root and CAP_SYS_ADMIN")


def test_the_tutorial_works_as_it_is_written(tmp_path: Path) -> None:
    own_world()
    mirrors = [address(PYPI)]
    (tmp_path / "given.json").write_text(json.dumps({"blocks": tutorial(README), "mirrors": mirrors}))
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-m", "tests.tutorial", str(tmp_path)],
        cwd=REPOSITORY,
        env={**clean(tmp_path / "home"), "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    out = tmp_path / "out"
    told = (out.read_text() if out.exists() else "") + done.stderr
    log = tmp_path / "log"
    assert done.returncode == 0, told + (log.read_text() if log.exists() else "")
    printed = json.loads((tmp_path / "printed.json").read_text())
    assert len(printed) == len(tutorial(README))
    (downloaded,) = [each for each in printed if "Collecting requests" in each]
    assert "Looking in indexes: http://pypi.example.com/simple/" in downloaded
    assert "\nrequests==1.0\n" in downloaded
    # Once for its metadata (this mirror has no ranges), once for the file: uv had both from the cache.
    asked = json.loads((tmp_path / "asked.json").read_text())[urlsplit(address(PYPI)).hostname]
    assert len([path for path in asked if path.endswith(".whl")]) == 2
