"""What templates may name: the facts of a deployment, and what follows from them for one kind of file.

Pure, and nothing here is quoted yet.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from pypicache import __version__
from pypicache.config.schema import Listen
from pypicache.generate.deployment import SYSTEM_CACHE, Deployment

_LOGS: Final = Path("/var/log")
_RUN: Final = Path("/run")
_CONTAINER_PORT: Final = 3141


def terms(deployment: Deployment) -> dict[str, Any]:
    """Every name and its value, for all templates."""
    facts = {name: getattr(deployment, name) for name in dir(deployment) if not name.startswith("_")}
    sockets = streams(deployment.listen)
    user, group = deployment.container_owner
    return facts | {
        "version": __version__,
        "requirement": f"pypicache-server=={__version__}",
        "exec_start": _exec_start(deployment.arguments),
        "streams": sockets or (),
        "socket": sockets is not None,
        "unix": any(each.unix for each in deployment.listen),
        "upstream": str(deployment.nearest),
        "caddy_upstream": str(deployment.nearest).replace("unix:", "unix/", 1),
        "site": _site(deployment),
        "writable": _writable(deployment),
        "cache_directory": cache_directory(deployment),
        "logs_directory": directory_below(_LOGS, deployment.log_file),
        "runtime_directory": next(
            filter(None, (directory_below(_RUN, each.unix) for each in deployment.listen)), None
        ),
        "environment": _environment(deployment),
        "dollar": deployment.accel_group is not None and "$" in str(deployment.system_cache),
        "ports": _ports(deployment.listen),
        "owner": f"{user}:{group}",
    }


def streams(listen: tuple[Listen, ...]) -> tuple[str, ...] | None:
    """The values of ListenStream= (systemd.socket(5)); None when a host name is among them: it takes addresses only."""
    found = []
    for each in listen:
        host = "127.0.0.1" if each.host == "localhost" else each.host
        if each.unix is not None:
            found.append(str(each.unix))
        elif host is None:
            found.append(str(each.port))
        elif ":" in host or re.fullmatch(r"[0-9.]+", host):
            found.append(str(Listen(host=host, port=each.port)))
        else:
            return None
    return tuple(found)


def cache_directory(deployment: Deployment) -> str | None:
    """The cache's directory relative to /var/cache, where systemd makes it (CacheDirectory=)."""
    cache = deployment.system_cache
    below = cache.is_relative_to(SYSTEM_CACHE.parent) and cache != SYSTEM_CACHE.parent
    return str(cache.relative_to(SYSTEM_CACHE.parent)) if below else None


def _exec_start(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The command line for systemd, which takes no program with quotes in its name, and looks for variables in argv[0]."""
    return ("/usr/bin/env", *arguments) if set(arguments[0]) & set("\"'\\$") else arguments


def directory_below(root: Path, path: Path | None) -> str | None:
    """The directory of that file, relative to `root`, where systemd makes it (LogsDirectory=, RuntimeDirectory=)."""
    if path is None or not path.is_relative_to(root) or path.parent == root:
        return None
    return str(path.parent.relative_to(root))


def _writable(deployment: Deployment) -> list[tuple[str, str]]:
    """The directories that the service writes to beside those that systemd makes for it, and why."""
    found = []
    if cache_directory(deployment) is None:
        # Without the `-`, systemd says 226/NAMESPACE when it isn't there; with it, the daemon says what is missing.
        found.append((f"-{deployment.cache}", "The cache. It must be there, and the user's own."))
    if deployment.accounts and deployment.configuration:
        found.append(
            (
                str(deployment.configuration.parent),
                "Accounts (admin.users) may change the configuration file.",
            )
        )
    if deployment.log_file and directory_below(_LOGS, deployment.log_file) is None:
        found.append((str(deployment.log_file.parent), "log.file."))
    return found


def _environment(deployment: Deployment) -> list[str]:
    """What supervisord, which sets up nothing by itself, has to set: arguments of env(1).

    Its own `environment=` knows no quoting that holds quotes.
    """
    if deployment.home:
        return [f"HOME={deployment.home}", f"USER={deployment.user}"]
    return [f"CACHE_DIRECTORY={SYSTEM_CACHE}"] if deployment.movable else []


def _site(deployment: Deployment) -> str:
    """The address of a site in a Caddyfile. Without a scheme, Caddy gets a certificate."""
    host = f"[{deployment.host}]" if ":" in deployment.host else deployment.host
    if not deployment.public_url:
        return f"http://{host}"
    usual = {"http": 80, "https": 443}[deployment.scheme]
    port = "" if deployment.port == usual else f":{deployment.port}"
    return f"{deployment.scheme}://{host}{port}"


def _ports(listen: tuple[Listen, ...]) -> list[str]:
    """What is published of the container's port: the TCP addresses of `listen`, on this machine only where it's unclear."""
    found = []
    for each in listen:
        if each.port is None:
            continue
        numeric = each.host is not None and (":" in each.host or re.fullmatch(r"[0-9.]+", each.host))
        at = Listen(host=each.host if numeric or each.host is None else "127.0.0.1", port=each.port)
        found.append(f"{each.port}:{_CONTAINER_PORT}" if each.host is None else f"{at}:{_CONTAINER_PORT}")
    return found or [f"127.0.0.1:{_CONTAINER_PORT}:{_CONTAINER_PORT}"]
