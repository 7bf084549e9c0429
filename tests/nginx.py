"""The real nginx on loopback, in a folder of its own: a peer for benchmarks, a proxy for scenarios."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

START = 20.0

_FRAME = """\
{user}
daemon off;
worker_processes {workers};
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    {http}
}}
"""


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Nginx:
    """One nginx with `http` as the content of its http block, listening on `port`. Use as a context manager.

    `user` is whom its workers run as when the tests run as root.
    """

    def __init__(self, folder: Path, http: str, port: int, *, user: str = "root", workers: int = 1) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        directive = f"user {user};" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(_FRAME.format(user=directive, http=http, workers=workers))

    @property
    def pid(self) -> int:
        """The process id of its master."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it complained of."""
        return (self._folder / "log").read_text(errors="replace")

    def __enter__(self) -> Self:
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
        if program is None:
            pytest.skip("nginx isn't installed")
        command = [program, "-p", str(self._folder), "-c", str(self._folder / "nginx.conf"), "-e", "stderr"]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise AssertionError(f"nginx doesn't start:\n{self.log}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=START)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            time.sleep(0.02)  # it says nowhere when it listens
            return False
        return True
