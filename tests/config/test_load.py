from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from pypicache.config.load import find, load
from pypicache.config.pending import PENDING
from pypicache.config.schema import Config, Layer, Listen, User
from pypicache.config.secret import Secret
from pypicache.config.shipped import example_path
from pypicache.errors import ConfigError

LoadText = Callable[..., Config]
ProblemsOf = Callable[..., list[str]]

HASH = "$scrypt$ln=1,r=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"

BAD: list[tuple[str, list[str]]] = [
    # The file as a whole.
    ("[a, b]", ["1:1: a mapping is due, not a list"]),
    ("hello", ["1:1: a mapping is due, not text"]),
    ("sevrer: {}", ['1:1: sevrer: unknown key; did you mean "server"?']),
    ("zzz: {}", ["1:1: zzz: unknown key"]),
    ("log: {}\nlog: {}", ["2:1: log: given twice, first on line 1"]),
    ("? [a]\n: b", ["1:3: a name is due, not a list"]),
    # Several problems come at once, in the file's order.
    (
        "server:\n  wokers: 2\n  workers: 0\nlog: 5\n",
        [
            '2:3: server.wokers: unknown key; did you mean "workers"?',
            "3:12: server.workers: a whole number from 1 to 1024 is due, or auto",
            "4:6: log: a mapping is due, not a number",
        ],
    ),
    # server
    (
        "server: {listen: 3141}",
        ["1:18: server.listen: an address is due: host:port, [IPv6]:port in quotes, or unix:/path"],
    ),
    ("server: {listen: []}", ["1:18: server.listen: at least one address is due"]),
    ("server: {listen: 'h:65536'}", ["1:18: server.listen: a port is at most 65535"]),
    ("server: {listen: 127.0.0.300:80}", ["1:18: server.listen: that isn't an IPv4 address"]),
    (
        "server: {listen: '::1:80'}",
        ['1:18: server.listen: an IPv6 address stands in brackets and quotes: "[::1]:3141"'],
    ),
    ("server: {listen: '[nope]:80'}", ["1:18: server.listen: what stands in brackets is no IPv6 address"]),
    ("server: {listen: ['h:1', 'h:1']}", ["1:26: server.listen[1]: given twice"]),
    (
        f"server: {{listen: unix:/{'x' * 107}}}",
        ["1:18: server.listen: the path of a socket has at most 107 bytes"],
    ),
    ("server: {workers: 010}", ["1:19: server.workers: a whole number is due, or auto"]),
    ("server: {workers: two}", ["1:19: server.workers: a whole number is due, not text, or auto"]),
    (
        "server: {trusted_proxies: [10.0.0.1/8, x]}",
        [
            "1:28: server.trusted_proxies[0]: the address has bits set beyond the prefix; did you mean 10.0.0.0/8?",
            "1:40: server.trusted_proxies[1]: a network in CIDR notation is due, such as 10.0.0.0/8 or fd00::/8",
        ],
    ),
    ("server: {shutdown_timeout: -1s}", ["1:28: server.shutdown_timeout: a duration can't be negative"]),
    (
        "server: {keepalive_timeout: }",
        ["1:28: server.keepalive_timeout: a duration is due, such as 30s, 10m, 2h or 7d"],
    ),
    (
        "server: {keepalive_timeout: 0}",
        ["1:29: server.keepalive_timeout: at least a second is due, since a request's head gets no longer"],
    ),
    (
        "server: {public_url: pypi.example}",
        ["1:22: server.public_url: an absolute URL is due (http or https)"],
    ),
    ("server: {accel: ngnix}", ['1:17: server.accel: nginx is due; did you mean "nginx"?']),
    # cache and log
    ("cache: {dir: 12}", ["1:14: cache.dir: text is due, not a number: quote it"]),
    ("cache: {dir: '${NOPE}/x'}", ["1:14: cache.dir: the environment has no variable NOPE"]),
    (
        "cache: {max_size: 50G}",
        [
            "1:19: cache.max_size: a size is due, such as 512MiB or 20GiB: write 50GiB, or 50GB for powers of ten"
        ],
    ),
    ("cache: {max_size: 0}", ["1:19: cache.max_size: a size above zero is due"]),
    ("cache: {scrub: 0}", ["1:16: cache.scrub: a duration above zero is due"]),
    (
        "cache: {pin: ['a b']}",
        ["1:15: cache.pin[0]: a project name is due, with * for any text, such as acme-*"],
    ),
    (
        "log: {level: warn}",
        ['1:14: log.level: debug or info or warning or error is due; did you mean "warning"?'],
    ),
    ("log: {access: 1}", ["1:15: log.access: true or false is due, not a number"]),
    ("log: {file: yes}", ["1:13: log.file: text is due, not true or false: quote it"]),
    ("log: {file: 2001-01-01}", ["1:13: log.file: text is due, not a date: quote it"]),
    # admin and auth
    (
        "admin: {users: {no: {password: x}}}",
        ["1:17: admin.users: a name is due, not true or false: quote it"],
    ),
    (
        "admin: {users: {bob: {password: x, password_hash: '" + HASH + "'}}}",
        ["1:22: admin.users.bob: exactly one of password, password_hash and password_file is due"],
    ),
    (
        "admin: {users: {bob: {password_hash: hunter2}}}",
        ["1:38: admin.users.bob.password_hash: a hash as `pypicache passwd` makes it is due"],
    ),
    (
        "auth: {users: {bob: {password: ''}}}",
        ["1:32: auth.users.bob.password: text is due, not the empty string"],
    ),
    (
        "auth: {users: {bob: {}}}",
        ["1:21: auth.users.bob: exactly one of password, password_hash and password_file is due"],
    ),
    ("auth: {tokens: [0123]}", ["1:17: auth.tokens[0]: text is due, not a number: quote it"]),
    (
        "auth: {anonymous: none}",
        ["1:7: auth: nobody could read: anonymous is none, and there are no users and no tokens"],
    ),
    # indexes
    ("indexes: {}", ["1:10: indexes: at least one index is due"]),
    ("indexes: {a: }", ["1:13: indexes.a: an index needs mirrors"]),
    ("indexes: {a: {ttl: 5}}", ["1:11: indexes.a: an index needs mirrors"]),
    ("indexes: {a: [pypi]}", ["1:14: indexes.a: a mapping is due, not a list"]),
    ("indexes: {1: {mirrors: [pypi]}}", ["1:11: indexes: a name is due, not a number: quote it"]),
    (
        "mirrors: [pypi]\nindexes: {a: {mirrors: [pypi]}}",
        ["1:10: mirrors: is short for the mirrors of root/pypi: give them in indexes, or leave that out"],
    ),
    (
        "indexes: {simple: {mirrors: [pypi]}}",
        ['1:11: indexes.simple: the name of an index can\'t begin with "simple": other URLs do'],
    ),
    (
        "indexes: {+x: {mirrors: [pypi]}}",
        ['1:11: indexes.+x: the name of an index can\'t begin with "+"'],
    ),
    (
        "indexes: {dev: {mirrors: [pypi]}, root/dev: {mirrors: [pypi]}}",
        [
            "1:11: indexes.dev: clashes with root/dev, which is how devpi's clients see an index of one segment",
        ],
    ),
    (
        "indexes: {dev: {mirrors: [pypi]}, dev/simple: {mirrors: [pypi]}}",
        ["1:35: indexes.dev/simple: hides /dev/simple/ of the index dev"],
    ),
    (
        "default_index: corpp\nindexes: {corp: {mirrors: [pypi]}}",
        ['1:16: default_index: there is no such index; did you mean "corp"?'],
    ),
    (
        "indexes: {a: {mirrors: [pypi], layers: [b]}, b: {mirrors: [pypi]}}",
        ["1:40: indexes.a.layers: stands beside mirrors: an index has one or the other"],
    ),
    (
        "indexes: {a: {layers: [corpp, {index: corp, owns: []}, corp, {}, corp]}, corp: {mirrors: [pypi]}}",
        [
            '1:24: indexes.a.layers[0]: there is no such index; did you mean "corp"?',
            "1:51: indexes.a.layers[1].owns: an empty list owns nothing: leave it out, and the layer is asked first for all",
            "1:56: indexes.a.layers[2]: the index corp stands here twice",
            "1:62: indexes.a.layers[3]: a layer needs the name of an index, as index",
            "1:66: indexes.a.layers[4]: the index corp stands here twice",
        ],
    ),
    (
        "indexes:\n  a: {layers: [b]}\n  b: {layers: [c]}\n  c: {layers: [a]}\n  d: {layers: [d, a]}\n",
        [
            "4:16: indexes.c.layers[0]: layers go round in a circle: a → b → c → a",
            "5:16: indexes.d.layers[0]: layers go round in a circle: d → d",
        ],
    ),
    (
        "indexes: {a: {mirrors: [pypi], web_url: 'https://x.example/', quota: 120%, auth: all}}",
        [
            "1:41: indexes.a.web_url: a link with {name} in it is due",
            "1:70: indexes.a.quota: a share is due, such as 20%, above 0% and at most 100%",
            "1:82: indexes.a.auth: none is due",
        ],
    ),
]


