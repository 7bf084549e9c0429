"""What `pypicache explain` shows: what a running daemon says of one project, for people.

It asks the daemon over HTTP at the address that the configuration has it listen on, and shows the answer; it
decides nothing, and everything that came from mirrors is shown as plain text.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pypicache.config.schema import Config, Listen
from pypicache.errors import PypicacheError, one_line

TIMEOUT = 10.0
"""Seconds for the whole question: the daemon asks nobody."""

MAX_ANSWER = 4 << 20
"""A longer answer isn't the daemon's."""


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(str(self._path))


def ask(config: Config, path: str) -> Any:
    """The running daemon's JSON at that path. Raises PypicacheError when none runs there, or it refuses."""
    address = config.server.listen[0]
    connection = _connection(address)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(MAX_ANSWER)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PypicacheError(f"no daemon answers at {address}: {one_line(reason)}") from error
    finally:
        connection.close()
    if response.status != 200:  # noqa: PLR2004 - the one success there is
        said = one_line(body.decode("utf-8", "replace").strip())
        raise PypicacheError(f"the daemon at {address} answers {response.status}: {said}")
    try:
        return json.loads(body)
    except ValueError as error:
        raise PypicacheError(f"what answers at {address} isn't pypicache") from error


def _connection(address: Listen) -> http.client.HTTPConnection:
    if address.unix is not None:
        return _UnixConnection(address.unix)
    # An address of every interface is also one of this machine's own.
    host = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104 - compared, not bound
    return http.client.HTTPConnection(host or "127.0.0.1", address.port, timeout=TIMEOUT)


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
    if said.get("also_in"):
        yield "not shown", f"also in {', '.join(said['also_in'])}"


def _breaker(state: Mapping[str, Any]) -> str:
    wait = f", {state['wait']:.0f} s more" if state["wait"] else ""
    errors = f", {state['errors']} errors" if state["errors"] else ""
    return f"{state['state']}{wait}{errors}"


def _at(instant: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(instant))
