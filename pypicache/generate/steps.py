"""What to do with generated files: the commands, by what they set up. Each can be pasted into a shell as it is."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from pypicache import __version__
from pypicache.generate.deployment import EXAMPLE_HOST, SYSTEM_CACHE, Deployment
from pypicache.generate.terms import cache_directory, directory_below, streams


def steps(
    deployment: Deployment, folder: Path, names: set[str], *, version: str = __version__
) -> Iterator[tuple[str, list[str]]]:
    """What is set up, and its commands, for the files of these names in the folder. `version` is that of this program."""

    def at(*files: str) -> str:
        return " ".join(shlex.quote(str(folder / file)) for file in files)

    yield "systemd", [*_systemd(deployment, at)]
    yield (
        "nginx",
        [
            f"cp {at('nginx-pypicache.conf')} /etc/nginx/conf.d/pypicache.conf",
            "nginx -t && systemctl reload nginx",
        ],
    )
    yield "or Caddy", [f"cp {at('Caddyfile')} /etc/caddy/Caddyfile", "systemctl reload caddy"]
    yield "or supervisord", [f"supervisord -c {at('supervisord.conf')}"]
    agents = "~/Library/LaunchAgents"
    yield (
        "or launchd",
        [
            f"cp {at('pypicache.plist')} {agents}/",
            f"launchctl bootstrap gui/$(id -u) {agents}/pypicache.plist",
        ],
    )
    docker = [f"docker compose -f {at('docker/compose.yaml')} up -d --build"]
    if "dev" in version:  # the image would look for it in vain
        wheels = shlex.quote(str((folder / "docker").absolute()))
        docker.insert(0, f"# {version} is no release: in the checkout, `uv build --wheel --out-dir {wheels}`")
    yield "or docker", docker
    if "logrotate-pypicache" in names:
        yield "rotation of log.file", [f"cp {at('logrotate-pypicache')} /etc/logrotate.d/pypicache"]


def _systemd(deployment: Deployment, at: object) -> Iterator[str]:
    assert callable(at)
    if deployment.home_of is None:
        yield f"cp {at('pypicache.sysusers')} /etc/sysusers.d/pypicache.conf && systemd-sysusers"
        if deployment.configuration:
            # Nobody else can read the file, since it may hold secrets; with accounts, the daemon replaces it.
            given = [deployment.configuration]
            if deployment.accounts and not _is_shared(deployment.configuration.parent):
                given.insert(0, deployment.configuration.parent)
            yield f"chown {deployment.user}: {shlex.join(map(str, given))}"
    if cache_directory(deployment) is None and not deployment.cache.is_dir():
        mode = "0710" if deployment.accel_group else "0700"
        yield f"install -d -o {deployment.user} -m {mode} {shlex.quote(str(deployment.cache))}"
    if deployment.log_file and directory_below(Path("/var/log"), deployment.log_file) is None:
        yield f"install -d -o {deployment.user} {shlex.quote(str(deployment.log_file.parent))}"
    units = ["pypicache.service", *(["pypicache.socket"] if streams(deployment.listen) is not None else [])]
    yield f"cp {at(*units)} /etc/systemd/system/"
    yield "systemctl daemon-reload && systemctl enable --now pypicache.service"


def remarks(deployment: Deployment) -> Iterator[str]:
    """What somebody should know before it runs."""
    yield from _of_whose_it_is(deployment)
    yield from _of_where_things_are(deployment)
    if not deployment.public_url:
        yield f"server.public_url isn't set: the proxies' files say {EXAMPLE_HOST} where the name belongs that clients use."
    if not deployment.trusts_loopback and deployment.nearest.unix is None:
        lost = (
            "the access log would have the proxy's address for every client"
            if deployment.public_url
            else "behind TLS, absolute links (legacy JSON) would begin with http://"
        )
        yield f"server.trusted_proxies lacks 127.0.0.1: {lost}."
    privileged = [each.port for each in deployment.listen if each.port and each.port < _PRIVILEGED]
    if privileged:
        yield f"Port {privileged[0]} needs systemd's socket, or root: the service alone may not open it."


def _of_whose_it_is(deployment: Deployment) -> Iterator[str]:
    if deployment.home_of == "root":
        yield (
            "The program or its configuration is root's own, so the service runs as root, without root's powers. For a user of "
            "its own, install it elsewhere (uv: UV_TOOL_DIR=/opt/uv UV_TOOL_BIN_DIR=/usr/local/bin, and "
            "UV_PYTHON_INSTALL_DIR), with the configuration in /etc/pypicache."
        )
    elif deployment.home_of:
        yield f"The program or its configuration is under {deployment.home}, so the service runs as {deployment.home_of}."


def _of_where_things_are(deployment: Deployment) -> Iterator[str]:
    if deployment.accel_group and deployment.home:
        yield f"nginx can't read stored files under {deployment.home}: set cache.dir to {SYSTEM_CACHE}."
    if deployment.configuration is None:
        return
    if deployment.configuration.is_relative_to("/tmp"):  # noqa: S108 - it's compared only
        yield "The configuration is under /tmp, which a systemd service of this kind can't see."
    if deployment.movable:
        yield (
            f"cache.dir isn't set, and systemd has the cache in {SYSTEM_CACHE}: set it to that, so that commands such as "
            "`pypicache cache` look there, too."
        )
    folder = deployment.configuration.parent
    if deployment.accounts and (_is_shared(folder) or folder == deployment.home):
        yield (
            f"Accounts (admin.users) change the configuration, so its directory must be the daemon's to write, and {folder} "
            "has more in it: move the file into a directory of its own."
        )


def _is_shared(directory: Path) -> bool:
    """Whether it is one of the machine's own, such as /etc, which no service may be given."""
    return len(directory.parts) <= _TOP


_TOP = 2
"""Parts of the path of a directory at the root."""

_PRIVILEGED = 1024
"""Ports below are root's."""
