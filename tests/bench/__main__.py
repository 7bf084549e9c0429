"""pypicache beside its peers: `python -m tests.bench`. Needs wrk and nginx (Debian: wrk, nginx-light).

Everything is on loopback: an origin that this starts, the servers with it behind them, wrk, real uv and pip in front. Every
round asks every server, in alternating order, and what is quoted are medians and ratios within a round. `--cold` asks for what
nobody has asked for, `--installs uv,pip` and `--far` install, `--workers 1,2` has so many processes of nginx and of pypicache side
by side. With `--peers devpi,proxpi` these are installed into an environment of their own and measured, too. `--json` has it all.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import Progress

from tests.bench import cold, corpus, installs, peers, report
from tests.bench.load import measure, wrk_path
from tests.bench.peers import JSON_TYPE, Peer
from tests.bench.report import Row
from tests.bench.usage import Usage
from tests.bench.usage import show as show_usage
from tests.client import get

PAGE = {"Accept": f"{JSON_TYPE}, text/html;q=0.2", "Accept-Encoding": "gzip", "User-Agent": "bench"}
PLAIN = {**PAGE, "Accept-Encoding": "identity"}
FILE = {"Accept-Encoding": "identity", "User-Agent": "bench"}

QUESTIONS: dict[str, tuple[str, str, float | None]] = {
    "page": ("94 kB page, gzip", "page", 0.9),
    "plain": ("94 kB page, plain", "page", None),
    "304": ("94 kB page, 304", "page", 0.9),
    "small": ("4 kB page, gzip", "small", None),
    "large": ("1.9 MB page, gzip", "large", 0.9),
    "wheel": ("126 kB wheel", "wheel-126k", 0.7),
    "tiny": ("20 kB wheel", "wheel-20k", None),
    "big": ("12 MB wheel", "wheel-12m", 0.95),
    "giant": ("200 MB wheel", "wheel-200m", None),
}
"""What is asked: its title, its project, and the share of nginx's rate that is the goal."""


def main() -> None:
    """Run what is asked for, and show it."""
    options = _options()
    wrk_path()
    console = Console()
    began = time.strftime("%Y-%m-%d")
    found: dict[str, object] = {"date": began, "rounds": options.rounds, "seconds": options.seconds}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o755)  # nginx's workers are another user
        wanted = options.only.split(",") if options.only else [key for key in QUESTIONS if key != "giant"]
        large, once = "giant" in wanted, options.rounds if options.cold else 0
        servers = _servers(stack, folder, corpus.make(folder / "corpus", large=large, cold=once), options)
        limits = {peer.name: peer.limit for peer in servers}
        usage = Usage(servers)
        rows = _hot(servers, wanted, options, console)
        if rows:
            report.show(rows, console)
        if options.cold:
            answers = cold.measure(servers, options.rounds)
            cold.show(answers, limits, console)
            found["cold"] = answers
        if rows or options.cold:
            used = found["usage"] = usage.read()
            show_usage(used, console)
        found["installs"] = _installs(servers, limits, folder, options, console)
    if options.json:
        data = msgspec.json.encode(report.as_json(rows, **found))
        options.json.write_bytes(msgspec.json.format(data, indent=1) + b"\n")
    if options.svg:
        options.svg.write_text(
            report.picture(rows, f"Requests a second, bars relative to nginx serving static files, {began}")
        )


