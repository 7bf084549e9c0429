"""Paths and secrets from the configuration: `~`, `${VAR}`, and files that hold a secret.

Only these settings are expanded; a `$${` stands for a plain `${`. Messages name variables and files, never
what is in them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pypicache.config.reader import Section, Value, optional, text
from pypicache.config.secret import Secret
from pypicache.config.values import Bad

_VARIABLE = re.compile(r"(\$?)\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_MAX_SECRET: Final = 64 << 10


def expand(raw: str, env: Mapping[str, str]) -> str:
    """The text with each `${VAR}` replaced. Raises Bad for a variable that isn't set."""

    def replace(match: re.Match[str]) -> str:
        if match[1]:
            return match[0][1:]
        if not _NAME.fullmatch(match[2]):
            raise Bad("what stands in ${} isn't the name of a variable; write $${ for a plain ${")
        if match[2] not in env:
            raise Bad(f"the environment has no variable {match[2]}")
        return env[match[2]]

    return _VARIABLE.sub(replace, raw)


def file_path(value: Value, raw: str | None = None) -> Path:
    """An absolute path, from the value's text or from `raw`, which is a part of it.

    `~` and variables are expanded; a relative path is taken from the configuration file's folder.
    """
    env = value.doc.env
    expanded = expand(text(value) if raw is None else raw, env)
    if not expanded or "\0" in expanded:
        raise Bad("a path is due")
    if expanded.startswith("~"):
        user, slash, rest = expanded.partition("/")
        expanded = _home(user, env) + slash + rest
    return Path(os.path.normpath(value.doc.base / expanded))


def _home(user: str, env: Mapping[str, str]) -> str:
    """The home directory that `~` or `~user` means."""
    if user == "~" and env.get("HOME"):
        return env["HOME"]
    try:
        return str(Path(user).expanduser())
    except RuntimeError:
        raise Bad("there is no such home directory for ~ to mean") from None


def readable_file(value: Value) -> Path:
    """The path of a file that can be read now."""
    path = file_path(value)
    _read(path, 0)
    return path


def secret(value: Value) -> Secret:
    """A secret that stands in the file itself or in a variable it names."""
    raw = text(value)
    revealed = expand(raw, value.doc.env)
    if revealed == raw:
        note_inline(value)
    return _sound(revealed, "the variable")


def secret_or_empty(value: Value) -> Secret:
    """The same, or the empty string, written as `""`: no secret at all."""
    return Secret("") if value.kind == "str" and not value.raw else secret(value)


def secret_file(value: Value) -> Secret:
    """A secret in a file of its own; line breaks at its end don't count."""
    data = _read(file_path(value), _MAX_SECRET + 1)
    if len(data) > _MAX_SECRET:
        raise Bad("the file is too large to hold a secret")
    try:
        return _sound(data.decode("utf-8-sig").rstrip("\r\n"), "the file")
    except UnicodeDecodeError:
        raise Bad("the file isn't UTF-8 text") from None


def take_secret(section: Section, key: str) -> Secret | None:
    """The secret given as `key`, or in the file that `key_file` names; noted when both are given."""
    direct = section.take(key, optional(secret), None)
    filed = section.take(f"{key}_file", optional(secret_file), None)
    if direct is not None and filed is not None:
        other = section.get(f"{key}_file")
        assert other is not None
        other.problem(f"stands beside {key}: give one of them")
    return filed if direct is None else direct


def note_inline(value: Value) -> None:
    """Remember the first place where the file itself holds a secret."""
    if value.doc.inline_secret is None:
        mark = value.node.start_mark
        value.doc.inline_secret = (mark.line, mark.column, value.path)


def _sound(revealed: str, whose: str) -> Secret:
    if not revealed:
        raise Bad(f"{whose} holds nothing")
    if any(c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in revealed):
        raise Bad(f"{whose} holds control characters or several lines")
    return Secret(revealed)


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(limit)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no such path"
        raise Bad(f"{path} cannot be read: {reason}") from error
