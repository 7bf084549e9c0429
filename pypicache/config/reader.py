"""Taking settings out of YAML nodes: each value knows its place, and each mistake is noted there.

A `Value` is a node with its path; the functions below turn one into text, a number, a list. They raise
`Bad`, which the nearest `take` or `attempt` notes at the value's line and column before it goes on with the
default: so all problems of a file are found in one pass. It knows nothing of which settings there are,
beside the table of those that are pending.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

import yaml

from pypicache.config.document import Document
from pypicache.config.pending import PENDING
from pypicache.config.values import Bad, nearest

T = TypeVar("T")

_KINDS: Final = {"bool": "true or false", "int": "a number", "float": "a number", "timestamp": "a date"}
_BOOLEANS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_PLAIN_INTEGER = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Value:
    """A node at its place in the file."""

    node: yaml.Node
    path: str
    """What people call the place, such as `indexes.root/pypi.mirrors[1].timeout.read`."""
    setting: str
    """The same with `*` for names and places in lists, without the list's brackets: the key of a table."""
    doc: Document

    @property
    def kind(self) -> str:
        """YAML's type: str, int, float, bool, null, timestamp, seq, map, or something that no setting is."""
        return str(self.node.tag).removeprefix(_TAG)

    @property
    def is_null(self) -> bool:
        """Whether nothing stands there, or `null`."""
        return self.kind == "null" and isinstance(self.node, yaml.ScalarNode)

    @property
    def raw(self) -> str:
        """A scalar's text as it stands in the file, unquoted."""
        return str(self.node.value) if isinstance(self.node, yaml.ScalarNode) else ""

    @property
    def described(self) -> str:
        """What stands there, in words."""
        if self.is_null:
            return "nothing"
        if not self.node.tag.startswith(_TAG):
            return "a tag"
        if isinstance(self.node, yaml.SequenceNode):
            return "a list"
        if isinstance(self.node, yaml.MappingNode):
            return "a mapping"
        return _KINDS.get(self.kind, "text" if self.kind == "str" else "a tag")

    def stand_in(self, key: str, content: str | None) -> Value:
        """The value of a key that isn't given: that text, or nothing, at this place."""
        mark = self.node.start_mark
        tag = "null" if content is None else "str"
        node = yaml.ScalarNode(f"{_TAG}{tag}", content or "", mark, mark)
        join = "." if self.path else ""
        return Value(node, f"{self.path}{join}{key}", f"{self.setting}{join}{key}", self.doc)

    def problem(self, message: str) -> None:
        """Note what is wrong with it."""
        mark = self.node.start_mark
        self.doc.problem(mark.line, mark.column, self.path, message)

    def warn(self, message: str) -> None:
        """Note what deserves a look."""
        mark = self.node.start_mark
        self.doc.warning(mark.line, mark.column, self.path, message)

    def attempt(self, parse: Callable[[Value], T], default: T) -> T:
        """What `parse` makes of it; the default, and a problem noted, when it can't be."""
        try:
            value = parse(self)
        except Bad as bad:
            self.problem(str(bad))
            return default
        if value != default and self.setting in PENDING:
            self.warn(f"has no effect in this version: {PENDING[self.setting]}")
        return value

    def items(self) -> Iterator[Value]:
        """The items of a list. Raises Bad when it's no list."""
        if not isinstance(self.node, yaml.SequenceNode) or self.kind != "seq":
            raise Bad(f"a list is due, not {self.described}")
        for place, node in enumerate(self.node.value):
            yield Value(node, f"{self.path}[{place}]", f"{self.setting}.*", self.doc)

    def entries(self, *, named: bool) -> Iterator[tuple[Value, Value]]:
        """Keys and values of a mapping, each key once; `named`: the keys are names that the file chooses.

        Raises Bad when it's no mapping. Keys that aren't text, or come twice, are noted and left out.
        """
        seen: dict[str, int] = {}
        for key_node, node in self._pairs():
            place = f"{self.path}." if self.path else ""
            key = Value(key_node, self.path, self.setting, self.doc)
            if not isinstance(key_node, yaml.ScalarNode) or (named and key.kind != "str"):
                hint = (
                    f"{key.described}: quote it" if isinstance(key_node, yaml.ScalarNode) else key.described
                )
                key.problem(f"a name is due, not {hint}")
                continue
            name = key.raw
            key = Value(key_node, place + name, self.setting, self.doc)
            if name in seen:
                key.problem(f"given twice, first on line {seen[name]}")
                continue
            seen[name] = key_node.start_mark.line + 1
            setting = ".".join(filter(None, (self.setting, "*" if named else name)))
            yield key, Value(node, place + name, setting, self.doc)

    def _pairs(self) -> list[tuple[yaml.Node, yaml.Node]]:
        """The mapping's pairs, with what its merge keys (`<<`) bring and it doesn't have itself."""
        if not isinstance(self.node, yaml.MappingNode) or self.kind != "map":
            raise Bad(f"a mapping is due, not {self.described}")
        own = [pair for pair in self.node.value if pair[0].tag != f"{_TAG}merge"]
        names = {key.value for key, _ in own if isinstance(key, yaml.ScalarNode)}
        for key, merged in self.node.value:
            if key.tag != f"{_TAG}merge":
                continue
            several = merged.value if isinstance(merged, yaml.SequenceNode) else [merged]
            for node in several:
                pairs = Value(node, self.path, self.setting, self.doc)._pairs()  # noqa: SLF001 - the same class
                added = [pair for pair in pairs if str(pair[0].value) not in names]
                names.update(str(key.value) for key, _ in added)
                own += added
        return own


