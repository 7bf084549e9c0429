"""Who imports whom, read from the source: the arrows point down, and the pure core stays pure."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pypicache"

# What each place may import of the package. A place is a folder or a module at the top.
MAY = {
    "__init__": set(),
    "errors": set(),
    "events": set(),
    "heap": set(),
    "offload": {"heap"},
    # What a request has come through travels from the edge to the wire, past everything between.
    "hops": set(),
    "log": {"errors", "events"},
    "simple": {"errors"},
    "rules": {"simple", "errors"},
    "upstream": {"simple", "rules", "errors", "events", "offload", "hops", "__init__"},
    # rules.pieces is span arithmetic, which the spool's journal needs as much as the transfer does.
    # rules.eviction and rules.scrub are what the evictor and the scrub go by, in bounded steps next to the files.
    "store": {"simple.model", "rules.pieces", "rules.eviction", "rules.scrub", "errors", "events"},
    "index": {
        "simple",
        "rules",
        "upstream.source",
        "store.blobs",
        "store.pages",
        "store.links",
        "store.linkrecord",
        "store.lists",
        "errors",
        "events",
        "offload",
    },
    "web": {
        "index",
        "simple",
        "rules",
        "monitor.status",
        "monitor.words",
        "errors",
        "events",
        "hops",
        "__init__",
    },
    # It is told what happens, and knows nothing of what makes it happen.
    "monitor": {"errors", "events", "__init__"},
    "config": {"rules", "simple.model", "errors"},
    "reloading": {"config", "errors"},
    # A part of the composition root.
    "admission": {"config", "editing", "rules", "web"},
    # The same: a change to the configuration's file, brought into force.
    "editing": {"config", "errors", "web"},
    "caring": {"config", "rules", "store"},
    "layering": {"config", "index", "events"},
    "connecting": {"config", "upstream"},
    # The composition root of `pypicache mirrors`: the daemon's clients, and no daemon.
    "measuring": {"config", "connecting", "upstream", "rules", "simple", "offload", "errors"},
    "notify": set(),
    "sink": set(),
    "lines": {"sink", "errors"},
    "logs": {"lines", "sink", "config", "web.access", "errors"},
    "orders": set(),
    "sockets": {"config", "errors"},
    "worker": {
        "heap",
        "siblings",
        "service",
        "tending",
        "config",
        "logs",
        "notify",
        "orders",
        "sink",
        "sockets",
        "web",
        "__init__",
    },
    "pipe": {"notify"},
    "siblings": set(),
    "workers": {
        "worker",
        "pipe",
        "connecting",
        "reloading",
        "rules.restarts",
        "notify",
        "orders",
        "sink",
        "sockets",
        "config",
        "errors",
    },
    # The cache directory is the process's before anything in it is the service's.
    "daemon": {
        "worker",
        "workers",
        "store.owner",
        "store.generations",
        "logs",
        "notify",
        "orders",
        "sink",
        "sockets",
        "config",
        "errors",
    },
    # The same: what one index with mirrors consists of.
    "wiring": {
        "config",
        "connecting",
        "index",
        "store",
        "upstream",
        "rules",
        "simple.model",
        "events",
        "offload",
    },
    # The same: what counts and tells.
    "monitoring": {"monitor", "wiring", "config", "index", "store", "upstream", "rules", "events"},
    # The same: what this process and its siblings have to say, put together.
    "overview": {"monitor", "monitoring"},
    # The same: what a request meets first.
    "edging": {"admission", "editing", "layering", "wiring", "overview", "config", "web", "index"},
    "service": {
        "edging",
        "admission",
        "editing",
        "config",
        "connecting",
        "monitor",
        "monitoring",
        "overview",
        "care",
        "caring",
        "layering",
        "wiring",
        "web",
        "index",
        "store",
        "upstream",
        "simple",
        "rules",
        "errors",
        "events",
        "log",
        "offload",
        "reloading",
        "__init__",
    },
    # The same: the admin socket of a service.
    "tending": {"service", "care", "config", "index", "rules", "simple", "errors"},
    "locks": {"simple", "errors"},
    # Looks after what the stores hold, with the index's knowledge of what that means; it serves nobody.
    "care": {"index", "store", "simple", "locks", "rules", "config", "errors", "events", "__init__"},
    # They talk to a running daemon over HTTP, and know nothing of what is behind it; `mirrors` asks mirrors itself.
    "commands": {
        "care",
        "config",
        "caring",
        "daemon",
        "index.entry",
        "index.serving",
        "rules.owners",
        "service",
        "web.server",
        "tending",
        "generate",
        "locks",
        "measuring",
        "monitor.words",
        "rules.appraisal",
        # Who can read the daemon's key may sign for the command line; a password's hash is made by it.
        "rules.tokens",
        "rules.passwords",
        "store.key",
        "simple",
        "errors",
        "__init__",
    },
    # What is written for people to keep, made of the configuration and of nothing that runs.
    "generate": {"config", "errors", "__init__"},
    "cli": {"commands", "__init__"},
    "__main__": {"cli"},
}

# Third-party packages that the pure core may use, and the parts of the standard library that it may not.
PURE = {"simple", "rules", "locks"}
PURE_THIRD_PARTY = {"packaging", "msgspec", "distlib"}
IMPURE = {
    "asyncio",
    "aiohttp",
    "os",
    "socket",
    "time",
    "logging",
    "threading",
    "subprocess",
    "random",
    "secrets",
    "pathlib",
    "io",
    "tempfile",
    "shutil",
}

MODULES = sorted(PACKAGE.rglob("*.py"))


def place_of(module: Path) -> str:
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imports(module: Path) -> Iterator[str]:
    """Every module that is imported, by its full name."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module}: a relative import"
            assert node.module is not None
            yield node.module
            if node.module == "pypicache" or (PACKAGE.parent / node.module.replace(".", "/")).is_dir():
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def allowed(name: str, place: str) -> bool:
    inner = name.removeprefix("pypicache").removeprefix(".")
    if inner in {"", "__version__"}:
        return inner != "__version__" or "__init__" in MAY[place]
    top = inner.partition(".")[0]
    names = {inner, ".".join(inner.split(".")[:2]), top}
    # The folder itself may be named on the way to one of its modules: `from pypicache.store import blobs`.
    on_the_way = any(each.startswith(f"{inner}.") for each in MAY[place])
    return top == place or bool(names & MAY[place]) or on_the_way


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(module: Path) -> None:
    """The table above is design: an import that isn't in it is a decision, not a convenience."""
    place = place_of(module)
    wrong = [n for n in imports(module) if n.split(".")[0] == "pypicache" and not allowed(n, place)]
    assert not wrong


PURE_MODULES = [module for module in MODULES if place_of(module) in PURE]


@pytest.mark.parametrize("module", PURE_MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_core_is_pure(module: Path) -> None:
    """*simple/ and rules/ never await*, never do I/O, never ask the clock."""
    tree = ast.parse(module.read_text())
    awaits = (ast.AsyncFunctionDef, ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, awaits)]
    tops = {name.partition(".")[0] for name in imports(module)}
    assert not tops & IMPURE
    calls = [ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert not {"open", "print", "datetime.now", "datetime.datetime.now", "datetime.utcnow"} & set(calls)


def test_the_core_uses_few_libraries() -> None:
    tops = {name.partition(".")[0] for module in PURE_MODULES for name in imports(module)}
    assert tops - set(sys.stdlib_module_names) - {"pypicache"} <= PURE_THIRD_PARTY


def test_the_table_knows_every_place() -> None:
    assert set(MAY) == {place_of(module) for module in MODULES}


def test_no_module_grows_a_second_idea() -> None:
    """Over 300 lines, a module is cut in two."""
    assert not {m.name: n for m in MODULES if (n := len(m.read_text().splitlines())) > 300}
