"""Several processes that serve, and the one that looks after them: the supervisor.

The supervisor serves nobody, and has neither a loop nor threads, so that it can fork. Each worker accepts from a socket
of its own on the same port; downloads are shared through the cache directory. ::

    a worker dies                  another takes its place, and its socket, at once; later, if they die again and again
    a worker's loop stands still   it is killed
    SIGHUP                         the file is read here first; if it is good, each worker reads it
    a worker's changed by HTTP     so are the others
    SIGTERM, SIGINT                all workers drain; a second one ends them at once

What a worker has to say comes through a pipe, in the words of sd_notify(3); when the supervisor is gone, the pipe
breaks, and the worker drains.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import selectors
import signal
import time
from collections.abc import Callable, Coroutine, Sequence

from pypicache.config import schema
from pypicache.connecting import own_name
from pypicache.errors import ConfigError, PypicacheError
from pypicache.notify import Notifier
from pypicache.orders import Orders
from pypicache.pipe import ToSupervisor
from pypicache.reloading import read_again, settle, signature
from pypicache.rules.restarts import delay
from pypicache.sink import Sink
from pypicache.sockets import Listener
from pypicache.worker import announce, introduce, work

log = logging.getLogger(__name__)

HANGS = 60.0
"""Seconds of silence after which a worker is taken to hang, unless the service manager has an idea of its own."""

AWAY = 5.0
"""Seconds between two turns of the supervisor's, of which each takes one, after which it is taken to have been stopped itself."""

STARTS = 120.0
"""Seconds that a worker may take to start."""

_ORDERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)

RunLoop = Callable[[Coroutine[object, object, None]], None]


class _Worker:
    """A worker, as the supervisor sees it."""

    def __init__(self, number: int, pid: int, pipe: int) -> None:
        self.number = number
        self.pid = pid
        self.pipe = pipe
        self.began = self.heard = time.monotonic()
        self.ready = self.leaving = False


