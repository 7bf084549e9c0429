"""Which files there are for a deployment, and their text: templates filled in, and nothing written.

Each word that comes from outside goes into a template through the filter for that kind of file (`quoting`). Autoescaping
would be for HTML; an undefined name in a template is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2

from pypicache.generate import quoting
from pypicache.generate.container import container_configuration
from pypicache.generate.deployment import Deployment
from pypicache.generate.launchd import property_list
from pypicache.generate.terms import streams, terms

FILTERS: Final = (
    quoting.systemd_word,
    quoting.systemd_path,
    quoting.systemd_line,
    quoting.nginx_word,
    quoting.nginx_literal,
    quoting.caddy_word,
    quoting.supervisor_word,
    quoting.logrotate_word,
    quoting.compose_word,
    re.escape,
)
"""What templates spell words with, by their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """One file."""

    name: str
    """Its path below the folder that is written to, with `/`."""
    text: str
    what: str
    """What it is for, in a few words."""
    mode: int = 0o644
    owner: tuple[int, int] | None = None
    """User and group that must be able to read it, where those who write it aren't they."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """One that this configuration has no use for."""

    name: str
    what: str
    """Why."""


def generate(deployment: Deployment) -> Iterator[Generated | Skipped]:
    """Every file, in the order in which somebody would look for it."""
    render = _Templates(deployment)
    yield render("pypicache.service", "systemd: the service")
    if streams(deployment.listen) is None:
        yield Skipped("pypicache.socket", "server.listen has a host name, and systemd takes addresses only")
    else:
        yield render("pypicache.socket", "systemd: its socket")
    if deployment.home_of is None:
        yield render("pypicache.sysusers", "systemd: its user")
    else:
        yield Skipped("pypicache.sysusers", f"the service runs as {deployment.home_of}")
    yield render("nginx-pypicache.conf", "nginx in front of it")
    yield render("Caddyfile", "Caddy in front of it, instead")
    yield render("supervisor-pypicache.conf", "supervisord, instead of systemd")
    yield render("supervisord.conf", "a supervisord for nothing else")
    yield Generated(name="pypicache.plist", text=property_list(deployment), what="launchd (macOS)")
    yield render("windows.txt", "how to run it on Windows")
    yield render("docker/Dockerfile", "a container")
    yield render("docker/compose.yaml", "docker compose")
    yield render(
        "docker/.dockerignore", "what gets into the container's image", template="docker/dockerignore"
    )
    yield Generated(
        name="docker/config/pypicache.yaml",
        text=container_configuration(deployment.text),
        what="the container's configuration",
        mode=0o600,
        owner=deployment.container_owner,
    )
    if deployment.log_file:
        yield render("logrotate-pypicache", "rotation of log.file")
    else:
        yield Skipped(
            "logrotate-pypicache", "log.file isn't set: journald and supervisord rotate by themselves"
        )


class _Templates:
    """Fills in templates for one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._environment = jinja2.Environment(  # noqa: S701 - no HTML: each kind of file has filters of its own
            loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._environment.filters.update({each.__name__: each for each in FILTERS})
        self._terms = terms(deployment)

    def __call__(self, name: str, what: str, *, template: str | None = None) -> Generated:
        text = self._environment.get_template(f"{template or name}.j2").render(self._terms)
        return Generated(name=name, text=text, what=what)
