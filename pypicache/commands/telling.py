"""What `pypicache cache` shows, for people: tables of plain text, whatever names hold."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import click

from pypicache.care.orders import CacheInfo, FileInfo, Files, ProjectInfo, Projects
from pypicache.commands.common import aligned
from pypicache.errors import one_line
from pypicache.monitor.words import size


def tell_info(info: CacheInfo) -> None:
    """The cache in numbers."""
    _table((), _numbers(info))
    _table(
        ("index", "projects", "pages", "files", "size"),
        (
            (name, str(index.projects), str(index.pages), str(index.files), size(index.bytes))
            for name, index in info.indexes.items()
        ),
    )
    _table(("largest", "index", "size", "last used"), map(_file, info.largest))
    _table(("unused for longest", "index", "size", "last used"), map(_file, info.oldest))


def _numbers(info: CacheInfo) -> Iterator[Sequence[str]]:
    yield "directory", info.directory
    yield "size", size(info.bytes)
    yield "files", f"{info.files} ({size(info.files_bytes)})"
    yield "downloads", size(info.spools_bytes)
    yield "links", size(info.links_bytes)
    yield "pages and others", size(info.others_bytes)
    if (rates := info.rates) is None:
        yield "daemon", "none runs"
        return
    rate = "-" if rates.hit_rate is None else f"{100 * rates.hit_rate:.1f} %"
    yield "hit rate", f"{rate} of {rates.requests} requests since {_at(rates.since)}"
    yield "pages", f"{rates.page_hits} hits, {rates.page_misses} misses"
    yield "files sent", f"{rates.file_hits} hits, {rates.file_misses} misses"
    yield "saved", size(rates.saved)


def tell_projects(said: Projects) -> None:
    """What is held, by project."""
    _table(("project", "index", "files", "size", "last used", "page confirmed"), map(_project, said.projects))
    click.echo(f"{len(said.projects)} projects")


def tell_files(said: Files) -> None:
    """What is held of one project."""
    _table(("project", "index", "files", "size", "last used", "page confirmed"), map(_project, said.projects))
    _table(("file", "index", "size", "last used"), map(_file, said.files))
    for file in said.files:
        if file.verdict != "ok":
            click.echo(f"{one_line(file.filename)}: {one_line(file.verdict)}")
    if not said.projects:
        click.echo("nothing of it is held")


def _project(project: ProjectInfo) -> Sequence[str]:
    return (
        one_line(project.project),
        project.index,
        str(project.files),
        size(project.bytes),
        _at(project.used_at),
        _at(project.checked_at or 0.0),
    )


def _file(file: FileInfo) -> Sequence[str]:
    return one_line(file.filename or file.sha256), file.index or "-", size(file.size), _at(file.used_at)


def _table(columns: Sequence[str], rows: Iterator[Sequence[str]]) -> None:
    """The rows, if there are any, and an empty line."""
    found = list(rows)
    if not found:
        return
    for line in aligned([columns, *found] if columns else found):
        click.echo(line)
    click.echo()


def _at(instant: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(instant)) if instant else "-"
