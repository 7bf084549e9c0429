"""Changes to the indexes of a configuration file: from its text to another text that says the same but for what was asked for.

Comments, quotes and the order of everything stay: ruamel.yaml keeps them, and every line that it would only spell differently
is taken from the file as it was. It changes text and writes nothing; whether the result is right is `changing`'s business.
"""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.representer import RoundTripRepresenter

from pypicache.config.comments import items_replaced
from pypicache.config.schema import DEFAULT_INDEX
from pypicache.config.wellknown import PYPI
from pypicache.errors import BadRequest, one_line

Scalar = str | bool | int | None

_OF_ITS_HOST = (
    "name", "username", "password", "password_file", "token", "token_file", "ca_file", "allow_private", "headers",
)  # fmt: skip
"""Settings of a mirror that hold for one host, and mustn't be carried to another."""


DEFAULTS: Mapping[str, Scalar] = {
    "ttl": "10m",
    "patience": "1s",
    "stale_while_revalidate": "1d",
    "stale_if_error": "30d",
    "negative_ttl": "60s",
    "web_url": None,
    "quota": None,
    "auth": None,
    "offline": False,
    "synthesize_metadata": True,
    "prefetch_dependencies": True,
    "prefetch_wheels": True,
}
"""What a setting is as if it had never been set, as it stands in a file."""

_INDENTATIONS = ((2, 2), (2, 0), (4, 4), (4, 0), (4, 2))
"""How far mappings are indented, and the dashes of lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexChange:
    """What is to become of an index."""

    index: str
    create: bool = False
    """Make it if there is none; otherwise that is an error."""
    first_mirror: str | None = None
    """What takes the place of its first mirror; the others stay."""
    mirrors: Sequence[str] | None = None
    """What takes the place of all its mirrors; those that stay keep their settings."""
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    """Its other settings, None for what is to be as if it had never been set."""


class _Representer(RoundTripRepresenter):
    """Writes nothing as `null`, where it is easily overlooked otherwise."""


def _text(representer: RoundTripRepresenter, text: str) -> Any:
    """A plain word is one to YAML 1.2, by which it is written, and to YAML 1.1, by which it is read; else quoted."""
    plain = _ALIKE.fullmatch(text) is not None
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_ALIKE = re.compile(r"(?!:)(?:[^?:]|:(?=[A-Za-z0-9/_.]))*", re.DOTALL)
"""In brackets, YAML 1.1 takes a question mark for the beginning of a key, and most colons for the end of one."""

_Representer.add_representer(str, _text)
_Representer.add_representer(
    type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null")
)


def edited(text: str, change: IndexChange) -> tuple[str, str]:
    """The text with the change made, in two spellings that say the same: the first is closer to the text.

    Raises BadRequest when there is nothing to change like that.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    plain = text.replace("\r\n", "\n")
    root, yaml = _load(plain)
    if root is None:  # nothing but comments
        added = _dump(yaml, CommentedMap(), change)
        whole = (plain + ("" if not plain or plain.endswith("\n") else "\n") + added).replace("\n", newline)
        return whole, whole
    before = _as_indented(yaml, root, plain)
    after = _dump(yaml, root, change)
    return _as_it_was(plain, before, after).replace("\n", newline), after.replace("\n", newline)


def _load(text: str) -> tuple[CommentedMap | None, YAML]:
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.preserve_quotes = True
    yaml.width = 1 << 16
    yaml.explicit_start = any(line.rstrip() == "---" for line in text.split("\n")[:200])
    try:
        root = yaml.load(text)
    except (YAMLError, ValueError) as error:
        raise BadRequest(f"the file can't be changed here: {one_line(str(error))}") from None
    if root is not None and not isinstance(root, CommentedMap):
        raise BadRequest("the file is no mapping")
    return root, yaml


def _as_indented(yaml: YAML, root: CommentedMap, text: str) -> str:
    """The text as it is spelled here, with `yaml` set to the indentation that comes closest to the text's own."""
    own = [_indent(line) for line in text.split("\n")]
    best, most, chosen = "", -1, _INDENTATIONS[0]
    for mapping, offset in _INDENTATIONS:
        yaml.indent(mapping=mapping, sequence=offset + 2, offset=offset)
        spelled = _dumped(yaml, root)
        same = sum(a == b for a, b in zip(own, map(_indent, spelled.split("\n")), strict=False))
        if same > most:
            best, most, chosen = spelled, same, (mapping, offset)
        if most == len(own):
            break
    yaml.indent(mapping=chosen[0], sequence=chosen[1] + 2, offset=chosen[1])
    return best


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _dumped(yaml: YAML, root: CommentedMap) -> str:
    stream = io.StringIO()
    yaml.dump(root, stream)
    return stream.getvalue()


