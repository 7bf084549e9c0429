"""Requirements resolved by the real resolver, uv or else pip, against this cache: what an installer would install.

The resolver is looked for beside the running Python first, then on PATH. It asks a service of this process's own, on a port of
the loopback interface that only lives as long as it does; what that fetches is kept in the cache.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pypicache.commands.targets import Place
from pypicache.config.schema import Auth, Config
from pypicache.errors import PypicacheError
from pypicache.locks.read import Pin, read
from pypicache.service import service
from pypicache.simple.model import project_name
from pypicache.web.server import Server

TIMEOUT = 600.0
"""Seconds that resolving for one place may take."""


async def resolve(
    config: Config, index: str, requirements: Sequence[str], files: Sequence[Path], wanted: Sequence[Place]
) -> list[Pin]:
    """What these requirements come to at each of the places. Raises PypicacheError with what the resolver said."""
    found: dict[Pin, None] = {}
    with TemporaryDirectory() as folder:
        given = [str(file.resolve()) for file in files]
        if requirements:
            given.append(_written(Path(folder, "requirements.in"), requirements))
        async with _serving(config, index) as url:
            for place in wanted:
                found |= dict.fromkeys(await _resolve(url, given, place, Path(folder)))
    return list(found)


def _written(path: Path, requirements: Sequence[str]) -> str:
    """The requirements as a file, and its path."""
    path.write_text("".join(f"{each}\n" for each in requirements))
    return str(path)


@asynccontextmanager
async def _serving(config: Config, index: str) -> AsyncIterator[str]:
    """The index's address, on loopback, meanwhile. Whoever may read the cache's directory needs no password."""
    opened = dataclasses.replace(config, auth=Auth())
    async with service(opened, observer=lambda _: None) as running:
        server = Server(running.handle, takers=())
        door = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{door.sockets[0].getsockname()[1]}/{index}/simple/"
        finally:
            door.close()
            await server.shutdown(1.0)


async def _resolve(url: str, files: Sequence[str], place: Place, folder: Path) -> tuple[Pin, ...]:
    if (uv := _program("uv")) is not None:
        options = ["--index-url", url, "--no-config", "--no-header", "--no-annotate", "--quiet", "--no-cache"]
        own = ["--python", sys.executable] if place.python is None else []
        said = await _run([uv, "pip", "compile", *files, *options, *own, *place.uv_options], folder)
        return read(said, "what uv resolved")
    if (pip := _pip()) is not None:
        words = [word for file in files for word in ("-r", file)]
        options = ["--index-url", url, "--no-cache-dir", "--quiet", "--ignore-installed", "--report", "-"]
        target = ["--target", str(folder / "target")]
        command = [*pip, "install", "--dry-run", *words, *options, *place.pip_options, *target]
        return _reported(await _run(command, folder))
    raise PypicacheError(
        "requirements are resolved by uv or pip, and neither is here: install uv, or pip for this Python"
    )


def _reported(text: str) -> tuple[Pin, ...]:
    """What is in pip's installation report."""
    try:
        installed = json.loads(text)["install"]
        found = [(str(each["metadata"]["name"]), str(each["metadata"]["version"])) for each in installed]
    except (ValueError, KeyError, TypeError) as error:
        raise PypicacheError("pip's report can't be read") from error
    named = [(project_name(name), version) for name, version in found]
    return tuple(Pin(name, version) for name, version in named if name is not None)


def _program(name: str) -> str | None:
    """The program, beside the running Python or else on PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if os.access(beside, os.X_OK) else shutil.which(name)


def _pip() -> list[str] | None:
    from importlib.util import find_spec  # noqa: PLC0415 - only where there is no uv

    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    program = _program("pip")
    return None if program is None else [program]


async def _run(command: Sequence[str], folder: Path) -> str:
    """What it writes. Raises PypicacheError with what it says when it fails."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=_environment(os.environ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT):
            out, err = await process.communicate()
    except TimeoutError:
        raise PypicacheError(f"{Path(command[0]).name} didn't end within {TIMEOUT:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise PypicacheError(err.decode("utf-8", "replace").strip() or f"{command[0]} failed")
    return out.decode("utf-8", "replace")


def _environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Without the user's own settings of indexes and proxies: this cache is the only index."""
    dropped = ("PIP_", "UV_")
    kept = {name: value for name, value in inherited.items() if not name.startswith(dropped)}
    return {
        **kept,
        "PIP_CONFIG_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
