"""What a process is: `python -m tests.whoami` tells as JSON all that a program could depend on, or ends as it is told.

With `serve -c FILE` it is the daemon, which tells at its end what it had imported.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import random
import runpy
import signal
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, process
from pathlib import Path
from typing import Any


def _say(words: str) -> None:
    sys.stdout.write(f"{words}\n")


def facts() -> dict[str, Any]:
    """The same for processes that are started alike."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    own = ("Umask", "Uid", "Groups", "Threads", "SigPnd", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs")
    return {
        "status": {name: status[name] for name in own},
        "limits": Path("/proc/self/limits").read_text(),
        "handlers": {int(number): str(signal.getsignal(number)) for number in signal.valid_signals()},
        "descriptors": sorted(path.name for path in Path("/proc/self/fd").iterdir()),
        "kinds": [os.fstat(fd).st_mode for fd in range(3)],
        "session": os.getsid(0),
        "group": os.getpgid(0),
        "env": dict(os.environ),
        "cwd": str(Path.cwd()),
        "argv": sys.argv,
        "orig_argv": sys.orig_argv,
        "path": sys.path,
        "flags": str(sys.flags),
        "origin": process.ORIGINAL_DIR,  # type: ignore[attr-defined]
        "main": [__name__, __spec__.name, sys.modules["__main__"].__dict__ is globals()],
        "streams": [
            [getattr(each, name) for name in ("encoding", "errors", "line_buffering", "write_through")]
            for each in (sys.stdin, sys.stdout, sys.stderr)
        ],
        "threads": [each.name for each in threading.enumerate()],
        "collecting": [gc.isenabled(), gc.get_threshold()],
        "tracing": [str(sys.gettrace()), str(sys.getprofile())],
    }


def chance() -> list[str]:
    """Never the same twice."""
    with tempfile.TemporaryDirectory() as name:
        return [str(random.random()), str(uuid.uuid4()), name, process.current_process().authkey.hex()]


def helper() -> Any:
    """What a helper process takes for its main module, and for its arguments."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_seen).result()


def _seen() -> list[Any]:
    main = sys.modules["__main__"]
    return [main.__name__, main.__spec__ and main.__spec__.name, sys.argv, str(Path.cwd()), sys.path]


def _with_thread() -> None:
    threading.Timer(0.1, _say, ["thread"]).start()
    sys.exit(4)


def _by(number: signal.Signals) -> Callable[[], None]:
    return lambda: signal.raise_signal(number)


ENDS: dict[str, Callable[[], Any]] = {
    "return": lambda: None,
    "exit": sys.exit,
    "3": lambda: sys.exit(3),
    "text": lambda: sys.exit("the reason"),
    "raise": lambda: 1 / 0,
    "at once": lambda: os._exit(5),
    "thread": _with_thread,
    **{each.name: _by(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGABRT)},
}
TELLS: dict[str, Callable[[], Any]] = {
    "facts": facts,
    "chance": chance,
    "helper": helper,
    "modules": lambda: sorted(sys.modules),
}

if __name__ == "__main__":
    if sys.argv[1] == "serve":
        atexit.register(lambda: _say(f"modules {json.dumps(sorted(sys.modules))}"))
        runpy.run_module("pypicache", run_name="__main__", alter_sys=True)
    elif sys.argv[1] in TELLS:
        _say(json.dumps(TELLS[sys.argv[1]]()))
    elif sys.argv[1] == "wait":
        signal.pause()
    else:
        atexit.register(_say, "atexit")
        ENDS[sys.argv[1]]()