@pytest.mark.parametrize(("text", "expected"), BAD, ids=[expected[0] for _, expected in BAD])
def test_a_bad_file_is_told_line_column_path_and_message(
    problems_of: ProblemsOf, text: str, expected: list[str]
) -> None:
    assert problems_of(text) == expected


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "---\n", "~", "{}", "server:\ncache:\nindexes:\nmirrors:\n", "\ufeff"]
)
def test_an_empty_file_is_the_defaults(load_text: LoadText, text: str) -> None:
    assert replace(load_text(text), path=None) == load(None, {"HOME": "/home/me"})


def test_the_defaults_are_the_schemas() -> None:
    config = load(None, {"HOME": "/home/me"})
    cache = replace(config.cache, dir=Config().cache.dir)
    assert replace(config, cache=cache) == Config()
    assert config.cache.dir == Path("/home/me/.cache/pypicache")


@pytest.mark.parametrize("text", ["", "cache: {dir: ~/.cache/pypicache}", "cache: {min_free: 0}"])
def test_the_default_cache_directory_is_the_one_that_systemd_made(load_text: LoadText, text: str) -> None:
    env = {"HOME": "/", "CACHE_DIRECTORY": "/var/cache/pypicache:/var/cache/other"}
    assert load_text(text, env).cache.dir == Path("/var/cache/pypicache")


