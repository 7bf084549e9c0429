"""Made wheels are real ones, real installers install them, and the clock stands still."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from tests import wheels
from tests.clock import ManualClock
from tests.environment import clean
from tests.installers import pip_download, pip_dry_run, pip_install, uv_compile, uv_install
from tests.origin import Origin

DEMO = wheels.wheel("demo", "1.0", size=300_000, requires=["helper>=1"], requires_python=">=3.8")
HELPER = wheels.wheel("helper", "2.0")


@pytest.fixture
def url(origin: Origin) -> str:
    """Where the origin serves DEMO."""
    origin.add(HELPER)
    return origin.url + origin.add(DEMO).path


def test_the_same_arguments_give_the_same_wheel() -> None:
    again = wheels.wheel("demo", "1.0", size=300_000, requires=["helper>=1"], requires_python=">=3.8")
    assert again == DEMO
    assert wheels.wheel("demo", "1.1", size=300_000).sha256 != DEMO.sha256


def test_a_wheel_holds_what_its_record_says() -> None:
    with zipfile.ZipFile(io.BytesIO(DEMO.data)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        record = archive.read("demo-1.0.dist-info/RECORD").decode().splitlines()
        assert archive.read("demo-1.0.dist-info/METADATA") == DEMO.metadata
    assert [line.split(",")[0] for line in record] == names
    assert hashlib.sha256(DEMO.data).hexdigest() == DEMO.sha256
    assert hashlib.sha256(DEMO.metadata).hexdigest() == DEMO.metadata_sha256
    assert 300_000 <= len(DEMO.data) < 302_000


@pytest.mark.parametrize(
    ("name", "options", "filename"),
    [
        ("Some.Thing-else", {}, "some_thing_else-1.0-py3-none-any.whl"),
        ("demo", {"build": "2"}, "demo-1.0-2-py3-none-any.whl"),
        ("demo", {"tag": "cp311-cp311-linux_x86_64"}, "demo-1.0-cp311-cp311-linux_x86_64.whl"),
    ],
)
def test_a_wheel_is_named_by_the_standard(name: str, options: dict[str, str], filename: str) -> None:
    made = wheels.wheel(name, "1.0", build=options.get("build"), tag=options.get("tag", "py3-none-any"))
    assert made.filename == filename


def test_padding_differs_from_itself_at_every_power_of_two() -> None:
    """A splice that is wrong by whole blocks is seen."""
    data = wheels.padding(8 << 20)
    assert len(data) == 8 << 20
    for power in range(23):
        shift = 1 << power
        assert data[shift : shift + 4096] != data[:4096], power


@pytest.mark.parametrize("form", ["json", "html"])
def test_a_big_page_lists_as_many_files_as_asked(form: str) -> None:
    page = wheels.big_page("Huge.Thing", 2000, form=form)
    assert page.count(b"huge_thing-") == 4000
    if form == "json":
        assert len(json.loads(page)["files"]) == 2000


def test_time_stands_still_until_it_is_moved(clock: ManualClock) -> None:
    wall, monotonic = clock(), clock.monotonic()
    assert (clock(), clock.monotonic()) == (wall, monotonic)
    clock.advance(90)
    assert (clock(), clock.monotonic()) == (wall + 90, monotonic + 90)
    clock.jump(-3600)
    assert (clock(), clock.monotonic()) == (wall - 3510, monotonic + 90)
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_pip_installs_a_made_wheel_and_what_it_requires(origin: Origin, url: str, tmp_path: Path) -> None:
    pip_install(tmp_path / "target", "demo", index_url=origin.simple).check()
    assert (tmp_path / "target/demo/padding.bin").stat().st_size == 300_000
    assert (tmp_path / "target/helper/__init__.py").exists()
    assert origin.count(".metadata") == 2


def test_uv_installs_a_made_wheel_and_what_it_requires(origin: Origin, url: str, tmp_path: Path) -> None:
    uv_install(tmp_path / "target", "demo", index_url=origin.simple).check()
    assert (tmp_path / "target/demo/padding.bin").stat().st_size == 300_000
    assert (tmp_path / "target/helper/__init__.py").exists()


def test_both_build_a_made_sdist(origin: Origin, tmp_path: Path) -> None:
    origin.add(wheels.sdist("built", "3.0"))
    pip_install(tmp_path / "pip", "built", index_url=origin.simple).check()
    uv_install(tmp_path / "uv", "built", index_url=origin.simple).check()
    for tool in ("pip", "uv"):
        assert "3.0" in (tmp_path / tool / "built/__init__.py").read_text()


def test_a_dry_run_resolves_and_installs_nothing(origin: Origin, url: str, tmp_path: Path) -> None:
    run = pip_dry_run(tmp_path, "demo", index_url=origin.simple).check()
    assert "Would install demo-1.0 helper-2.0" in run.out
    assert len(origin.gets(f"{DEMO.filename}.metadata")) == 1


def test_uv_compiles_from_pages_and_sidecars_alone(origin: Origin, url: str, tmp_path: Path) -> None:
    compiled = uv_compile(tmp_path, "demo", index_url=origin.simple, extra_args=["--generate-hashes"]).check()
    assert f"--hash=sha256:{DEMO.sha256}" in compiled.out
    assert "helper==2.0" in compiled.out
    assert origin.count(".metadata") == origin.count(".whl") == 2


def test_a_download_keeps_the_bytes_and_a_cache_saves_the_next_one(
    origin: Origin, url: str, tmp_path: Path
) -> None:
    for place in ("one", "two"):
        run = pip_download(
            tmp_path / place, "helper", index_url=origin.simple, cache=tmp_path / "cache"
        ).check()
        assert (tmp_path / place / HELPER.filename).read_bytes() == HELPER.data, run.out
    origin.forget()
    uv_install(tmp_path / "three", "helper", index_url=origin.simple, cache=tmp_path / "uv").check()
    uv_install(tmp_path / "four", "helper", index_url=origin.simple, cache=tmp_path / "uv").check()
    assert len(origin.gets(HELPER.filename)) == 1


def test_an_installer_that_fails_says_so(origin: Origin, tmp_path: Path) -> None:
    for install in (pip_install, uv_install):
        result = install(tmp_path / "target", "nothing", index_url=origin.simple)
        assert result.code != 0
        assert "nothing" in result.out
        with pytest.raises(AssertionError):
            result.check()


def test_the_machines_own_settings_reach_no_subprocess(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "HTTP_PROXY", "PYPICACHE_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    environment = clean(tmp_path / "home", {"EXTRA": "1"})
    assert "http://127.0.0.1:9" not in environment.values()
    assert environment["HOME"] == str(tmp_path / "home")
    assert environment["EXTRA"] == "1"
