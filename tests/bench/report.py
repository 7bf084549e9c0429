"""What the benchmark found, as a table, as JSON, and as a picture."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from rich.console import Console
from rich.table import Table

from tests.bench.load import Sample

LIMIT = "nginx static"
"""The server that all are compared with."""


@dataclass
class Row:
    """One question, and the samples of each server, round by round."""

    title: str
    goal: float | None
    """The share of the limit's rate that pypicache is to reach."""
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    """Whom each server is compared with; without a word, `LIMIT`."""

    def rate(self, peer: str) -> float:
        """The median of the requests a second."""
        return statistics.median(sample.rate for sample in self.samples[peer])

    def share(self, peer: str) -> float:
        """The median of each round's ratio to the limit."""
        pairs = zip(self.samples[peer], self.samples[self.limit(peer)], strict=True)
        return statistics.median(one.rate / limit.rate for one, limit in pairs)

    def limit(self, peer: str) -> str:
        """The server that it is compared with."""
        return self.limits.get(peer, LIMIT)

    def cpu(self, peer: str) -> float:
        """The median of the processor seconds for a request."""
        return statistics.median(sample.cpu for sample in self.samples[peer])


def show(rows: Sequence[Row], console: Console) -> None:
    """A table: a line for each question and server."""
    table = Table(
        title="hot answers, medians; share: of nginx static with as many processes in the same round"
    )
    for column in ("", "server", "requests/s", "share", "goal", "CPU µs", "of nginx's", "p99 ms"):
        table.add_column(
            column, justify="left" if column in {"", "server"} else "right", no_wrap=column == "server"
        )
    for row in rows:
        for place, (peer, samples) in enumerate(row.samples.items()):
            table.add_row(
                "" if place else row.title,
                peer,
                f"{row.rate(peer):,.0f}",
                f"{row.share(peer):.2f}",
                f"{row.goal:.2f}" if row.goal and peer.startswith("pypicache") else "",
                f"{row.cpu(peer) * 1e6:,.1f}",
                f"{row.cpu(peer) / row.cpu(row.limit(peer)):.2f}",
                f"{statistics.median(sample.p99 for sample in samples) * 1e3:.1f}",
                end_section=place == len(row.samples) - 1,
            )
    console.print(table)


def show_installs(
    title: str,
    found: Mapping[str, Sequence[float]],
    base: str,
    console: Console,
    limits: Mapping[str, str] | None = None,
) -> None:
    """A table of installations: medians, and the median of each round's ratio to `base`, or to what `limits` names."""
    table = Table(title=title)
    for column in ("", "seconds", f"of {base}"):
        table.add_column(column, justify="right" if column else "left")
    for name, seconds in found.items():
        limit = found[(limits or {}).get(name, base)]
        ratios = [one / other for one, other in zip(seconds, limit, strict=True)]
        table.add_row(name, f"{statistics.median(seconds):.2f}", f"{statistics.median(ratios):.2f}")
    console.print(table)


def as_json(rows: Sequence[Row], **others: object) -> object:
    """Everything that was measured, for programs; `others` as they are."""
    return {
        "hot": [
            {
                "what": row.title,
                "goal": row.goal,
                "servers": {
                    peer: {
                        "rate": row.rate(peer),
                        "share": row.share(peer),
                        "compared_with": row.limit(peer),
                        "cpu": row.cpu(peer),
                        "rounds": [sample.rate for sample in samples],
                    }
                    for peer, samples in row.samples.items()
                },
            }
            for row in rows
        ],
        **others,
    }


def picture(rows: Sequence[Row], caption: str) -> str:
    """An SVG: a bar for each question and server, as long as its share of nginx static. Its colours suit light and dark."""
    bars = list(_bars(rows))
    height = 44 + 18 * len(bars)
    label = escape(caption)
    style = "text{fill:#333}.own{fill:#2f6f9f}.other{fill:#9aa5b1}@media(prefers-color-scheme:dark){text{fill:#ddd}}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" font-family="sans-serif" font-size="12">',
        f"<title>{label}</title><style>{style}</style>",
        f'<text x="4" y="16">{label}</text>',
    ]
    y = 30
    for title, peer, share, rate in bars:
        length = max(1.0, min(1.3, share) * 330)
        kind = "own" if peer.startswith("pypicache") else "other"
        lines += [
            f'<text x="4" y="{y + 11}">{escape(title)}</text><text x="190" y="{y + 11}">{escape(peer)}</text>',
            f'<rect class="{kind}" x="280" y="{y}" width="{length:.1f}" height="14" rx="2"/>',
            f'<text x="{286 + length:.1f}" y="{y + 11}">{rate:,.0f}/s</text>',
        ]
        y += 18
    return "\n".join([*lines, "</svg>", ""])


def _bars(rows: Sequence[Row]) -> Iterator[tuple[str, str, float, float]]:
    for row in rows:
        for place, peer in enumerate(row.samples):
            yield "" if place else row.title, peer, row.share(peer), row.rate(peer)
