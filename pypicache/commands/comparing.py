"""What `pypicache mirrors` shows: the measurements as one JSON object, and that object as tables for people.

It decides nothing: what figures mean is for `rules.appraisal`. No credential gets in, and all text that came from
mirrors is one line and shown as plain text.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import click
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pypicache.config.schema import Index, Mirror
from pypicache.config.wellknown import MIRRORS, address
from pypicache.errors import one_line
from pypicache.measuring import Comparison, Measured, compare
from pypicache.rules.appraisal import Place
from pypicache.simple.model import ProjectName, project_name

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
_UNITS = ("B/s", "kB/s", "MB/s", "GB/s")


def project_names(given: Sequence[str]) -> tuple[ProjectName, ...] | None:
    """The names, normalised, each once; None if one can't be a project's."""
    names = [project_name(each) for each in given]
    return None if None in names else tuple(dict.fromkeys(name for name in names if name is not None))


def run(index: Index, projects: Sequence[ProjectName], *, everyone: bool) -> Comparison:
    """Measure the index's mirrors, and with `everyone` the well-known ones that it hasn't; a bar on a terminal."""
    mirrors = [*index.mirrors, *(others(index.mirrors) if everyone else ())]
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with progress:
        task = progress.add_task("pages", total=2 * len(mirrors))

        def step(what: str) -> None:
            progress.update(task, advance=1, description=what)

        return _run(compare(mirrors, projects, step=step))


def _run(work: Coroutine[Any, Any, Comparison]) -> Comparison:
    """Run it on the daemon's kind of loop."""
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop  # noqa: PLC0415 - not there on Windows

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def others(mirrors: Sequence[Mirror]) -> Iterator[Mirror]:
    """The well-known mirrors that aren't among these, neither by name nor by address."""
    names, urls = {mirror.name for mirror in mirrors}, {mirror.url for mirror in mirrors}
    for each in MIRRORS:
        url = address(each.name)
        if each.name not in names and url not in urls:
            yield Mirror(name=each.name, url=url)


def report(index: Index, projects: Sequence[ProjectName], compared: Comparison) -> dict[str, Any]:
    """Everything that was found out, for programs."""
    return {
        "index": index.name,
        "projects": list(projects),
        "mirrors": [_mirror(each, index) for each in compared.mirrors],
        "suggested": [{"name": place.name, "serves": place.serves} for place in compared.places],
        "yaml": _yaml(compared),
        "keep_settings_of": [each.mirror.name for each in compared.mirrors if not _plain(each.mirror)],
    }


def _mirror(measured: Measured, index: Index) -> dict[str, Any]:
    mirror, found = measured.mirror, measured.findings
    quirks = next((known.quirks for known in MIRRORS if mirror.url == address(known.name)), ())
    lag = measured.lag
    return {
        "name": mirror.name,
        "url": mirror.url,
        "configured": mirror in index.mirrors,
        "reachable": found.answered,
        "usable": bool(found.pages or found.denied),
        "first_byte": measured.first_byte,
        "bytes_per_second": found.rate,
        "behind": None if lag is None else lag.seconds,
        "missing": None if lag is None else lag.missing,
        "lacks": [] if lag is None else list(lag.lacks),
        "sidecars": found.sidecars,
        "ranges": found.ranges,
        "errors": [one_line(error) for error in dict.fromkeys(found.errors)],
        "known_for": list(quirks),
    }


def _yaml(compared: Comparison) -> str:
    """The suggested order as a line for the configuration; empty when there is nothing to suggest."""
    mirrors = {each.mirror.name: each.mirror for each in compared.mirrors}
    entries = [_entry(mirrors[place.name], place) for place in compared.places]
    line = yaml.safe_dump(entries, default_flow_style=True, width=1_000_000, sort_keys=False)
    return f"mirrors: {line.strip()}" if entries else ""


def _entry(mirror: Mirror, place: Place) -> str | dict[str, str]:
    """A mirror as a configuration names it, without what only its own settings say."""
    known = next((each.name for each in MIRRORS if address(each.name) == mirror.url), None)
    entry = {"url": known or mirror.url}
    if known is None and mirror.name != urlsplit(mirror.url).hostname:
        entry["name"] = mirror.name
    if place.serves != "both":
        entry["serves"] = place.serves
    return entry["url"] if len(entry) == 1 else entry


def _plain(mirror: Mirror) -> bool:
    """Whether it has no settings but those that `_entry` gives."""
    return replace(mirror, name="", url="", serves="both") == Mirror(name="", url="")


def show(said: Mapping[str, Any]) -> None:
    """Print the comparison as a table, what went wrong a line each, and the order that is suggested."""
    console = Console(highlight=False)
    table = Table(
        "mirror", "first byte", "throughput", "behind", "sidecars", "ranges", box=None, pad_edge=False
    )
    for mirror in said["mirrors"]:
        table.add_row(*map(Text, _row(mirror)))
    console.print(table)
    for mirror in said["mirrors"]:
        for error in mirror["errors"]:
            click.echo(f"{mirror['name']}: {error}")
        if mirror["reachable"] and (mirror["errors"] or mirror["sidecars"] == "broken" or mirror["missing"]):
            for quirk in mirror["known_for"]:
                click.echo(f"{mirror['name']}, its users say: {quirk}")
    if said["yaml"]:
        click.echo(f"\nFor {said['index']}, from here:\n\n    {said['yaml']}")
        if said["keep_settings_of"]:
            click.echo(f"\nwith the other settings that {', '.join(said['keep_settings_of'])} has now")
    kept = {place["name"] for place in said["suggested"]}
    out = [mirror["name"] for mirror in said["mirrors"] if mirror["name"] not in kept]
    if out:
        click.echo(f"\nLeft out: {', '.join(out)}")


def _row(mirror: Mapping[str, Any]) -> Iterator[str]:
    yield mirror["name"]
    yield "-" if mirror["first_byte"] is None else f"{1000 * mirror['first_byte']:.0f} ms"
    yield "-" if mirror["bytes_per_second"] is None else _rate(mirror["bytes_per_second"])
    yield _behind(mirror)
    yield mirror["sidecars"] or "-"
    yield {True: "yes", False: "no", None: "-"}[mirror["ranges"]]


def _behind(mirror: Mapping[str, Any]) -> str:
    if mirror["behind"] is None:
        return "-"
    if mirror["lacks"]:
        return f"lacks {', '.join(mirror['lacks'])}"
    return f"{_duration(mirror['behind'])}, {mirror['missing']} files" if mirror["missing"] else "no"


def _rate(rate: float) -> str:
    power = 0
    while rate >= 1000 and power < len(_UNITS) - 1:  # noqa: PLR2004 - SI prefixes
        rate, power = rate / 1000, power + 1
    return f"{rate:.3g} {_UNITS[power]}"


def _duration(seconds: float) -> str:
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