def test_a_cache_directory_of_ones_own_wins_over_systemds(load_text: LoadText) -> None:
    assert load_text("cache: {dir: /data}", {"CACHE_DIRECTORY": "/var/cache/x"}).cache.dir == Path("/data")


def test_a_relative_path_is_taken_from_the_files_folder(load_text: LoadText, tmp_path: Path) -> None:
    config = load_text("cache: {dir: ../cache}\nserver: {listen: unix:run/s}")
    assert config.cache.dir == tmp_path.parent / "cache"
    assert config.server.listen == (Listen(unix=tmp_path / "run" / "s"),)


def test_everything_that_can_be_said_of_the_daemon(load_text: LoadText, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\r\n")
    config = load_text(
        textwrap.dedent("""\
        server:
          listen: ["[::1]:3141", "*:80", localhost:0, "unix:${RUN}/s"]
          workers: auto
          public_url: https://Pypi.corp.example/x
          trusted_proxies: [10.0.0.0/8, "fd00::/8", 192.0.2.1]
          shutdown_timeout: 1.5m
          keepalive_timeout: 20
          accel: nginx
          accel_group: www-data
        cache: {dir: "~/c", max_size: 1.5GiB, min_free: 1GB, max_age: 90d, scrub: null, pin: [Acme_*]}
        log: {level: debug, format: json, access: off, file: /var/log/x}
        admin: {users: {root: {password_hash: HASH}}}
        auth: {users: {bob: {password: "${PW}"}}, tokens: [t], token_files: [token], anonymous: none}
        """).replace("HASH", f"'{HASH}'"),
        {"HOME": "/home/me", "RUN": "/run", "PW": "p w"},
    )
    assert [str(listen) for listen in config.server.listen] == [
        "[::1]:3141",
        "*:80",
        "localhost:0",
        "unix:/run/s",
    ]
    assert config.server.workers == 0
    assert config.server.public_url == "https://Pypi.corp.example/x/"
    assert config.server.trusted_proxies == tuple(map(ip_network, ("10.0.0.0/8", "fd00::/8", "192.0.2.1")))
    assert (config.server.shutdown_timeout, config.server.keepalive_timeout) == (90, 20)
    assert (config.cache.dir, config.cache.max_size) == (Path("/home/me/c"), 3 << 29)
    assert (config.cache.min_free, config.cache.max_age, config.cache.scrub) == (10**9, 90 * 86400, None)
    assert config.cache.pin == ("acme-*",)
    assert (config.log.level, config.log.format, config.log.access) == ("debug", "json", False)
    assert config.admin.users == {"root": User(password_hash=Secret(HASH))}
    assert config.auth.users == {"bob": User(password=Secret("p w"))}
    assert config.auth.tokens == (Secret("t"), Secret("from-a-file"))


def test_layers_come_in_order_with_what_they_own(load_text: LoadText) -> None:
    config = load_text(
        "indexes: {dev: {layers: [{index: corp, owns: ['acme-*']}, up]}, corp: {mirrors: [pypi]}, up: {mirrors: [tuna]}}"
    )
    assert config.indexes["dev"].layers == (Layer(index="corp", owns=("acme-*",)), Layer(index="up"))
    assert list(config.indexes) == ["dev", "corp", "up"]


def test_the_default_index_is_the_first_unless_named(load_text: LoadText) -> None:
    text = "indexes: {a: {mirrors: [pypi]}, b: {mirrors: [pypi]}}"
    assert load_text(text).default_index == "a"
    assert load_text(f"default_index: b\n{text}").default_index == "b"


def test_mirrors_at_the_top_are_those_of_root_pypi(load_text: LoadText) -> None:
    short = load_text("mirrors: [aliyun, tuna, pypi]")
    long = load_text("indexes: {root/pypi: {mirrors: [aliyun, tuna, pypi]}}")
    assert short == long
    assert [mirror.name for mirror in short.indexes["root/pypi"].mirrors] == ["aliyun", "tuna", "pypi"]


def test_an_anchor_is_shared_and_a_merge_key_is_overridden(load_text: LoadText) -> None:
    config = load_text(
        "indexes:\n  a: &base {mirrors: [pypi], ttl: 5s, patience: 2s}\n  b: {<<: *base, ttl: 7s}\n"
    )
    b = config.indexes["b"]
    assert (b.name, b.ttl, b.patience, b.mirrors) == ("b", 7, 2, config.indexes["a"].mirrors)


def test_settings_that_layers_have_no_use_for_are_told(load_text: LoadText) -> None:
    """An operator who thinks that `offline` holds is told that it doesn't; `patience` does."""
    told = load_text(
        "indexes: {dev: {layers: [up], offline: true, ttl: 5s, patience: 2s, negative_ttl: 60s}, up: {mirrors: [tuna]}}"
    ).warnings
    assert [line.partition("indexes.")[2] for line in told] == [
        "dev.offline: has no effect on an index with layers: theirs hold",
        "dev.ttl: has no effect on an index with layers: theirs hold",
    ]


SETTINGS = {
    "server.workers": "server: {workers: 2}",
    "server.public_url": "server: {public_url: 'https://a.example/'}",
    "server.trusted_proxies": "server: {trusted_proxies: [10.0.0.0/8]}",
    "server.max_connections": "server: {max_connections: 5}",
    "server.accel": "server: {accel: nginx}",
    "server.accel_group": "server: {accel_group: www}",
    "cache.max_size": "cache: {max_size: 1GiB}",
    "cache.min_free": "cache: {min_free: 0}",
    "cache.max_age": "cache: {max_age: 1d}",
    "cache.scrub": "cache: {scrub: null}",
    "cache.pin": "cache: {pin: [a]}",
    "log.file": "log: {file: /x}",
    "admin.users": "admin: {users: {a: {password: ${P}}}}",
    "auth.users": "auth: {users: {a: {password: ${P}}}}",
    "auth.tokens": "auth: {tokens: ['${P}']}",
    "auth.token_files": "auth: {token_files: [token]}",
    "auth.anonymous": "auth: {anonymous: none, tokens: ['${P}']}",
    "indexes.*.auth": "indexes: {a: {mirrors: [tuna], auth: none}}",
    "indexes.*.layers": "indexes: {a: {mirrors: [tuna]}, b: {layers: [a]}}",
    "indexes.*.quota": "indexes: {a: {mirrors: [tuna], quota: 20%}}",
    "indexes.*.web_url": "indexes: {a: {mirrors: [tuna], web_url: 'https://a.example/?q={name}'}}",
    "indexes.*.synthesize_metadata": "indexes: {a: {mirrors: [tuna], synthesize_metadata: false}}",
    "indexes.*.prefetch_dependencies": "indexes: {a: {mirrors: [tuna], prefetch_dependencies: false}}",
    "indexes.*.prefetch_wheels": "indexes: {a: {mirrors: [tuna], prefetch_wheels: false}}",
    "indexes.*.mirrors.*.proxy": "mirrors: [{url: tuna, proxy: 'socks5h://p.example:1080'}]",
    "indexes.*.mirrors.*.netrc": "mirrors: [{url: tuna, netrc: true}]",
    "indexes.*.mirrors.*.connections": "mirrors: [{url: tuna, connections: 1}]",
    "indexes.*.mirrors.*.serves": "mirrors: [tuna, {url: aliyun, serves: files}]",
}


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_without_effect_is_told(load_text: LoadText, tmp_path: Path, setting: str) -> None:
    """A setting that's pending warns at its place, one that isn't says nothing."""
    (tmp_path / "token").write_text("t")
    told = load_text(SETTINGS[setting].replace("${P}}", "'${P}'}"), {"HOME": "/", "P": "x"}).warnings
    key = setting.rpartition(".")[2]
    matching = [warning for warning in told if f".{key}: has no effect in this version" in warning]
    assert len(matching) == (setting in PENDING)
    assert all(warning.startswith(f"{tmp_path / 'c.yaml'}:1:") for warning in told)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "{accel: nginx}",
            "accel: without accel_group, nginx can read stored files only if it runs as this user",
        ),
        ("{accel_group: www}", "accel_group: has no effect without accel: nginx"),
        ("{accel: nginx, accel_group: www}", None),
    ],
)
def test_half_of_accel_is_told(load_text: LoadText, text: str, expected: str | None) -> None:
    told = load_text(f"server: {text}").warnings
    assert len(told) == (expected is not None)
    assert expected is None or told[0].endswith(f"server.{expected}")


