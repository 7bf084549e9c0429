"""The daemon with a watch on its event loop: `python -m tests.lag serve -c FILE` serves, and says at its end how late the loop was.

Three figures, in milliseconds, over ticks of two: `wall`, how late a tick was; `net`, the same without the time in which
the thread was ready to run and the machine gave it no core; `cpu`, what the loop's own thread computed between two ticks.
Only the last doesn't depend on the machine and who else uses it. SIGUSR1 starts the count anew.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import uvloop

from pypicache.config import schema
from pypicache.config.load import load
from pypicache.logs import open_log
from pypicache.notify import Notifier
from pypicache.orders import Orders
from pypicache.sink import Sink
from pypicache.sockets import open_listeners
from pypicache.worker import work

TICK = 0.002
_SCHEDSTAT = Path("/proc/thread-self/schedstat")


class Watch:
    """Ticks on the running loop, and keeps how long each took."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wall: list[float] = []
        self._net: list[float] = []
        self._cpu: list[float] = []
        self._last = self._now()
        self._loop.add_signal_handler(signal.SIGUSR1, self.reset)
        self._loop.call_later(TICK, self._tick)

    def reset(self) -> None:
        """Forget what was counted."""
        for figures in (self._wall, self._net, self._cpu):
            figures.clear()

    def report(self) -> dict[str, float]:
        """The 99th percentile and the greatest of each figure, in milliseconds, and how many ticks there were."""
        told: dict[str, float] = {"ticks": len(self._wall)}
        for name, figures in (("wall", self._wall), ("net", self._net), ("cpu", self._cpu)):
            ranked = sorted(figures) or [0.0]
            told[f"{name}_p99"] = round(ranked[int(len(ranked) * 0.99)] * 1000, 2)
            told[f"{name}_max"] = round(ranked[-1] * 1000, 2)
        return told

    @staticmethod
    def _now() -> tuple[float, float, float]:
        waited = int(_SCHEDSTAT.read_text().split()[1]) / 1e9 if _SCHEDSTAT.exists() else 0.0
        return time.perf_counter(), waited, time.thread_time()

    def _tick(self) -> None:
        now = self._now()
        wall, waited, cpu = (new - old for new, old in zip(now, self._last, strict=True))
        self._wall.append(wall - TICK)
        self._net.append(wall - TICK - waited)
        self._cpu.append(cpu)
        self._last = now
        self._loop.call_later(TICK, self._tick)


async def _watched(config: schema.Config, log: Sink) -> None:
    orders = Orders()
    listeners = open_listeners(config.server.listen)
    with orders.from_signals():
        watch = Watch()
        try:
            await work(config, listeners, orders=orders, notifier=Notifier(), sink=log, released=lambda: None)
        finally:
            sys.stderr.write(f"lag {json.dumps(watch.report())}\n")


if __name__ == "__main__":
    settings = load(Path(sys.argv[-1]), {})
    log = open_log(settings.log)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_watched(settings, log))
