"""A configuration file as YAML nodes, and the list of what is wrong with it.

Nodes, not objects: each keeps its line and column, nothing is ever constructed from a tag, and text stays
as it was written. What a file can cost is bounded: its size, its depth, and how much its aliases unfold to.
It knows nothing of what may be set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import yaml
from yaml.composer import ComposerError
from yaml.reader import ReaderError

from pypicache.errors import ConfigError, one_line

MAX_BYTES: Final = 1 << 20
"""A larger file isn't read: no configuration needs it, and YAML is slow."""

MAX_DEPTH: Final = 32
"""How deep lists and mappings may be nested."""

MAX_NODES: Final = 50_000
"""How many nodes there may be with every alias written out: ten levels of ten aliases would be 10^10."""

_QUOTED = re.compile(r"""(['"])((?:(?!\1).)*)\1""")


class Document:
    """One file: where it is, the environment it's read in, and what was found wrong with it so far."""

    def __init__(self, path: Path, env: Mapping[str, str], data: bytes | None = None) -> None:
        self.path = path
        self._data = data
        self.env = env
        self.base = path.absolute().parent
        """What relative paths in the file are relative to."""
        self.inline_secret: tuple[int, int, str] | None = None
        """Where the file itself holds a secret, if it does: line, column and the path of that setting."""
        self._problems: list[tuple[int, int, str]] = []
        self._warnings: list[tuple[int, int, str]] = []

    def problem(self, line: int, column: int, path: str, message: str) -> None:
        """Note what is wrong at that place; line and column count from 0, as YAML's marks do."""
        self._problems.append((line, column, self._line(line, column, path, message)))

    def warning(self, line: int, column: int, path: str, message: str) -> None:
        """Note what is accepted and deserves a look."""
        self._warnings.append((line, column, self._line(line, column, path, message)))

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings, in the file's order."""
        return tuple(dict.fromkeys(line for *_, line in sorted(self._warnings)))

    def check(self) -> None:
        """Raise ConfigError with every problem, in the file's order, if there is one."""
        if self._problems:
            raise ConfigError(list(dict.fromkeys(line for *_, line in sorted(self._problems))))

    def _line(self, line: int, column: int, path: str, message: str) -> str:
        where = f"{self.path}:{line + 1}:{column + 1}"
        return one_line(": ".join(filter(None, (where, path, message))), 1000)

    def compose(self) -> yaml.Node:
        """The file's root node, null for an empty file. Raises ConfigError when it can't be read or isn't YAML."""
        root = self._compose(self._text())
        self.check()
        return nothing() if root is None else root

    def _bytes(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                return file.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            self.problem(0, 0, "", f"cannot be read: {getattr(error, 'strerror', None) or error}")
        self.check()
        raise AssertionError  # check raised

    def _text(self) -> str:
        data = self._bytes() if self._data is None else self._data
        if len(data) > MAX_BYTES:
            self.problem(0, 0, "", f"is larger than {MAX_BYTES >> 20} MiB")
            self.check()
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = data[: error.start]
            line_start = before.rfind(b"\n") + 1
            column = len(before[line_start:].decode("utf-8", "replace"))
            self.problem(before.count(b"\n"), column, "", f"byte 0x{data[error.start]:02x} isn't UTF-8")
        self.check()
        raise AssertionError  # check raised

    def _compose(self, text: str) -> yaml.Node | None:
        loader: _Loader | None = None
        try:
            loader = _Loader(text)
            return loader.get_single_node()
        except ReaderError as error:
            before = text[: error.position]
            column = error.position - (before.rfind("\n") + 1)
            self.problem(
                before.count("\n"),
                column,
                "",
                f"the character U+{ord(text[error.position]):04X} can't be here",
            )
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line, mark.column) if mark else (0, 0)
            self.problem(line, column, "", _explain(error))
        except (ValueError, OverflowError):
            # An escape beyond Unicode, a version of five thousand digits: the scanner lets int and chr complain.
            assert loader is not None
            self.problem(loader.line, loader.column, "", "not YAML: an escape or number that can't be")
        return None


def nothing() -> yaml.Node:
    """The root of an empty file."""
    mark = yaml.error.Mark("", 0, 0, 0, None, 0)
    return yaml.ScalarNode("tag:yaml.org,2002:null", "", mark, mark)


def _explain(error: yaml.MarkedYAMLError) -> str:
    """What the parser says, without the quotations that may hold a secret (`password: *hunter2` is an alias)."""
    said = "; ".join(filter(None, (error.context, error.problem))) or "it can't be parsed"
    said = _QUOTED.sub(lambda m: m[0] if len(m[2]) <= 1 or m[2].startswith("<") else "…", said)
    if error.problem and r"'\t'" in error.problem:
        said = "a tab can't stand here: indent with spaces"
    if isinstance(error, ComposerError) and "undefined alias" in said:
        said = "an alias without its anchor; text that begins with * must be quoted"
    return f"not YAML: {said}"


class _Loader(yaml.SafeLoader):
    """PyYAML's composer with bounds on depth and on what aliases unfold to."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0
        self._unfolded: dict[str, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """One node and all beneath it."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call] # the stubs leave the parser untyped
        anchor: str | None = getattr(event, "anchor", None)
        alias = isinstance(event, yaml.AliasEvent)
        before = self._nodes
        self._nodes += self._unfolded.get(anchor or "", 1) if alias else 1
        self._depth += 1
        if alias and anchor in self.anchors and anchor not in self._unfolded:
            raise _refuse("an alias can't stand within what it stands for", event)
        if self._depth > MAX_DEPTH:
            raise _refuse(f"nested deeper than {MAX_DEPTH} levels", event)
        if self._nodes > MAX_NODES:
            raise _refuse(f"more than {MAX_NODES} nodes, aliases written out", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if anchor is not None and not alias:
            self._unfolded[anchor] = self._nodes - before
        return node


def _refuse(message: str, event: yaml.Event) -> ComposerError:
    return ComposerError(None, None, message, cast("yaml.error.Mark", event.start_mark))
