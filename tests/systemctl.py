"""What systemctl and the manager behind it do for the README's tutorial, where there is no systemd.

`enable --now NAME.service` does what the unit says, as far as it is about running: the sockets of `Sockets=`, `ExecStart`
with what systemd would set for `CacheDirectory=`, and a wait for READY=1 (sd_notify(3)). The sandbox is for `systemd-analyze`. It
reads /etc/systemd/system, and leaves the process id in /run. As root only, and only in a mount namespace of the tests.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

UNITS = Path("/etc/systemd/system")
RUN = Path("/run")


def unit(name: str) -> dict[str, str]:
    """The settings of a unit file, the last of each name, with `%%` read as `%`."""
    lines = (UNITS / name).read_text().splitlines()
    return dict(line.replace("%%", "%").split("=", 1) for line in lines if "=" in line and line[0].isalpha())


def start(name: str) -> None:
    """Start the service, and wait until it says that it is ready."""
    service = unit(name)
    host, _, port = unit(service["Sockets"])["ListenStream"].rpartition(":")
    listening = socket.create_server((host, int(port)), backlog=1024)
    notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notified.bind(str(RUN / "notify"))
    notified.settimeout(30)
    env = {**os.environ, "NOTIFY_SOCKET": str(RUN / "notify"), "LISTEN_FDS": "1"}
    if "CacheDirectory" in service:
        cache = Path("/var/cache", service["CacheDirectory"])
        cache.mkdir(mode=int(service["CacheDirectoryMode"], 8), exist_ok=True)
        env["CACHE_DIRECTORY"] = str(cache)
    command = [word.replace("$$", "$") for word in shlex.split(service["ExecStart"])]
    child = os.fork()
    if not child:
        os.setsid()
        os.dup2(listening.fileno(), 3)
        os.set_inheritable(3, True)
        log = os.open(RUN / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.execve(command[0], command, {**env, "LISTEN_PID": str(os.getpid())})
    (RUN / f"{name}.pid").write_text(str(child))
    said = b""
    while b"READY=1" not in said:
        said = notified.recv(4096)


def reload(name: str) -> None:
    """As `ExecReload=` of the unit, or of Debian's nginx, which is started if it doesn't run."""
    if name == "nginx":
        pid = Path("/run/nginx.pid")
        running = pid.exists() and pid.read_text() != ""
        subprocess.run(["nginx", *["-s", "reload"] * running], check=True)
        return
    os.kill(int((RUN / f"{name}.pid").read_text()), signal.SIGHUP)


def main(arguments: list[str]) -> None:
    """What the tutorial says, and nothing else."""
    match arguments:
        case ["daemon-reload"]:
            pass
        case ["enable", "--now", name]:
            start(name)
        case ["reload", name]:
            reload(name)
        case _:
            sys.exit(f"systemctl {shlex.join(arguments)}: not known here")


if __name__ == "__main__":
    main(sys.argv[1:])
