"""One word, as each kind of file spells it: pure functions from text to text.

Paths come from people and may hold spaces, quotes, `%`, `$`, `#` and `;`; every kind of file gives these a meaning of its own. The
configuration's texts hold no control characters (`config.reader.text`), so nothing here has to spell a line break.
"""

from __future__ import annotations

import json
import re
from typing import Final

_PLAIN = re.compile(r"[A-Za-z0-9_@/.,:=+-]+", re.ASCII)
_NGINX_PLAIN = re.compile(r"[A-Za-z0-9_@/.,:=+*-]+", re.ASCII)

DOLLAR: Final = "${pypicache_dollar}"
"""A `$` for nginx, which has no way to quote one: a variable that the file itself defines."""


def systemd_word(text: str) -> str:
    """An argument of ExecStart (systemd.service(5), "Command lines"): quoted where need be, `%` and `$` doubled."""
    return systemd_path(text).replace("$", "$$")


def systemd_path(text: str) -> str:
    """A path in a list of paths, or a command itself, where `$` is only a character."""
    escaped = systemd_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return escaped if _PLAIN.fullmatch(text) else f'"{escaped}"'


def systemd_line(text: str) -> str:
    """A value that takes the rest of its line: there are no quotes, only specifiers (systemd.unit(5))."""
    return text.replace("%", "%%")


def nginx_word(text: str) -> str:
    """A parameter in which nginx expands variables."""
    return nginx_literal(text).replace("$", DOLLAR)


def nginx_literal(text: str) -> str:
    """A parameter in which it doesn't: the addresses of an upstream."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return text if _NGINX_PLAIN.fullmatch(text) else f'"{escaped}"'


def caddy_word(text: str) -> str:
    """A token of a Caddyfile: in quotes, where `"` is all that is escaped; braces begin a placeholder everywhere."""
    if _PLAIN.fullmatch(text):
        return text
    escaped = text.replace('"', '\\"').replace("{", "\\{")
    return f'"{escaped}"'


def supervisor_word(text: str) -> str:
    """A word of supervisord's `command`: read as INI (`%`, comments) first, then split as a shell would.

    Backslashes rather than quotes: a `;` or `#` after a space ends an INI value, whatever quotes surround it. A space at
    the end would be cut off.
    """
    escaped = re.sub(r"([^A-Za-z0-9_@/.,:=+%-])", r"\\\1", text).replace("%", "%%")
    return f"{escaped}''" if text.endswith(" ") else escaped


def logrotate_word(text: str) -> str:
    """The name of a log file: in quotes, and no pattern (glob(7))."""
    escaped = re.sub(r'([*?\[\]{}\\"])', r"\\\1", text)
    return f'"{escaped}"'


def compose_word(text: str) -> str:
    """A YAML scalar in a compose file, where `$` would begin a variable."""
    return json.dumps(text, ensure_ascii=False).replace("$", "$$")