@pytest.mark.parametrize("given", ["users: {a: {password: x}}", "tokens: [t]"])
def test_accounts_that_close_nothing_are_told(load_text: LoadText, given: str) -> None:
    (told,) = load_text(f"auth: {{{given}}}").warnings
    assert ":1:7: auth: everyone may read, with or without an account: anonymous: none is what closes" in told
    assert load_text(f"auth: {{{given}, anonymous: none}}").warnings == ()


def test_every_pending_setting_is_tried_above() -> None:
    assert set(PENDING) <= set(SETTINGS)


def test_a_pending_setting_at_its_default_says_nothing(load_text: LoadText) -> None:
    assert load_text("server: {workers: 1}\ncache: {max_size: 50GiB}\nauth: {users: {}}").warnings == ()


def test_a_secret_in_a_file_that_everyone_can_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("mirrors: ['https://u:hidden@m.example/simple/']")
    path.chmod(0o644)
    assert load(path, {}).warnings == (
        f"{path}:1:11: mirrors[0]: everyone on this machine can read this secret: chmod o-r the file",
    )
    path.chmod(0o640)
    assert load(path, {}).warnings == ()
    path.write_text("mirrors: ['https://u:${PW}@m.example/simple/']")
    path.chmod(0o644)
    assert load(path, {"PW": "x"}).warnings == ()


