"""Deployments to generate files for, and the files by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pypicache.config.schema import Listen
from pypicache.generate.deployment import Deployment
from pypicache.generate.files import Generated, generate

LOOPBACK = Listen(host="127.0.0.1", port=3141)

NASTY = "a b%h$HOME;c #d\"e'f\\g"
"""A directory whose name means something else in every kind of file."""


def deployment(**facts: Any) -> Deployment:
    """The machine's own, with the shipped defaults, unless told otherwise."""
    usual: dict[str, Any] = {
        "command": ("/usr/local/bin/pypicache",),
        "configuration": None,
        "listen": (LOOPBACK,),
        "cache": Path("/root/.cache/pypicache"),
        "movable": "home" not in facts,
    }
    return Deployment(**{**usual, **facts})


def files(of: Deployment) -> Mapping[str, Generated]:
    return {each.name: each for each in generate(of) if isinstance(each, Generated)}


def text(name: str, **facts: Any) -> str:
    """The text of that file, for such a deployment."""
    return files(deployment(**facts))[name].text


def write_text(folder: Path, name: str, **facts: Any) -> Path:
    """That file in the folder."""
    path = folder / Path(name).name
    path.write_text(text(name, **facts))
    return path
