"""Metrics: all of them are there, documented, well-formed, and what alerts and dashboard look at."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from pypicache.events import Event, FileStored, MirrorFailed
from pypicache.monitor.collect import Collector, Running
from pypicache.monitor.families import FAMILIES
from pypicache.monitor.happenings import Happenings
from pypicache.monitor.metrics import Metrics
from pypicache.monitor.pulse import Pulse
from pypicache.monitor.status import BreakerStatus, DiskStatus, DownloadStatus, IndexStatus, MirrorStatus
from pypicache.monitor.tally import Tally
from pypicache.monitor.traffic import Figures, Traffic
from pypicache.monitor.wanted import Wanted
from pypicache.upstream.meter import Meter
from tests.clock import ManualClock
from tests.monitor.test_counting import answered

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ALERTS = ROOT / "conf" / "prometheus-alerts.yml"
DASHBOARD = ROOT / "conf" / "grafana.json"
SUFFIXES = ("_bucket", "_count", "_sum")


def busy(clock: ManualClock, accept: str | None = None) -> tuple[str, str]:
    """The metrics of a daemon in which everything has happened once."""
    tally, happenings, pulse = Tally(), Happenings(clock=clock), Pulse()
    tally.take(answered())
    tally.take(answered("file", "miss", seconds=400.0))
    happenings.observe(FileStored(filename="a", sha256="0", size=7, origin="corp", seconds=1.0))
    happenings.observe(MirrorFailed(origin="corp", what="a", reason="silent"))
    happenings.evicted["size"] = (2, 200)
    pulse.lag.add(0.003)
    meter = Meter()
    meter.answered("pages", 200)
    meter.failed("files")
    meter.took("files", 10)
    breaker = BreakerStatus(state="half-open", errors=0, wait=0.0)
    mirror = MirrorStatus(
        name='odd"name\\',
        url="https://corp.example/simple/",
        serves="both",
        health="trying",
        pages=breaker,
        files=breaker,
        latency=0.1,
        rate=1e6,
        requests=2,
        failures=1,
        received=10,
        last_error="",
        last_error_at=None,
    )
    index = IndexStatus(
        name="corp", default=True, offline=False, web_url=None, requests=2, mirrors=(mirror,), layers=()
    )
    moving = DownloadStatus(
        filename="a", bytes=1, size=2, rate=1.0, readers=3, mirrors=("corp",), seconds=1.0, state="fill"
    )
    collector = Collector(
        tally=tally,
        traffic=Traffic(lambda: Figures(totals=tally.totals(), received=0), now=clock()),
        wanted=Wanted(),
        happenings=happenings,
        pulse=pulse,
        clock=clock,
        started=clock(),
    )
    status = collector.status(
        Running(
            default="corp",
            indexes=[index],
            downloads=[moving],
            shadows={},
            disk=DiskStatus(used=1, files=1, max_size=2, min_free=1, free=1, total=2),
            unusable=None,
            in_flight=1,
            received=10,
        )
    )
    metrics = Metrics(tally=tally, happenings=happenings, pulse=pulse)
    body, content_type = metrics.render(status, {("corp", mirror.name): meter}, accept)
    return body.decode(), content_type


def families(text: str) -> dict[str, Metric]:
    """By the name that FAMILIES has: the parser takes `_total` off counters."""
    return {f"{f.name}_total" if f.type == "counter" else f.name: f for f in parse_text(text)}


def test_every_metric_that_is_listed_is_there_as_it_is_listed(clock: ManualClock) -> None:
    text, content_type = busy(clock)
    assert content_type.startswith("text/plain; version=0.0.4")
    found = families(text)
    assert set(found) == set(FAMILIES)
    for name, family in found.items():
        assert (family.type, family.documentation) == (FAMILIES[name].kind, FAMILIES[name].help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(FAMILIES[name].labels), sample


def test_a_histogram_agrees_with_itself(clock: ManualClock) -> None:
    """What is above the last bound is in `+Inf` only, and that is the count."""
    samples = [
        s for s in families(busy(clock)[0])["pypicache_request_seconds"].samples if s.labels["kind"] == "file"
    ]
    values = {s.labels.get("le", s.name.rpartition("_")[2]): s.value for s in samples}
    assert (values["300.0"], values["+Inf"], values["count"], values["sum"]) == (0.0, 1.0, 1.0, 400.0)


def test_openmetrics_for_those_who_ask_for_it(clock: ManualClock) -> None:
    text, content_type = busy(clock, "application/openmetrics-text; version=1.0.0,text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    found = parse_openmetrics(text)  # type: ignore[no-untyped-call] # prometheus_client leaves it untyped
    assert {family.name for family in found} >= {"pypicache_info", "pypicache_requests"}


def test_readme_has_every_metric(clock: ManualClock) -> None:
    rows = re.findall(r"^\| `((?:pypicache|process)_\w+)` \| ([^|]*) \| ([^|]*) \|$", README, re.MULTILINE)
    told = {name: (labels.strip(), meaning.strip()) for name, labels, meaning in rows}
    expected = {
        name: (", ".join(f"`{label}`" for label in family.labels) or "-", family.help)
        for name, family in FAMILIES.items()
    }
    assert told == expected


# What looks at them


def expressions() -> Iterator[tuple[str, str]]:
    """Every expression of the alerts and the dashboard, with where it stands."""
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]
    dashboard: Any = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield f"panel {panel['title']} {target['refId']}", target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["definition"]


EXPRESSIONS = dict(expressions())
EVENTS = {event.__name__ for event in get_args(Event)}


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS.keys())
def test_what_alerts_and_dashboard_look_at_is_there(expression: str) -> None:
    """Metrics, their labels, and the names of events."""
    used = re.findall(r"\b((?:pypicache|process)_\w+)(?:\{([^}]*)\})?", expression)
    assert used or "up{" in expression
    for name, selector in used:
        family = (
            FAMILIES.get(name)
            or FAMILIES[next(name.removesuffix(s) for s in SUFFIXES if name.removesuffix(s) in FAMILIES)]
        )
        labels = set(re.findall(r"(\w+)\s*[=!]~?\s*\"", selector))
        assert labels <= {*family.labels, "instance", "job", "le"}
        for events in re.findall(r'event[=!]~?"([^"]*)"', selector):
            assert set(events.split("|")) <= EVENTS


def test_every_event_can_be_alerted_of() -> None:
    """Events are counted under their class's name."""
    assert {"MirrorFailed", "FileRejected", "StoreTrouble"} <= EVENTS


def promtool(*arguments: str, text: str | None = None) -> None:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool isn't installed")
    done = subprocess.run(
        [program, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_alerts() -> None:
    promtool("check", "rules", str(ALERTS))


def test_prometheus_understands_the_dashboard(tmp_path: Path) -> None:
    """Its expressions, made into rules: that is what promtool reads."""
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, (where, expression) in enumerate(EXPRESSIONS.items())
        if where.startswith("panel")
    ]
    assert len(rules) > 20
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_prometheus_has_nothing_to_say_against_the_metrics(clock: ManualClock) -> None:
    promtool("check", "metrics", text=busy(clock)[0])