def _dump(yaml: YAML, root: CommentedMap, change: IndexChange) -> str:
    index = _index(root, change)
    if change.first_mirror is not None:
        mirrors = _mirrors(index, change.index)
        rest = [item for item in mirrors[1:] if _address(item) != change.first_mirror]
        first = mirrors[0] if len(mirrors) else None
        items_replaced(mirrors, [_moved(first, change.first_mirror), *rest])
    if change.mirrors is not None:
        mirrors = _mirrors(index, change.index)
        held = {_address(item): item for item in reversed(mirrors)}
        items_replaced(mirrors, [held.get(mirror, mirror) for mirror in change.mirrors])
    for key, value in change.settings.items():
        if value is None and key not in index.ca.items:
            index.pop(key, None)
        elif value is None:  # removed, the comments behind it would go too
            index[key] = DEFAULTS[key]
        elif key in index:
            index[key] = value
        else:
            # At the beginning: what follows the end of a mapping in the file may be another one's comments.
            index.insert(0, key, value)
    return _dumped(yaml, root)


def _index(root: CommentedMap, change: IndexChange) -> CommentedMap:
    """The index's own mapping, made where it is missing. Raises BadRequest."""
    indexes = root.get("indexes")
    if not isinstance(indexes, CommentedMap):
        # A top-level `mirrors` is short for those of the one index there is; without either there is that of the defaults.
        short = root.get("mirrors")
        if short is not None and change.index == DEFAULT_INDEX and not change.settings:
            return root
        at = list(root).index("mirrors") if short is not None else len(root)
        root.pop("mirrors", None)
        root.pop("indexes", None)
        first = CommentedMap(mirrors=CommentedSeq([PYPI]) if short is None else short)
        root.insert(at, "indexes", CommentedMap({DEFAULT_INDEX: first}))
    indexes = _own(root, "indexes")
    if change.index not in indexes:
        if not change.create:
            raise BadRequest(f"there is no index {one_line(change.index, 100)}")
        indexes[change.index] = CommentedMap(mirrors=CommentedSeq())
    found = _own(indexes, change.index)
    if not isinstance(found, CommentedMap):
        raise BadRequest(f"the index {one_line(change.index, 100)} is no mapping")
    return found


def _mirrors(index: CommentedMap, name: str) -> CommentedSeq:
    if index.get("layers") is not None:
        raise BadRequest(f"{one_line(name, 100)} is made of other indexes, and has no mirrors of its own")
    mirrors = _own(index, "mirrors") if "mirrors" in index else None
    if not isinstance(mirrors, CommentedSeq):
        raise BadRequest(f"{one_line(name, 100)} has no list of mirrors of its own in the file")
    return mirrors


def _own(parent: CommentedMap, key: str) -> Any:
    """The value, in a copy of its own if it is shared by an anchor: the others must not change with it."""
    value = parent[key]
    if isinstance(value, CommentedMap | CommentedSeq) and value.anchor.value is not None:
        value = deepcopy(value)
        value.yaml_set_anchor(None)
        parent[key] = value
    return value


def _address(item: Any) -> Any:
    """What a mirror is known by: its address, or its well-known name."""
    return item.get("url") if isinstance(item, CommentedMap) else item


def _moved(item: Any, address: str) -> Any:
    """The mirror at another address. At another host nothing of what was meant for the first one is kept."""
    if not isinstance(item, CommentedMap):
        return address
    if _host(item.get("url")) != _host(address):
        for key in filter(item.get, _OF_ITS_HOST):
            if key in item.ca.items:
                item[key] = None  # removed, its comment would go too
            else:
                del item[key]
    if list(item) == ["url"] and not item.ca.items:
        return address
    item["url"] = address
    return item


def _host(address: Any) -> tuple[str, str]:
    try:
        parts = urlsplit(str(address))
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc.rpartition("@")[2].lower()


def _as_it_was(text: str, before: str, after: str) -> str:
    """`after`, with every line as it stands in `text` that `before`, which is `text` spelled anew, has too."""
    lines, spelled, wanted = (each.split("\n") for each in (text, before, after))
    if len(lines) != len(spelled):
        return after
    matcher = difflib.SequenceMatcher(None, spelled, wanted, autojunk=False)
    made: list[str] = []
    for kind, start, stop, begin, end in matcher.get_opcodes():
        made += lines[start:stop] if kind == "equal" else wanted[begin:end]
    return "\n".join(made)
