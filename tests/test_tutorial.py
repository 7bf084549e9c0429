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
from pypicache.generate.first import first_configuration
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
    mirrors = [address(name) for name in (PYPI, "tuna", "aliyun")]
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
    assert any('"type": "indexconfig"' in each for each in printed)
    stored = re.findall(r"stored (\w+)-1.0-py3-none-any.whl, \d+ bytes from (\S+)", log.read_text())
    # Each from the mirror that was the first at the time; uv had from the cache what pip had asked for.
    assert stored == [("requests", PYPI), ("idna", "tuna"), ("six", urlsplit(mirrors[2]).hostname)]
    # Whatever was changed, and by whom: it is still the file that `init` wrote, comments and all.
    left = (tmp_path / "empty" / "pypicache" / "pypicache.yaml").read_text().splitlines()
    assert {line for line in first_configuration().splitlines() if line.lstrip().startswith("#")} <= set(left)
    *_, checked = printed[-1].rpartition("pypicache.yaml: ok\n")
    assert [line.split()[-1] for line in checked.splitlines() if "https://" in line] == [
        mirrors[2],
        mirrors[0],
    ]