class Supervisor:
    """Runs so many workers on those listeners. `released` is called when no new request will come."""

    def __init__(
        self,
        config: schema.Config,
        listeners: Sequence[Listener],
        *,
        count: int,
        sink: Sink,
        notifier: Notifier,
        run_loop: RunLoop,
        released: Callable[[], object],
    ) -> None:
        self._config = config
        self._listeners = listeners
        self._count = count
        self._sink = sink
        self._notifier = notifier
        self._run_loop = run_loop
        self._released = released
        self._name = own_name()
        self._workers: dict[int, _Worker] = {}
        self._due: dict[int, float] = {}
        self._deaths = dict.fromkeys(range(count), 0)
        self._signals: list[int] = []
        self._selector = selectors.DefaultSelector()
        self._stopping = self._announced = False
        self._turned = time.monotonic()
        self._code = 0
        self._signature = signature(config.path)

    def run(self) -> int:
        """Supervise until a signal ends it; the exit code."""
        introduce(self._config)
        waker, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(waker, selectors.EVENT_READ)
        before = signal.set_wakeup_fd(wakes)
        for number in (*_ORDERS, signal.SIGCHLD):
            signal.signal(number, lambda number, _: self._signals.append(number))
        self._due = dict.fromkeys(range(self._count), 0.0)
        gc.freeze()
        gc.enable()
        try:
            while not self._stopping or self._workers:
                self._turn(waker)
        finally:
            for worker in self._workers.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL)
            signal.set_wakeup_fd(before)
            for number in _ORDERS:
                signal.signal(number, signal.SIG_IGN)  # one more changes nothing now
        return self._code

    def _turn(self, waker: int) -> None:
        """Wait for something to happen, and deal with all that has."""
        self._start_those_due()
        for key, _ in self._selector.select(1.0):
            if key.fd == waker:
                with contextlib.suppress(BlockingIOError):
                    while os.read(waker, 512):
                        pass
            else:
                self._listen_to(key.data)
        while self._signals:
            self._obey(self._signals.pop(0))
        self._reap()
        self._kill_those_that_hang()
        self._notifier.alive()

    def _start_those_due(self) -> None:
        now = time.monotonic()
        for number, due in list(self._due.items()):
            if due <= now and not self._stopping:
                del self._due[number]
                try:
                    self._fork(number)
                except OSError as error:  # too many processes, or too little memory: the others go on
                    self._due[number] = now + 1.0
                    log.error("worker %d can't be started: %s", number + 1, error.strerror)  # noqa: TRY400 - the reason is all there is to it

    def _fork(self, number: int) -> None:
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            pid = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            raise
        if not pid:
            os.close(reading)
            os._exit(self._be_worker(number, writing))
        os.close(writing)
        worker = _Worker(number, pid, reading)
        self._workers[pid] = worker
        self._selector.register(reading, selectors.EVENT_READ, worker)

    def _be_worker(self, number: int, pipe: int) -> int:
        """The rest of the life of a forked process; its exit code."""
        self._signals.clear()
        signal.set_wakeup_fd(-1)
        self._selector.close()
        for worker in self._workers.values():
            os.close(worker.pipe)
        listeners = [listener.only(number) for listener in self._listeners]

        async def main() -> None:
            orders = Orders()
            with orders.from_signals(supervised=True):
                if signal.SIGTERM in self._signals:  # it came while this process was being made
                    orders.end.set()
                await work(
                    self._config,
                    listeners,
                    orders=orders,
                    notifier=ToSupervisor(pipe, orders.end.set),
                    sink=self._sink,
                    released=lambda: None,
                    name=self._name,
                    place=(number, self._count),
                )

        try:
            self._run_loop(main())
        except Exception as error:
            log.critical("worker %d: %s", number + 1, error, exc_info=not isinstance(error, PypicacheError))
            return 1
        return 0

    def _listen_to(self, worker: _Worker) -> None:
        try:
            said = os.read(worker.pipe, 4096).decode("ascii", "replace").splitlines()
        except OSError:
            return
        worker.heard = time.monotonic()
        if "READY=1" in said and not worker.ready:
            worker.ready = True
            log.info("worker %d serves, process %d", worker.number + 1, worker.pid)
            self._announce()
        if "STOPPING=1" in said and not worker.leaving:
            worker.leaving = True
            if not self._stopping:  # somebody has ended just this one: who comes now mustn't wait for its end
                self._due[worker.number] = 0.0
        if "X_CHANGED=1" in said and signature(self._config.path) != self._signature:
            self._reload(but=worker)

    def _announce(self) -> None:
        ready = sum(worker.ready for worker in self._workers.values())
        if ready == self._count and not self._announced:
            self._announced = True
            announce(self._listeners)
        if self._announced:
            self._notifier.ready(f"{ready} workers")

    def _obey(self, number: int) -> None:
        if number in {signal.SIGTERM, signal.SIGINT}:
            if self._stopping:
                self._tell_all(signal.SIGQUIT)
            else:
                self._stop(0)
        elif number == signal.SIGHUP and not self._stopping:
            self._reload()
        elif number == signal.SIGUSR1:
            with contextlib.suppress(OSError):
                self._sink.reopen()
            self._tell_all(signal.SIGUSR1)

    def _stop(self, code: int) -> None:
        """Have all workers drain; then it is over."""
        self._stopping, self._code = True, code
        for listener in self._listeners:
            listener.close()
        self._tell_all(signal.SIGTERM)
        self._released()
        self._notifier.stopping("running responses finish")
        log.info("stopping: running responses have %g s to finish", self._config.server.shutdown_timeout)

    def _reload(self, *, but: _Worker | None = None) -> None:
        """Have the workers read the file, if it is good; `but` has done so."""
        self._notifier.reloading()
        try:
            self._config, _ = settle(self._config, read_again(self._config))
        except ConfigError as error:
            for problem in error.problems:
                log.error("%s", problem)  # noqa: TRY400 - each problem is a line
            log.error("not reloaded: the configuration has problems; the one before stays in force")  # noqa: TRY400
        else:
            self._signature = signature(self._config.path)
            self._tell_all(signal.SIGHUP, but=but)
        self._notifier.ready(f"{len(self._workers)} workers")

    def _tell_all(self, order: signal.Signals, *, but: _Worker | None = None) -> None:
        for worker in self._workers.values():
            if worker is not but:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, order)

    def _reap(self) -> None:
        for pid, worker in list(self._workers.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            del self._workers[pid]
            self._selector.unregister(worker.pipe)
            os.close(worker.pipe)
            if self._stopping:
                self._code = self._code or (0 if worker.leaving or not worker.ready else 1)
            elif not self._announced and not worker.ready:
                self._stop(1)  # what keeps it from starting would keep the next one from it
            elif not worker.leaving:
                self._replace(worker, os.waitstatus_to_exitcode(status))

    def _replace(self, worker: _Worker, code: int) -> None:
        lived = time.monotonic() - worker.began
        self._deaths[worker.number] += 1
        wait, self._deaths[worker.number] = delay(lived, self._deaths[worker.number])
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        log.error(
            "worker %d (process %d) %s; another one starts in %g s", worker.number + 1, worker.pid, how, wait
        )
        self._due[worker.number] = time.monotonic() + wait

    def _kill_those_that_hang(self) -> None:
        now, limit = time.monotonic(), self._notifier.watchdog or HANGS
        stood, self._turned = now - self._turned > AWAY, now
        for worker in self._workers.values() if stood else ():
            worker.heard = now  # nobody listened: a paused container, or Ctrl-Z; it may have stood still, too
        for worker in self._workers.values():
            if now - worker.heard > (limit if worker.ready else STARTS) and not worker.leaving:
                log.error("worker %d (process %d) hangs and is killed", worker.number + 1, worker.pid)
                worker.heard = now
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker.pid, signal.SIGKILL)
