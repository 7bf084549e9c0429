"""Where ruamel.yaml keeps the comments of a list, so that they stay when its items change.

It hangs what stands behind an item, and all comment lines up to whatever comes next in the file, on that item's
last leaf. So the last item of a list holds the comments of the section that follows the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

from ruamel.yaml.comments import CommentedMap, CommentedSeq


def items_replaced(items: CommentedSeq, new: Sequence[Any]) -> None:
    """Put `new` in the place of the items; comments stay with the items that stay, and what follows the list follows it."""
    old = list(items)
    tail = _take_tail(items)
    comments = {_key(item): items.ca.items.get(place) for place, item in enumerate(old)}
    items.ca.items.clear()
    items[:] = list(new)
    for place, item in enumerate(new):
        kept = comments.get(_key(item))
        if kept is not None and any(kept):
            items.ca.items[place] = kept
    _give_tail(items, tail)


def _key(item: Any) -> object:
    return item if isinstance(item, str) else id(item)


def _slot(node: Any) -> tuple[dict[Any, list[Any]], Any, int]:
    """Where the comment behind the last leaf is: a table, its key, and the place in what is there."""
    while True:
        key, place = (len(node) - 1, 0) if isinstance(node, CommentedSeq) else (list(node)[-1], 2)
        child = node[key]
        nested = isinstance(child, CommentedMap | CommentedSeq) and len(child) > 0
        if not nested or child.fa.flow_style():
            return node.ca.items, key, place
        node = child


def _take_tail(items: CommentedSeq) -> Any:
    """The comment lines behind the list, taken off its last leaf; what stands behind that leaf in its line is left."""
    if not items or items.fa.flow_style():
        return None
    table, key, place = _slot(items)
    slots = table.get(key)
    token = slots[place] if slots is not None and len(slots) > place else None
    if slots is None or token is None:
        return None
    remark, newline, rest = token.value.partition("\n")
    tail = copy(token)
    tail.value = newline + rest
    if remark:
        token.value = remark + "\n"
    else:
        slots[place] = None
    return tail if rest else None


def _give_tail(items: CommentedSeq, tail: Any) -> None:
    """Hang the comment lines on the list's last leaf."""
    if tail is None or not items:
        return
    table, key, place = _slot(items)
    slots = table.setdefault(key, [None] * 4 if place else [None, None])
    if slots[place] is None:
        slots[place] = tail
    else:
        merged = copy(slots[place])
        merged.value = merged.value.rstrip("\n") + tail.value
        slots[place] = merged
