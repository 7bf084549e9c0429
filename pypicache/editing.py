"""Changing the configuration of a running daemon: its file first, then the daemon by reading it again.

A part of the composition root: it joins `config.changing`, which knows the file, with the service's reload. A change that can't
come into force is taken back, so that file and daemon go on saying the same. Who may ask for one is not its business.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pypicache.config.schema import Config, Index
from pypicache.errors import BadRequest, CannotChange, ConfigError, one_line
from pypicache.web.devpi_facts import IndexFacts

if TYPE_CHECKING:
    from pypicache.config.edit import IndexChange

T = TypeVar("T")


class Editor:
    """Changes a configuration. `config` gives the one in force, `reread` reads its file again and gives the problems."""

    def __init__(
        self, *, config: Callable[[], Config], reread: Callable[[], Awaitable[tuple[str, ...]]]
    ) -> None:
        self._config = config
        self._reread = reread
        self._alone = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def set_index(
        self, name: str, *, create: bool, first_mirror: str | None, settings: Mapping[str, str | None]
    ) -> IndexFacts:
        """Change or make an index; what it is then. Raises BadRequest, CannotChange."""
        from pypicache.config.edit import IndexChange  # noqa: PLC0415 - a start doesn't wait for ruamel.yaml

        change = IndexChange(index=name, create=create, first_mirror=first_mirror, settings=settings)
        return await self._whole(self._set(change))

    async def reload(self) -> tuple[Path | None, tuple[str, ...]]:
        """Read the file again; which one that is, and its problems. With problems nothing has changed."""
        return self._config().path, await self._whole(self._read_alone())

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it to its end, even if whoever wants it leaves meanwhile."""
        task = asyncio.create_task(work, name="change the configuration")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited for it was told

    async def _read_alone(self) -> tuple[str, ...]:
        async with self._alone:
            return await self._reread()

    async def _set(self, change: IndexChange) -> IndexFacts:
        from pypicache.config.changing import apply, restore  # noqa: PLC0415 - as above

        path = self._config().path
        if path is None:
            raise CannotChange(
                "this daemon runs on its built-in configuration: `pypicache init` writes a file that can be changed, and "
                "`pypicache serve -c FILE` uses it"
            )
        async with self._alone:
            try:
                before, after = await asyncio.to_thread(apply, path, change, os.environ)
            except ConfigError as error:
                said = one_line("; ".join(error.problems), 1000)
                raise BadRequest(
                    f"the configuration file has errors, and is left as it is: {said}"
                ) from error
            if problems := await self._reread():
                await asyncio.to_thread(restore, path, before, after)
                raise BadRequest(one_line("; ".join(problems), 1000))
            return facts(self._config().indexes[change.index])


def facts(index: Index) -> IndexFacts:
    """What is told of the index."""
    return IndexFacts(
        mirrors=tuple(mirror.url for mirror in index.mirrors),
        layers=tuple(layer.index for layer in index.layers),
        ttl=index.ttl,
        web_url=index.web_url,
    )
