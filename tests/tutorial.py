"""A world of its own for README's tutorial: network, /etc/hosts, nginx's and systemd's folders, and the mirrors it names.

Run as root by `UNSHARE`, with a folder in which `given.json` has the code blocks and the addresses of the mirrors: it sets this
world up inside the namespaces, runs the blocks in one bash, and leaves what each printed in `printed.json` and the
daemon's log in `log`. What is written into the machine's own folders is gone
afterwards, and what was started has ended.
"""

from __future__ import annotations

import fcntl
import functools
import json
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import trustme

from tests.environment import REPOSITORY
from tests.wheels import wheel

UNSHARE = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""The program that makes this world's namespaces: the command to run follows."""

NAME = "pypi.example.com"
"""The name that leads to the machine in the tutorial."""

PROJECTS = ("requests", "idna", "six")
HIDDEN = (
    "/run",
    "/etc/systemd/system",
    "/etc/nginx/conf.d",
    "/etc/nginx/sites-enabled",
    "/var/cache",
    "/var/log/nginx",
    "/var/lib/nginx",
)
"""Directories that are empty and writable in this world."""

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_MARK = "=== the next block ==="


def main(folder: Path, blocks: list[str], mirrors: list[str]) -> int:
    """Everything; the exit code of the blocks."""
    own_world(folder, [urlsplit(url).hostname or "" for url in mirrors])
    serve(folder, mirrors)
    script = "\n".join(f"echo '{_MARK}'\n{block}" for block in blocks)
    (folder / "script").write_text(f"set -euo pipefail\n{script}")
    (folder / "empty").mkdir()
    with (folder / "out").open("wb") as out:
        done = subprocess.run(
            ["bash", str(folder / "script")],
            cwd=folder / "empty",
            env=environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=100,
            check=False,
        )
    printed = (folder / "out").read_text(errors="replace")
    (folder / "printed.json").write_text(json.dumps(printed.split(f"{_MARK}\n")[1:]))
    log = Path("/run/log")
    (folder / "log").write_text(log.read_text() if log.exists() else "")
    return done.returncode


def own_world(folder: Path, hosts: list[str]) -> None:
    """Loopback, names and empty directories."""
    with socket.socket() as handle:
        request = struct.pack("16sh14x", b"lo", 0)
        (flags,) = struct.unpack_from("h", fcntl.ioctl(handle, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))
    for hidden in HIDDEN:
        subprocess.run(["mount", "-t", "tmpfs", "none", hidden], check=True)
    names = [("127.0.0.1", "localhost"), ("127.0.0.1", NAME)]
    names += [(f"127.0.0.{place}", host) for place, host in enumerate(hosts, 2)]
    (folder / "hosts").write_text("".join(f"{address} {name}\n" for address, name in names))
    subprocess.run(["mount", "--bind", str(folder / "hosts"), "/etc/hosts"], check=True)


def serve(folder: Path, mirrors: list[str]) -> None:
    """The mirrors, each on an address of its own."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    for place, url in enumerate(mirrors, 2):
        host = urlsplit(url).hostname or ""
        root = folder / host
        write_index(root / urlsplit(url).path.strip("/"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(context)
        handler = functools.partial(Mirror, directory=str(root))
        server = ThreadingHTTPServer((f"127.0.0.{place}", 443), handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()


def write_index(folder: Path) -> None:
    """The pages and files of a static mirror."""
    for project in PROJECTS:
        item = wheel(project, "1.0", size=100_000)
        page = folder / project
        page.mkdir(parents=True)
        (page / item.filename).write_bytes(item.data)
        link = f'<a href="{item.filename}#sha256={item.sha256}">{item.filename}</a>'
        (page / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")


class Mirror(SimpleHTTPRequestHandler):
    """Files of a folder, without a log."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's signature
        """Nothing: the daemon's log says what there is to know."""


def environment(folder: Path) -> dict[str, str]:
    """What the blocks see: the programs of these tests, and systemctl and sudo that know this world."""
    programs = folder / "bin"
    programs.mkdir()
    python = sys.executable
    for name, line in [
        ("sudo", 'exec "$@"'),
        ("systemctl", f'exec "{python}" -m tests.systemctl "$@"'),
        ("pypicache", f'exec "{python}" -m pypicache "$@"'),
    ]:
        if name != "pypicache" or not (Path(python).parent / name).exists():
            (programs / name).write_text(f"#!/bin/sh\n{line}\n")
            (programs / name).chmod(0o755)
    return {
        "PATH": f"{programs}:{Path(python).parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(folder / "empty"),
        "PYTHONPATH": str(REPOSITORY),
        "SSL_CERT_FILE": str(folder / "authority.pem"),
        "UV_PYTHON_DOWNLOADS": "never",
        "LANG": "C.UTF-8",
    }


if __name__ == "__main__":
    assert shutil.which("mount")
    given = json.loads(Path(sys.argv[1], "given.json").read_text())
    sys.exit(main(Path(sys.argv[1]), given["blocks"], given["mirrors"]))
