"""What `pypicache explain` shows: what a running daemon says of one project, for people.

It asks nobody and decides nothing, and everything that came from mirrors is shown as plain text.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pypicache.errors import one_line


def show(said: Mapping[str, Any], console: Console) -> None:
    """Print the explanation as tables: the index's own, then those of its layers."""
    console.print(Text(f"{said['project']} on {said['index']}: {said['answer']}", style="bold"))
    if facts := list(_facts(said)):
        table = Table(box=None, show_header=False, pad_edge=False)
        for name, value in facts:
            table.add_row(Text(name, style="dim"), Text(value))
        console.print(table)
    if said.get("layers"):
        table = Table("layer", "owns", "asked for it", "remembers", box=None, pad_edge=False)
        for layer in said["layers"]:
            owns = ", ".join(layer["owns"]) or "-"
            asked = "yes" if layer["may_be_asked"] else "never"
            table.add_row(*map(Text, (layer["index"], owns, asked, layer["standing"])))
        console.print(table)
    if said.get("mirrors"):
        table = Table("mirror", "pages", "files", box=None, pad_edge=False)
        for mirror in said["mirrors"]:
            table.add_row(*map(Text, (mirror["name"], _breaker(mirror["pages"]), _breaker(mirror["files"]))))
        console.print(table)
    for each in said.get("below", ()):
        console.print()
        show(each, console)


def _facts(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is known of the page, as rows."""
    if "freshness" in said:
        yield "freshness", f"{said['freshness']}; fresh until {_at(said['fresh_until'])}"
        yield "in an outage", f"of use until {_at(said['usable_until'])}"
        yield "confirmed", f"{said['age']:.0f} s ago, asked {_at(said['asked_at'])}"
    for key, name in (
        ("mirror", "answered by"),
        ("home", "page from"),
        ("etag", "ETag"),
        ("last_modified", "Last-Modified"),
        ("files", "files"),
        ("hidden", "hidden"),
    ):
        if said.get(key) is not None:
            yield name, one_line(str(said[key]))
    if said.get("denied_at") is not None:
        by = ", ".join(said.get("denied_by", ())) or "its mirrors"
        yield "denied", f"no such project, said {by} at {_at(said['denied_at'])}"
    for mirror, since in said.get("silent_since", {}).items():
        yield "silent", f"{mirror}, since {_at(since)}"
    if said.get("unsure"):
        yield "lacks files of", ", ".join(said["unsure"])
    for filename, mirror in said.get("withdrawn", {}).items():
        yield "taken off", one_line(f"{filename}, by {mirror}")
    if said.get("file"):
        yield from _file(said["file"])
    if said.get("also_in"):
        yield "not shown", f"also in {', '.join(said['also_in'])}"


def _file(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is known of the one file, as rows."""
    yield "file", one_line(f"{said['filename']}: {said['answer']}")
    if said.get("listed_by"):
        yield "listed by", said["listed_by"]
    for digest in said.get("digests", ()):
        yield "digest", digest
    if said.get("size") is not None:
        yield "size", f"{said['size']} bytes"
    for verdict in said.get("verdicts", ()):
        yield "last said", one_line(verdict)


def _breaker(state: Mapping[str, Any]) -> str:
    wait = f", {state['wait']:.0f} s more" if state["wait"] else ""
    errors = f", {state['errors']} errors" if state["errors"] else ""
    return f"{state['state']}{wait}{errors}"


def _at(instant: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(instant))
