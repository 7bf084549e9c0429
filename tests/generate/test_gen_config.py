from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from pypicache.config.schema import Listen
from pypicache.errors import PypicacheError
from pypicache.generate.deployment import home_above, program
from pypicache.generate.files import Generated, generate
from pypicache.generate.folder import RECORD, write_all
from pypicache.generate.steps import remarks, steps
from tests.generate.deployments import deployment
from tests.program import run


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """A folder with a configuration, which is also the user's home."""
    (tmp_path / "pypicache.yaml").write_text(
        "server: {listen: '*:8080', public_url: 'https://pypi.example.org'}\n"
    )
    return tmp_path


def test_every_file_is_written_and_has_its_next_step(configured: Path) -> None:
    done = run(configured, "gen-config")
    assert (done.returncode, done.stderr) == (0, "")
    folder = configured / "gen-config"
    assert names(folder) == {
        "pypicache.service", "pypicache.socket", "nginx-pypicache.conf", "Caddyfile", "supervisor-pypicache.conf",
        "supervisord.conf", "pypicache.plist", "windows.txt", "docker/Dockerfile", "docker/compose.yaml",
        "docker/.dockerignore", "docker/config/pypicache.yaml", RECORD,
    }  # fmt: skip
    assert all(name in done.stdout for name in names(folder) - {RECORD})
    told = done.stdout.splitlines()
    assert "  cp gen-config/pypicache.service gen-config/pypicache.socket /etc/systemd/system/" in told
    assert "  cp gen-config/nginx-pypicache.conf /etc/nginx/conf.d/pypicache.conf" in told
    # The configuration is in a home, so it's the owner's service, and its cache is where the owner's commands look.
    assert f"ReadWritePaths=-{configured}/.cache/pypicache\n" in (folder / "pypicache.service").read_text()
    assert stat.S_IMODE((configured / ".cache/pypicache").stat().st_mode) == 0o700
    assert f"-c {configured}/pypicache.yaml" in (folder / "pypicache.service").read_text()
    assert "ProtectHome=read-only" in (folder / "pypicache.service").read_text()
    assert stat.S_IMODE((folder / "docker/config/pypicache.yaml").stat().st_mode) == 0o600


def test_what_was_edited_is_left_alone_and_the_rest_follows_the_configuration(configured: Path) -> None:
    """--force writes over it; what nobody edited needs no --force."""
    folder = configured / "gen-config"
    run(configured, "gen-config")
    assert "unchanged  systemd: the service" in run(configured, "gen-config").stdout
    edited = folder / "Caddyfile"
    edited.write_text("mine")
    (configured / "pypicache.yaml").write_text("server: {listen: '127.0.0.1:7070'}\n")
    done = run(configured, "gen-config")
    assert done.returncode == 1
    assert done.stderr == "left as they are, since they were edited: Caddyfile; --force writes over them\n"
    assert edited.read_text() == "mine"
    assert "127.0.0.1:7070" in (folder / "nginx-pypicache.conf").read_text()
    done = run(configured, "gen-config", "--force")
    assert (done.returncode, done.stderr) == (0, "")
    assert "replaced" in done.stdout
    assert "127.0.0.1:7070" in edited.read_text()


@pytest.mark.parametrize("record", ["", "[]", "{broken"])
def test_without_a_good_record_everything_may_have_been_edited(tmp_path: Path, record: str) -> None:
    made = [each for each in generate(deployment()) if isinstance(each, Generated)]
    write_all(tmp_path, made, force=False)
    (tmp_path / RECORD).write_text(record)
    (tmp_path / "Caddyfile").write_text("whose?")
    states = {each.file.name: each.state for each in write_all(tmp_path, made, force=False)}
    assert [name for name, state in states.items() if state != "unchanged"] == ["Caddyfile"]
    assert (tmp_path / "Caddyfile").read_text() == "whose?"
    assert set(json.loads((tmp_path / RECORD).read_text())) == names(tmp_path) - {RECORD, "Caddyfile"}


def test_another_folder_is_named_in_the_commands(configured: Path) -> None:
    done = run(configured, "gen-config", "--dir", "a folder/of mine")
    assert "  supervisord -c 'a folder/of mine/supervisord.conf'" in done.stdout.splitlines()


