"""What `pypicache status` shows: what a running daemon says of itself, for people.

It asks nobody and decides nothing. Names that come from mirrors and clients are shown as plain text, on one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pypicache.errors import one_line
from pypicache.monitor.words import duration, share, size

SHOWN: Final = 10
"""Rows of a list that can be long."""

_STYLES: Final = {"up": "green", "trying": "yellow", "down": "bold red"}


def show(said: Mapping[str, Any], console: Console) -> None:
    """Print the status as tables."""
    workers = said["workers"]
    several = f", {len(workers)} workers" if len(workers) > 1 else ""
    head = f"pypicache {said['version']}, up for {duration(said['uptime'])}{several}"
    console.print(Text(head, style="bold"))
    for worker in workers:
        if not worker["answers"]:
            missing = f"worker {worker['number']} doesn't answer: what it does isn't in these figures"
            console.print(Text(missing, style="bold red"))
    if said["unusable"]:
        console.print(Text(f"not ready: {one_line(said['unusable'])}", style="bold red"))
    _table(console, (), _facts(said), dim=True)
    _table(
        console,
        ("index", "mirror", "health", "answers in", "files at", "requests", "failed", "last error"),
        _mirrors(said),
    )
    _table(console, ("index", "layers"), _layers(said))
    _table(console, ("download", "", "at", "readers", "from"), _downloads(said))
    _table(console, ("most wanted", "index", "requests"), _wanted(said))
    _table(console, ("last errors", "where", "about", "why"), _errors(said))
    _table(console, ("in several layers", "index", "not shown"), _shadowed(said))


def _table(
    console: Console, columns: Sequence[str], rows: Iterator[Sequence[str | Text]], *, dim: bool = False
) -> None:
    """The rows, if there are any."""
    found = list(rows)
    if not found:
        return
    console.print()
    table = Table(*columns, box=None, show_header=bool(columns), pad_edge=False)
    for first, *rest in found:
        cells = [Text(first, style="dim") if dim and isinstance(first, str) else first, *rest]
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))
    console.print(table)


def _facts(said: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    totals, disk = said["totals"], said["disk"]
    yield "requests", f"{totals['requests']:,}, {totals['failed']:,} failed; {said['in_flight']} in flight"
    yield "pages", _hits(totals["page_hits"], totals["page_misses"])
    yield "files", _hits(totals["file_hits"], totals["file_misses"])
    yield "sent", f"{size(totals['sent'])}, {size(totals['saved'])} of it without asking a mirror"
    yield "received", f"{size(totals['received'])} from mirrors"
    if disk["used"] is not None:
        yield "cache", f"{size(disk['used'])} of {size(disk['max_size'])}, {disk['files']:,} files"
    if disk["free"] is not None:
        yield "disk", f"{size(disk['free'])} free of {size(disk['total'])}"


def _hits(hits: int, misses: int) -> str:
    if not hits + misses:
        return "none yet"
    return f"{share(hits, hits + misses)} from the cache ({hits:,} of {hits + misses:,})"


def _mirrors(said: Mapping[str, Any]) -> Iterator[Sequence[str | Text]]:
    for index in said["indexes"]:
        name = f"{index['name']}{' (default)' if index['default'] else ''}{' (offline)' if index['offline'] else ''}"
        for mirror in index["mirrors"]:
            yield (
                name,
                mirror["name"]
                if mirror["serves"] == "both"
                else f"{mirror['name']} ({mirror['serves']} only)",
                Text(mirror["health"], style=_STYLES.get(mirror["health"], "")),
                "-" if mirror["latency"] is None else f"{mirror['latency'] * 1000:.0f} ms",
                "-" if mirror["rate"] is None else f"{size(mirror['rate'])}/s",
                f"{mirror['requests']:,}",
                f"{mirror['failures']:,}",
                _last_error(mirror, said["now"]),
            )
            name = ""


def _last_error(mirror: Mapping[str, Any], now: float) -> str:
    if not mirror["last_error"]:
        return ""
    return one_line(f"{duration(now - mirror['last_error_at'])} ago: {mirror['last_error']}", 100)


def _layers(said: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for index in said["indexes"]:
        layers = [
            f"{layer['index']} (owns {', '.join(layer['owns'])})" if layer["owns"] else layer["index"]
            for layer in index["layers"]
        ]
        if layers:
            yield f"{index['name']}{' (default)' if index['default'] else ''}", ", then ".join(layers)


def _downloads(said: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for each in said["downloads"][:SHOWN]:
        whole = f" of {size(each['size'])}" if each["size"] else ""
        share = f"{each['bytes'] / each['size']:.0%}" if each["size"] else ""
        yield (
            one_line(each["filename"]),
            share,
            f"{size(each['bytes'])}{whole}, {size(each['rate'])}/s",
            f"{each['readers']}",
            ", ".join(each["mirrors"]),
        )
    if (more := said["transfers"] - SHOWN) > 0:
        yield f"and {more} more", "", "", "", ""


def _wanted(said: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for each in said["wanted"][:SHOWN]:
        yield one_line(each["project"]), each["index"], f"{each['requests']:,}"


def _errors(said: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for each in said["errors"][:SHOWN]:
        times = f" ({each['count']} times)" if each["count"] > 1 else ""
        when = f"{duration(said['now'] - each['last'])} ago{times}"
        yield when, one_line(each["where"]), one_line(each["subject"], 60), one_line(each["reason"], 120)


def _shadowed(said: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for each in said["shadowed"][-SHOWN:]:
        yield one_line(each["project"]), each["index"], ", ".join(each["hidden"])