def test_an_account_that_changes_things_may_have_an_empty_password(load_text: LoadText) -> None:
    """It counts on the machine itself only, and is no secret that somebody could read."""
    config = load_text("admin: {users: {root: {password: ''}}}")
    assert config.admin.users == {"root": User(password=Secret(""))}
    assert not [line for line in config.warnings if "read this secret" in line]


def test_no_secret_is_seen_in_a_configuration_or_its_problems(
    load_text: LoadText, problems_of: ProblemsOf, tmp_path: Path
) -> None:
    (tmp_path / "f").write_text("hidden5")
    text = textwrap.dedent("""\
        admin: {users: {a: {password: hidden1}, b: {password_hash: '$scrypt$ln=1,r=1,p=1$hidden2hidden2hidden2A$hidden2hidden2hidden2A'}}}
        auth: {tokens: [hidden3], token_files: [f]}
        mirrors:
          - https://u:hidden6@a.example/
          - {url: 'https://b.example/', username: u, password_file: f, headers: {X-Key: hidden7}}
          - {url: 'https://c.example/', token: hidden8, proxy: 'http://u:hidden9@p.example/'}
        """)
    config = load_text(text)
    assert "hidden" not in f"{config!r}{config}"
    bad = (
        text.replace("a.example/", "a.example/?q")
        .replace("c.example", "c..")
        .replace("p.example", "p?")
        .replace("X-Key", "X Key")
    )
    problems = problems_of(f"{bad}wrong: hidden\nlog: {{file: *hidden}}\n") + problems_of(
        f"{bad}wrong: hidden\n"
    )
    assert len(problems) >= 4
    assert "hidden" not in "".join(problems)