def test_an_image_of_no_release_needs_its_wheel() -> None:
    """A comment, so that all of it can still be pasted into a shell."""
    folder = Path("/x/gen config")
    released, developed = (
        dict(steps(deployment(), folder, set(), version=version))["or docker"]
        for version in ("1.0", "1.1.dev0")
    )
    assert released == ["docker compose -f '/x/gen config/docker/compose.yaml' up -d --build"]
    assert developed[1:] == released
    assert developed[0].startswith("# 1.1.dev0 is no release")
    assert "uv build --wheel --out-dir '/x/gen config/docker'" in developed[0]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("server: {listen: '127.0.0.1:0'}", "server.listen: 127.0.0.1:0 has another port at each start: nothing can be pointed at it"),
        ("server: {public_url: 'https://a.example/%20x/'}", "server.public_url: its path is more than a proxy passes on: letters, digits and . _ ~ + -"),
    ],
)  # fmt: skip
def test_what_no_file_could_say_is_told(tmp_path: Path, config: str, message: str) -> None:
    (tmp_path / "pypicache.yaml").write_text(config)
    done = run(tmp_path, "gen-config")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{message}\n")
    assert not (tmp_path / "gen-config").exists()


def test_a_folder_that_cannot_be_made_is_told(configured: Path) -> None:
    (configured / "gen-config").write_text("")
    done = run(configured, "gen-config")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("gen-config can't be written: ")


@pytest.mark.parametrize(
    ("places", "home"),
    [
        (["/usr/bin/pypicache", "/etc/pypicache/pypicache.yaml"], None),
        (["/home/me/.local/bin/pypicache"], "/home/me"),
        (["/usr/local/bin/pypicache", "/root/.local/share/uv/tools/x"], "/root"),
        (["/Users/me/pypicache.yaml"], "/Users/me"),
        (["/usr/bin/pypicache", "/data/people/me/pypicache.yaml"], "/data/people/me"),
        (["/homes/me/x", "/home/x", "/rooted"], None),
    ],
)
def test_whose_home_it_is(places: list[str], home: str | None) -> None:
    found = home_above([Path(place) for place in places], {"HOME": "/data/people/me"})
    assert found == (Path(home) if home else None)


def test_a_root_directory_is_nobodys_home() -> None:
    """Containers say HOME=/."""
    assert home_above([Path("/usr/bin/pypicache")], {"HOME": "/"}) is None


def test_the_script_that_was_called_is_named_and_a_link_stays_one(tmp_path: Path) -> None:
    """An upgrade replaces what it points at."""
    script, link = tmp_path / "script", tmp_path / "pypicache"
    script.write_text("")
    script.chmod(0o755)
    link.symlink_to(script)
    assert program(str(link)) == (str(link),)
    assert program(f"{tmp_path}/x/../pypicache") == (str(link),)
    script.chmod(0o644)
    assert program(str(link))[1:] == ("-m", "pypicache")
    assert program("/x/pypicache/__main__.py")[1:] == ("-m", "pypicache")


SET = {"movable": False, "cache": Path("/var/cache/pypicache")}
"""A cache.dir that is set."""


