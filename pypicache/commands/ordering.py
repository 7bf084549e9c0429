"""Who does what a command orders: the running daemon, through its admin socket, or this process on the bare directory.

A daemon is found by the socket that it has in the cache directory. Without one, the directory is worked on as it is, which other
commands and a daemon that starts meanwhile may do at the same time.
"""

from __future__ import annotations

import asyncio
import http.client
import sys
from collections.abc import Sequence
from functools import partial
from typing import TypeVar

import click
import msgspec

from pypicache.care import admin
from pypicache.care.caretaker import Caretaker
from pypicache.care.orders import Answer, AnyOrder, HitRates, Prefetch, Refresh, Verify
from pypicache.care.progress import Progress
from pypicache.commands.common import USAGE, fail, no_cache
from pypicache.commands.opening import opened
from pypicache.config.schema import Config
from pypicache.errors import PypicacheError, one_line
from pypicache.index.entry import Page
from pypicache.index.serving import Serving
from pypicache.rules.owners import matches_any
from pypicache.simple.model import ProjectName

T = TypeVar("T", bound=Answer)


def ordered(config: Config, order: AnyOrder, kind: type[T], progress: Progress) -> T:
    """What came of the order. Ends the program with exit code 1, and the reason, when it failed."""
    try:
        answer = _by_daemon(config, order, kind, progress)
        if answer is not None:
            return answer
        if isinstance(order, Refresh | Prefetch):
            return _by_service(config, order, kind, progress)
        done = asyncio.run(_on_directory(config, order, progress))
    except PypicacheError as error:
        fail(error)
    except PermissionError:
        fail(f"{config.cache.dir} is another user's: run this as the user whose cache it is")
    assert isinstance(done, kind), f"{kind.__name__} is what such an order brings"
    return done


def known_index(config: Config, name: str | None) -> str | None:
    """The same name; ends the program with exit code 2 when no index with mirrors has it."""
    if name is not None and name not in config.indexes:
        click.echo(f"there is no index {one_line(name)} in the configuration", err=True)
        sys.exit(USAGE)
    if name is not None and config.indexes[name].layers:
        layers = ", ".join(layer.index for layer in config.indexes[name].layers)
        click.echo(f"{name} is made of {layers}, and keeps nothing itself: name one of these", err=True)
        sys.exit(USAGE)
    return name


def _by_daemon(config: Config, order: AnyOrder, kind: type[T], progress: Progress) -> T | None:
    """What the daemon answers; None when none runs. Raises PypicacheError, PermissionError."""
    root = config.cache.dir
    connected = admin.connect(root)
    if connected is None:
        if admin.somebody_serves(root):
            raise PypicacheError(
                f"a daemon serves from {root}, and has no admin socket: its log says why; stop it, or start it again"
            )
        return None
    try:
        return msgspec.json.decode(admin.ask(connected, order, progress), type=kind)
    except (OSError, http.client.HTTPException, msgspec.MsgspecError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise PypicacheError(f"the daemon in {root} doesn't answer: {one_line(reason)}") from error


def _by_service(config: Config, order: AnyOrder, kind: type[T], progress: Progress) -> T:
    """What a service of this process's own brings: it can ask mirrors."""
    from pypicache.service import service  # noqa: PLC0415 - much, and few orders need it
    from pypicache.tending import caretaker  # noqa: PLC0415 - as above

    async def do() -> Answer:
        async with service(config, observer=lambda _: None) as running:
            return await caretaker(running, serves=False).do(order, progress)

    done = asyncio.run(do())
    assert isinstance(done, kind), f"{kind.__name__} is what such an order brings"
    return done


async def _on_directory(config: Config, order: AnyOrder, progress: Progress) -> Answer:
    if not config.cache.dir.exists():
        raise PypicacheError(no_cache(config))
    repair = not isinstance(order, Verify) or order.repair
    async with opened(config, look=isinstance(order, Verify), repair=repair) as stores:
        keeper = Caretaker(
            stores=stores,
            live=_Nothing(tuple(config.indexes)),
            pinned=partial(matches_any, patterns=config.cache.pin),
        )
        return await keeper.do(order, progress)


class _Nothing:
    """Implements `care.caretaker.Live` where nothing is in memory, and nobody can be asked."""

    def __init__(self, indexes: Sequence[str]) -> None:
        self.indexes = indexes

    async def rates(self) -> HitRates | None:
        """None: nobody is served."""
        return None

    async def held(self, index: str, project: ProjectName) -> str | None:
        """None: no order comes here that asks."""
        raise NotImplementedError(index, project)

    def serving(self, index: str) -> Serving:
        """Likewise."""
        raise NotImplementedError(index)

    async def page(self, index: str, project: ProjectName) -> Page:
        """Likewise."""
        raise NotImplementedError(index, project)

    async def forget(self, index: str | None, projects: Sequence[ProjectName]) -> None:
        """Nothing is remembered."""