def test_where_a_configuration_is_looked_for(tmp_path: Path) -> None:
    """$PYPICACHE_CONFIG, the working directory, the user's, the machine's: the first that is there."""
    cwd, home, xdg = tmp_path / "cwd", tmp_path / "home", tmp_path / "xdg"
    system, named = tmp_path / "etc.yaml", tmp_path / "missing.yaml"
    env = {"HOME": str(home), "XDG_CONFIG_HOME": str(xdg)}
    assert find(env, cwd, system=system) is None
    places = [
        system,
        xdg / "pypicache" / "pypicache.yaml",
        cwd / "pypicache.yaml",
    ]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
        assert find(env, cwd, system=system) == place
    assert find({**env, "PYPICACHE_CONFIG": str(named)}, cwd, system=system) == named


@pytest.mark.parametrize("xdg", [None, "", "relative"])
def test_without_a_sound_xdg_directory_it_is_dot_config(tmp_path: Path, xdg: str | None) -> None:
    place = tmp_path / ".config" / "pypicache" / "pypicache.yaml"
    place.parent.mkdir(parents=True)
    place.touch()
    env = {"HOME": str(tmp_path)} | ({} if xdg is None else {"XDG_CONFIG_HOME": xdg})
    assert find(env, tmp_path / "cwd", system=tmp_path / "none") == place


def test_a_directory_is_not_taken_for_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "pypicache.yaml").mkdir()
    assert find({}, tmp_path, system=tmp_path / "none") is None


EXAMPLE = example_path().read_text()
WORDS = sorted({word for line in EXAMPLE.splitlines() for word in line.replace(":", " ").split()})
JUNK = st.sampled_from(
    ["*a", "&a", "<<: *a", "!x", "!!int", "{", "[", "}", "]", "'", '"', "|", "- ", ": ", "? ", "\t", "\x85", "~", "\\x00",
     '"\\UFFFFFFFF"', "%YAML 1.1", "---", "...", "0x1", "1:30", "1e999", ".inf", "2001-01-01", "${A}", "~nobody", "9" * 30]
)  # fmt: skip


@st.composite
def mangled(draw: st.DrawFn) -> str:
    """The example file with a few words or lines replaced, doubled or dropped."""
    lines = [line for line in EXAMPLE.splitlines() if line.strip() and not line.strip().startswith("#")]
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        new = draw(st.one_of(JUNK, st.sampled_from(WORDS), st.text(max_size=10)))
        kind = draw(st.sampled_from(["value", "key", "line", "double", "drop"]))
        key, colon, value = lines[place].partition(":")
        lines[place] = {
            "value": f"{key}: {new}",
            "key": f"{key[: len(key) - len(key.lstrip())]}{new}{colon}{value}",
            "line": new,
            "double": f"{lines[place]}\n{lines[place]}",
            "drop": "",
        }[kind]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "c.yaml"


@given(
    st.one_of(st.text(), st.binary(), mangled(), st.recursive(JUNK, lambda s: st.tuples(s, s).map("\n".join)))
)
@settings(deadline=None)
@example("a: " * 40)
@example("&a [*a]")
@example("[" * 2000)
@example('"\\UFFFFFFFF"')
@example("%YAML " + "1" * 5000 + ".1\n--- {}")
@example("!!bool x: !!bool {a: b}\nlog: {access: !!bool maybe, file: !!str [a]}")
@example("server: !!null [a]")
@example("cache: {dir: '~nobody-here/x'}")
@example("indexes: {a: {<<: 5}, b: {<<: [x, {? [c] : d}], mirrors: [pypi]}}")
def test_any_text_is_a_configuration_or_a_list_of_problems(scratch: Path, text: str | bytes) -> None:
    """Whatever stands in the file, loading gives Config or ConfigError with printable lines, nothing else."""
    scratch.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "replace"))
    outcome = _outcome(scratch)
    if isinstance(outcome, Config):
        assert outcome.default_index in outcome.indexes
        assert all(index.mirrors or index.layers for index in outcome.indexes.values())
    else:
        assert outcome
        assert all(problem.startswith(f"{scratch}:") and problem.isprintable() for problem in outcome)


def _outcome(path: Path) -> Config | tuple[str, ...]:
    try:
        return load(path, {"HOME": "/home/me", "A": "x\ny"})
    except ConfigError as error:
        return error.problems