@pytest.mark.parametrize(
    ("facts", "chown", "remark"),
    [
        ({}, None, None),
        ({"configuration": Path("/etc/p/c")}, "chown pypicache: /etc/p/c", "cache.dir isn't set"),
        ({"configuration": Path("/etc/p/c"), **SET}, "chown pypicache: /etc/p/c", None),
        (
            {"configuration": Path("/etc/p q/c"), "accounts": True, **SET},
            "chown pypicache: '/etc/p q' '/etc/p q/c'",
            None,
        ),
        (
            {"configuration": Path("/etc/c"), "accounts": True, **SET},
            "chown pypicache: /etc/c",
            "/etc has more in it",
        ),
        (
            {"configuration": Path("/home/me/c"), "home": Path("/home/me"), "home_of": "me"},
            None,
            "runs as me",
        ),
        ({"configuration": Path("/root/c"), "home": Path("/root"), "home_of": "root"}, None, "runs as root"),
        ({"configuration": Path("/tmp/x/c"), **SET}, "chown pypicache: /tmp/x/c", "is under /tmp"),
        ({"listen": (Listen(port=80),)}, None, "Port 80 needs systemd's socket"),
        ({"movable": False, "cache": Path("/srv/c")}, None, None),
        ({"home": Path("/home/me"), "home_of": "me", "accel_group": "w"}, None, "nginx can't read"),
    ],
)
def test_the_next_steps_give_the_service_what_it_needs_and_no_more(
    facts: dict[str, Any], chown: str | None, remark: str | None
) -> None:
    of = deployment(
        **{"cache": Path("/none/c"), **facts}, public_url="http://x.example/", trusts_loopback=True
    )
    commands = dict(steps(of, Path("out"), set()))["systemd"]
    assert [line for line in commands if line.startswith("chown")] == ([chown] if chown else [])
    made = [line for line in commands if line.startswith("install")]
    mode = "0710" if of.accel_group else "0700"
    ours = of.movable or of.cache == SET["cache"]
    assert made == ([] if ours else [f"install -d -o {of.user} -m {mode} {of.cache}"])
    told = [each for each in remarks(of) if not each.endswith("runs as me.") or of.accel_group is None]
    assert len(told) == (remark is not None)
    assert remark is None or remark in told[0]


@pytest.mark.parametrize(
    ("facts", "remark"),
    [
        ({}, "absolute links (legacy JSON) would begin with http://"),
        (
            {"public_url": "https://x.example/"},
            "the access log would have the proxy's address for every client",
        ),
        ({"public_url": "https://x.example/", "trusts_loopback": True}, None),
        ({"public_url": "https://x.example/", "listen": (Listen(unix=Path("/run/p/s")),)}, None),
    ],
)
def test_what_a_proxy_says_is_lost_unless_it_is_trusted(facts: dict[str, Any], remark: str | None) -> None:
    """On a Unix socket nobody has an address, and so nobody can be trusted by it."""
    told = [each for each in remarks(deployment(**facts)) if "trusted_proxies" in each]
    assert len(told) == (remark is not None)
    assert remark is None or remark in told[0]


def test_nobodys_home_is_told(tmp_path: Path) -> None:
    from pypicache.generate.deployment import _person  # noqa: PLC0415 - a part of `here`

    with pytest.raises(PypicacheError, match="belongs to no user"):
        _person(tmp_path / "gone")


def test_the_container_has_the_configuration_that_fits_it(tmp_path: Path) -> None:
    """The same, comments too, but for what holds on this machine only; the daemon's check has nothing against it."""
    given = """\
# mine
server:
  listen: unix:/run/p   # here
  accel: nginx
  accel_group: www-data
  public_url: https://pypi.example.org/
cache: {dir: ~/c, max_size: 1GiB}
log: {file: /var/log/p, level: debug}
indexes:
  root/pypi:
    mirrors: [tuna]  # near
"""
    found = {each.name: each for each in generate(deployment(configuration=tmp_path / "x", text=given))}
    made = getattr(found["docker/config/pypicache.yaml"], "text", "")
    assert yaml.safe_load(made) == {
        "server": {
            "listen": "0.0.0.0:3141", "accel": None, "accel_group": None, "public_url": "https://pypi.example.org/",
        },
        "cache": {"dir": "/var/cache/pypicache", "max_size": "1GiB"},
        "log": {"file": None, "level": "debug"},
        "indexes": {"root/pypi": {"mirrors": ["tuna"]}},
    }  # fmt: skip
    assert "# mine" in made
    assert "# near" in made
    (tmp_path / "pypicache.yaml").write_text(made)
    assert run(tmp_path, "check").returncode == 0


@pytest.mark.parametrize("given", ["", "# nothing\n", "server:\n", "mirrors: [tuna]\n"])
def test_a_container_of_any_configuration_listens(given: str) -> None:
    found = {each.name: each for each in generate(deployment(text=given))}
    made = yaml.safe_load(getattr(found["docker/config/pypicache.yaml"], "text", ""))
    assert made["server"] == {"listen": "0.0.0.0:3141"}
    assert made.get("mirrors") == (["tuna"] if "tuna" in given else None)