class Section:
    """A mapping with known keys: each is taken once, and what is left over at the end is unknown."""

    def __init__(self, value: Value) -> None:
        self.value = value
        self._given: dict[str, tuple[Value, Value]] = {}
        self._known: list[str] = []
        if not value.is_null:
            # Nothing there is a section with everything commented out: the defaults.
            self._given = {key.raw: (key, entry) for key, entry in value.entries(named=False)}

    def take(self, key: str, parse: Callable[[Value], T], default: T) -> T:
        """The setting, or the default when it isn't given or can't be."""
        value = self.get(key)
        return default if value is None else value.attempt(parse, default)

    def get(self, key: str) -> Value | None:
        """The setting's value as it stands, None when it isn't given."""
        self._known.append(key)
        return self._given[key][1] if key in self._given else None

    def finish(self) -> None:
        """Note every key that nobody took."""
        for name, (key, _) in self._given.items():
            if name not in self._known:
                key.problem(f"unknown key{nearest(name, self._known)}")


def text(value: Value) -> str:
    """Text, without control characters."""
    if value.kind not in {"str", "value"} or not isinstance(value.node, yaml.ScalarNode):
        hint = ": quote it" if value.kind in _KINDS else ""
        raise Bad(f"text is due, not {value.described}{hint}")
    if any(c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in value.raw):
        raise Bad("text can't hold control characters or line breaks")
    if not value.raw:
        raise Bad("text is due, not the empty string")
    return value.raw


def flag(value: Value) -> bool:
    """True or false."""
    word = value.raw.lower()
    if value.kind != "bool" or word not in _BOOLEANS:
        raise Bad(f"true or false is due, not {value.described}")
    return _BOOLEANS[word]


def whole(low: int, high: int) -> Callable[[Value], int]:
    """A whole number in plain decimal digits, from low to high."""

    def parse(value: Value) -> int:
        # The text counts, not the tag: YAML reads 0123 as 83 and 1:30 as 90.
        if value.kind != "int" or not _PLAIN_INTEGER.fullmatch(value.raw):
            raise Bad(f"a whole number is due{'' if value.kind in _KINDS else f', not {value.described}'}")
        if not low <= int(value.raw) <= high:
            raise Bad(f"a whole number from {low} to {high} is due")
        return int(value.raw)

    return parse


def one_of(*choices: T) -> Callable[[Value], T]:
    """One of a few words."""

    def parse(value: Value) -> T:
        word = text(value)
        for choice in choices:
            if choice == word:
                return choice
        words = [str(choice) for choice in choices]
        raise Bad(f"{' or '.join(words)} is due{nearest(word, words)}")

    return parse


def scalar(parse: Callable[[str], T]) -> Callable[[Value], T]:
    """What `parse` makes of a scalar's text as it stands, a number or not: durations and sizes."""
    return lambda value: parse(text(value) if value.described == "a tag" else value.raw)


def worded(parse: Callable[[str], T]) -> Callable[[Value], T]:
    """Text, which `parse` makes sense of."""
    return lambda value: parse(text(value))


def optional(parse: Callable[[Value], T]) -> Callable[[Value], T | None]:
    """The same, or nothing (`null`)."""
    return lambda value: None if value.is_null else parse(value)


def listed(parse: Callable[[Value], T]) -> Callable[[Value], tuple[T, ...]]:
    """A list of the same, each item once, or nothing; items that can't be are noted and left out."""

    def read(value: Value) -> tuple[T, ...]:
        found: list[T] = []
        for item in () if value.is_null else value.items():
            try:
                parsed = parse(item)
            except Bad as bad:
                item.problem(str(bad))
                continue
            if parsed in found:
                item.problem("given twice")
            else:
                found.append(parsed)
        return tuple(found)

    return read
