"""What counts and what tells, wired: the part of the composition root that looks at all others and changes none.

`Monitor` outlives every configuration. What runs now, it is told by `service` in one call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pypicache.config import schema
from pypicache.events import Again, Answered, Event, Observer
from pypicache.index.layered import LayeredIndex
from pypicache.index.serving import Serving
from pypicache.index.transfer import Transfer
from pypicache.monitor.collect import Collector, Running
from pypicache.monitor.happenings import Happenings
from pypicache.monitor.pulse import Pulse
from pypicache.monitor.status import (
    BreakerStatus,
    DiskStatus,
    DownloadStatus,
    IndexStatus,
    LayerStatus,
    MirrorStatus,
    Status,
)
from pypicache.monitor.tally import Tally
from pypicache.monitor.traffic import Figures, Traffic
from pypicache.monitor.wanted import Wanted
from pypicache.rules.breaker import Breaker, State
from pypicache.store.condition import Found
from pypicache.upstream.meter import Meter, Meters
from pypicache.upstream.standing import Health
from pypicache.wiring import Wired

if TYPE_CHECKING:
    from pypicache.monitor.metrics import Metrics


class Monitor:
    """Counts what happens and tells what is so. Use as an async context manager.

    `observe` takes every event, and passes it on to `observer`; `take` takes every answered request.
    """

    def __init__(self, *, observer: Observer, clock: Callable[[], float]) -> None:
        self.meters = Meters()
        self.tally = Tally()
        self.happenings = Happenings(clock=clock)
        self._wanted = Wanted()
        self._traffic = Traffic(self._figures, now=clock())
        self.pulse = Pulse(beats=[lambda: self._traffic.look(clock())])
        self._observer = observer
        self._clock = clock
        self._started = clock()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.pulse)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def observe(self, event: Event) -> None:
        """An event happened."""
        self.happenings.observe(event)
        self._observer(event)

    def take(self, answered: Answered) -> None:
        """A request was answered."""
        self.tally.take(answered)
        self._wanted.take(answered)

    def take_again(self, again: Sequence[Again], prefix: str, first: int) -> None:  # noqa: ARG002 - names are for the log
        """Answers were given again; see `events.Taker`."""
        for each in again:
            self.tally.take_again(each.record, each.seconds, each.times)
            self._wanted.take(each.record, each.times)

    def status(
        self,
        *,
        config: schema.Config,
        wired: Mapping[str, Wired],
        indexes: Iterable[Serving],
        transfers: Iterable[Transfer],
        found: Found,
        in_flight: int,
    ) -> Status:
        """Everything as it is now, with that configuration in force."""
        running = Running(
            default=config.default_index,
            indexes=[self._index(config, settings, wired) for settings in config.indexes.values()],
            downloads=[download(transfer) for transfer in transfers],
            shadows=dict(_shadows(indexes)),
            disk=DiskStatus(
                used=found.used,
                files=found.files,
                max_size=config.cache.max_size,
                min_free=config.cache.min_free,
                free=found.free,
                total=found.total,
            ),
            unusable=found.unusable,
            in_flight=in_flight,
            received=self.meters.received,
        )
        collector = Collector(
            tally=self.tally,
            traffic=self._traffic,
            wanted=self._wanted,
            happenings=self.happenings,
            pulse=self.pulse,
            clock=self._clock,
            started=self._started,
        )
        return collector.status(running)

    def metrics(self, own: Status, others: Sequence[bytes], accept: str | None) -> tuple[bytes, str]:
        """The metrics, and their media type, in the form that `accept` prefers. For a thread.

        `others` are those of other workers, to be added.
        """
        if not others:
            return self._metrics().render(own, self.meters.all(), accept)
        from pypicache.monitor.merge import merge  # noqa: PLC0415 - as below

        text, _ = self._metrics().render(own, self.meters.all(), None)
        return merge((text.decode() for text in (text, *others)), accept)

    def _metrics(self) -> Metrics:
        from pypicache.monitor.metrics import Metrics  # noqa: PLC0415 - a start doesn't wait for what is needed at a scrape

        return Metrics(tally=self.tally, happenings=self.happenings, pulse=self.pulse)

    def _figures(self) -> Figures:
        return Figures(totals=self.tally.totals(), received=self.meters.received)

    def _index(
        self, config: schema.Config, settings: schema.Index, wired: Mapping[str, Wired]
    ) -> IndexStatus:
        name, counts = settings.name, self.tally.requests
        health = {each.name: each for each in wired[name].mirrors.health} if name in wired else {}
        return IndexStatus(
            name=name,
            default=name == config.default_index,
            offline=settings.offline,
            web_url=settings.web_url,
            requests=sum(count for (index, *_), count in counts.items() if index == name),
            mirrors=tuple(
                mirror_status(mirror, health[mirror.name], self.meters.of(name, mirror.name), self._clock())
                for mirror in settings.mirrors
                if mirror.name in health
            ),
            layers=tuple(LayerStatus(index=layer.index, owns=layer.owns) for layer in settings.layers),
        )


def mirror_status(settings: schema.Mirror, health: Health, meter: Meter, now: float) -> MirrorStatus:
    """One mirror as it is shown."""
    monotonic = time.monotonic()
    breakers = [
        breaker
        for kind, breaker in (("pages", health.pages), ("files", health.files))
        if settings.serves in {"both", kind}
    ]
    requests = meter.requests
    return MirrorStatus(
        name=settings.name,
        url=settings.url,
        serves=settings.serves,
        health=_health(breakers, monotonic),
        pages=_breaker(health.pages, monotonic),
        files=_breaker(health.files, monotonic),
        latency=health.latency,
        rate=health.rate,
        requests=sum(requests.values()),
        failures=sum(n for (_, verdict), n in requests.items() if verdict in {"failed", "refused"}),
        received=sum(meter.received.values()),
        last_error=health.last_error,
        last_error_at=None if health.last_error_age is None else now - health.last_error_age,
    )


def download(transfer: Transfer) -> DownloadStatus:
    """One download as it is shown."""
    return DownloadStatus(
        filename=transfer.file.filename,
        bytes=sum(stop - start for start, stop in transfer.held),
        size=transfer.size,
        rate=round(transfer.rate, 1),
        readers=transfer.readers,
        mirrors=transfer.origins,
        seconds=round(time.monotonic() - transfer.began, 1),
        state=transfer.state.value,
    )


def _health(breakers: Iterable[Breaker], now: float) -> str:
    """up, trying or down: as its worst breaker has it."""
    worst = "up"
    for breaker in breakers:
        if not breaker.allows(now) and breaker.state is State.OPEN:
            return "down"
        if breaker.state is not State.CLOSED:
            worst = "trying"
    return worst


def _breaker(breaker: Breaker, now: float) -> BreakerStatus:
    wait = 0.0 if breaker.allows(now) else breaker.until - now
    return BreakerStatus(state=breaker.state.value, errors=breaker.errors, wait=round(wait, 1))


def _shadows(indexes: Iterable[Serving]) -> Iterable[tuple[str, Mapping[str, tuple[str, ...]]]]:
    for index in indexes:
        if isinstance(index, LayeredIndex) and index.shadows:
            yield index.name, {str(project): hidden for project, hidden in index.shadows.items()}
