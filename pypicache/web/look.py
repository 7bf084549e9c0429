"""How the pages for people look: templates, the style sheet, the script, the icon; read once, when the daemon starts.

Autoescape is on, and what a template names must be there. It knows nothing of what is shown.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pypicache.monitor.words import duration, milliseconds, share, size

if TYPE_CHECKING:
    import jinja2

HERE = Path(__file__).parent

TYPES: Mapping[str, str] = {
    "style.css": "text/css; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
"""The files in `static`, and their types."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that the pages need."""

    body: bytes
    content_type: str
    version: str
    """Names its content."""


class Look:
    """Renders. `load` makes one."""

    def __init__(self, assets: Mapping[str, Asset], templates: Mapping[str, str]) -> None:
        self.assets = assets
        self._templates = templates

    @functools.cached_property
    def _environment(self) -> jinja2.Environment:
        import jinja2  # noqa: PLC0415 - a start doesn't wait for what is needed when somebody looks

        environment = jinja2.Environment(
            loader=jinja2.DictLoader(self._templates),
            autoescape=True,
            auto_reload=False,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {
            "size": size,
            "duration": duration,
            "ms": milliseconds,
            "clock": _clock,
            "iso": _iso,
            "number": _number,
            "project_url": _project_url,
        }
        environment.globals |= {
            "share": share,
            "versions": {name: asset.version for name, asset in self.assets.items()},
        }
        return environment

    def render(self, template: str, terms: Mapping[str, Any]) -> str:
        """The template, filled in; milliseconds, so for a thread."""
        return self._environment.get_template(template).render(terms)


def load() -> Look:
    """Read everything. Blocking."""
    assets = {}
    for name, content_type in TYPES.items():
        body = (HERE / "static" / name).read_bytes()
        assets[name] = Asset(body, content_type, hashlib.sha256(body).hexdigest()[:16])
    return Look(assets, {path.name: path.read_text("utf-8") for path in (HERE / "templates").iterdir()})


def _clock(instant: float) -> str:
    """The time of day, in UTC as everything here."""
    return time.strftime("%H:%M", time.gmtime(instant))


def _iso(instant: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(instant))


def _number(value: float) -> str:
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _project_url(project: str, index: str) -> str:
    """Where a project's page is, below `/`."""
    return f"-/project/{quote(index)}/{quote(project, safe='')}"