def _installs(
    servers: list[Peer],
    limits: Mapping[str, str],
    folder: Path,
    options: argparse.Namespace,
    console: Console,
) -> Mapping[str, object]:
    """Installations of the set: warm by each installer that is asked for, and from far away."""
    found: dict[str, object] = {}
    for installer in filter(None, options.installs.split(",")):
        times = found[f"warm, {installer}"] = installs.warm(servers, options.rounds, installer)
        title = f"{installer} installs {corpus.SET} packages, all of them cached"
        report.show_installs(title, times, report.LIMIT, console, limits)
    if options.far:
        times = found["far, uv"] = installs.far(folder / "far", options.rounds, servers[0])
        title = f"uv installs {corpus.SET} packages from an origin 50 ms away, 4 MB/s a connection"
        report.show_installs(title, times, "direct", console)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7, help="how many, 7 by default")
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="of one measurement, rounded up; 2 by default"
    )
    parser.add_argument("--connections", type=int, default=16, help="that wrk keeps open, 16 by default")
    parser.add_argument(
        "--workers",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[1],
        metavar="N[,N…]",
        help="processes of pypicache and of nginx; several numbers are measured side by side",
    )
    parser.add_argument("--peers", default="", help="of devpi, proxpi; the nginx cache is always there")
    parser.add_argument("--only", default="", help=f"some of {', '.join(QUESTIONS)}; `none` for none")
    parser.add_argument("--cold", action="store_true", help="also ask for what nobody has asked for before")
    parser.add_argument(
        "--installs",
        nargs="?",
        const="uv",
        default="",
        metavar="uv,pip",
        help="also install a set of packages, with uv unless told",
    )
    parser.add_argument("--far", action="store_true", help="also install it from an origin that is far away")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was measured")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw it")
    parser.add_argument("--tools", type=Path, help="where devpi and proxpi are installed")
    found = parser.parse_args()
    if found.tools is None:
        found.tools = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pypicache-bench"
    return found


def _servers(stack: ExitStack, folder: Path, made: corpus.Corpus, options: argparse.Namespace) -> list[Peer]:
    origin = stack.enter_context(peers.nginx_static(folder / "origin", made.folder, workers=1, name="origin"))
    found: list[Peer] = []
    for place, workers in enumerate(options.workers):
        suffix = f" {workers}" if place else ""
        at, limit = folder / str(workers), f"nginx static{suffix}"
        if workers > 1:
            even = peers.nginx_static(
                at / "even",
                made.folder,
                workers=workers,
                name=f"nginx reuseport{suffix}",
                limit=limit,
                reuseport=True,
            )
            found.append(stack.enter_context(even))
        found += [
            stack.enter_context(peers.nginx_static(at / "static", made.folder, workers=workers, name=limit)),
            stack.enter_context(
                peers.pypicache(
                    at / "own", origin.simple, workers=workers, name=f"pypicache{suffix}", limit=limit
                )
            ),
        ]
    workers = options.workers[0]
    found.append(stack.enter_context(peers.nginx_cache(folder / "proxy", origin, workers=workers)))
    others = [name for name in options.peers.split(",") if name]
    if "devpi" in others:
        found.append(stack.enter_context(peers.devpi(folder / "devpi", origin, options.tools)))
    if "proxpi" in others:
        found.append(stack.enter_context(peers.proxpi(folder / "proxpi", origin, options.tools)))
    return found


def _hot(servers: list[Peer], wanted: list[str], options: argparse.Namespace, console: Console) -> list[Row]:
    rows: list[Row] = []
    keys = [key for key in wanted if key in QUESTIONS]
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("measuring", total=len(keys) * options.rounds * len(servers))
        for key in keys:
            title, project, goal = QUESTIONS[key]
            limits = {peer.name: peer.limit for peer in servers}
            row = Row(title, goal, {peer.name: [] for peer in servers}, limits)
            asked = {peer.name: _question(peer, key, project) for peer in servers}
            for number in range(options.rounds):
                for peer in servers if number % 2 else reversed(servers):
                    url, headers = asked[peer.name]
                    sample = measure(
                        peer, url, headers, seconds=options.seconds, connections=options.connections
                    )
                    row.samples[peer.name].append(sample)
                    progress.advance(task)
            rows.append(row)
    return rows


def _question(peer: Peer, key: str, project: str) -> tuple[str, dict[str, str]]:
    """The address and the headers, after the server has been asked twice, so that its answer is hot."""
    page = f"{peer.simple}{project}/"
    url = page if project in corpus.PAGES else peer.file(project)
    headers = PLAIN if key == "plain" else PAGE if url == page else FILE
    for _ in range(2):
        answer = get(url, headers)
        assert answer.status == 200, f"{peer.name} answers {answer.status}: {answer.body[:200]!r}"
    if key == "304":
        etag = answer.headers.get("etag")
        if etag is None:
            return url, headers
        headers = {**headers, "If-None-Match": etag}
    return url, headers


if __name__ == "__main__":
    main()
