"""The wheel and the sdist: built, installed and run where there is no checkout and no index."""

from __future__ import annotations

import hashlib
import os
import shutil
import site
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.environment import REPOSITORY, clean
from tests.installers import uv_path

BUILD = [sys.executable, "-m", "hatchling", "build"]


def run(command: list[str], cwd: Path, **env: str) -> str:
    """Its standard output; it must succeed."""
    done = subprocess.run(
        command, cwd=cwd, env=clean(cwd / "home", env), capture_output=True, text=True, timeout=100, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    run([*BUILD, "-d", str(folder), "-t", "wheel", "-t", "sdist"], REPOSITORY, HOME=str(folder))
    return next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, in a virtual environment of its own: the wheel, and what it requires from this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    uv = uv_path()
    if uv is None:
        pytest.skip("uv isn't installed")
    python = str(folder / "bin" / "python")
    run([str(uv), "pip", "install", "--offline", "--no-deps", "--python", python, str(built[0])], folder)
    # After its own: what is installed there comes first, and checkouts that are linked there don't come at all.
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder / "bin" / "pypicache"


def contents(wheel: Path) -> dict[str, str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: hashlib.sha256(archive.read(name)).hexdigest() for name in archive.namelist()}


def test_the_wheel_has_everything_and_nothing_else(built: tuple[Path, Path]) -> None:
    found = set(contents(built[0]))
    package = REPOSITORY / "pypicache"
    sources = {
        str(path.relative_to(REPOSITORY))
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in found if ".dist-info/" not in name} == sources | {
        "pypicache/config/pypicache.yaml"
    }
    assert "pypicache/py.typed" in found
    assert "pypicache/generate/templates/nginx-pypicache.conf.j2" in found


def test_the_sdist_makes_the_same_wheel(built: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(built[1]) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = next(tmp_path.iterdir())
    run([*BUILD, "-d", str(tmp_path / "dist"), "-t", "wheel"], unpacked)
    assert contents(next((tmp_path / "dist").glob("*.whl"))) == contents(built[0])
    assert (unpacked / "tests" / Path(__file__).name).exists()


def test_what_was_installed_works_in_an_empty_directory(installed: Path, tmp_path: Path) -> None:
    program = str(installed)
    version = run([program, "version"], tmp_path).splitlines()[0].split()
    assert version[0] == "pypicache"
    assert version[1] in str(next(installed.parents[1].glob("lib/python*/site-packages/pypicache_server-*")))
    assert "wrote pypicache.yaml" in run([program, "init"], tmp_path)
    assert "pypicache.yaml: ok" in run([program, "check"], tmp_path)
    run([program, "gen-config"], tmp_path)
    unit = (tmp_path / "gen-config" / "pypicache.service").read_text()
    assert f"ExecStart={installed} serve -c {tmp_path}/pypicache.yaml\n" in unit
    where = [str(installed.parent / "python"), "-c", "import pypicache; print(pypicache.__file__)"]
    assert run(where, tmp_path).startswith(str(installed.parents[1]))


def test_a_shell_completes_commands_and_options(installed: Path, tmp_path: Path) -> None:
    """In bash, as after Tab: words so far, and where the cursor is."""
    asked = """
        eval "$(pypicache completion bash)"
        after_tab() { COMPREPLY=(); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pypicache_completion pypicache; echo "${COMPREPLY[*]}"; }
        after_tab pypicache gen
        after_tab pypicache init --f
        after_tab pypicache completion f
    """
    path = f"{installed.parent}:{os.environ['PATH']}"
    assert run(["bash", "-c", asked], tmp_path, PATH=path).splitlines() == ["gen-config", "--force", "fish"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_their_script(installed: Path, tmp_path: Path, shell: str) -> None:
    script = run([str(installed), "completion", shell], tmp_path)
    assert "_PYPICACHE_COMPLETE" in script
    if (program := shutil.which(shell)) is not None:
        (tmp_path / "script").write_text(script)
        run([program, "-n", str(tmp_path / "script")], tmp_path)
