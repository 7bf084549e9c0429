"""Pictures of the pages for people, with everything on them that they can show: `python -m tests.screenshots DIRECTORY`.

A real daemon with two indexes, one mirror that is down, one that is slow, layers, traffic, and downloads in flight, on a
desktop and on a phone, light and dark.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.browser import DESKTOP, PHONE, browser, look, screenshot
from tests.client import ByHand, get
from tests.daemon import Daemon
from tests.origin import Delay, Gate, Origin, Rate, StallAt
from tests.wheels import wheel

PROJECTS = ("numpy", "requests", "certifi", "urllib3", "idna", "charset-normalizer", "packaging", "acme-app")


class Scene:
    """A daemon that has much to show, with downloads in flight. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._gate = Gate()

    def __enter__(self) -> Daemon:
        enter = self._stack.enter_context
        first, second, corp = (enter(Origin(name=name)) for name in ("first", "second", "corp"))
        config = {
            "default_index": "root/pypi",
            "indexes": {
                "root/pypi": {
                    "mirrors": [
                        {"name": "first", "url": first.simple},
                        {"name": "second", "url": second.simple},
                        {"name": "files", "url": second.simple, "serves": "files"},
                    ],
                    "web_url": "https://index.example.org/project/{name}/",
                },
                "corp": {"mirrors": [{"name": "corp", "url": corp.simple}], "ttl": 0},
                "dev": {"layers": [{"index": "corp", "owns": ["acme-*"]}, "root/pypi"]},
            },
        }
        for name in PROJECTS:
            for version in ("1.0", "1.1", "2.0"):
                item = wheel(name, version, size=300_000, requires_python=">=3.9")
                for origin in (first, second):
                    origin.add(item)
        corp.add(wheel("acme-app", "1.0"))
        big = [wheel(name, "5.0", size=size) for name, size in (("torch", 40_000_000), ("scipy", 12_000_000))]
        for item in big:
            second.add(item)
        second.script("/simple/idna/", Delay(0.3))
        second.script(big[0].filename, StallAt(15_000_000, self._gate), repeat=True)
        second.script(big[1].filename, Rate(100_000), repeat=True)
        daemon = enter(Daemon(self._folder, config))
        self._traffic(daemon, first)
        for item in big:
            reader = ByHand(daemon.link(item))
            self._stack.callback(reader.close)
            reader.head()
            reader.read(500_000)
        return daemon

    def __exit__(self, *error: object) -> None:
        self._gate.open()
        self._stack.close()

    def _traffic(self, daemon: Daemon, first: Origin) -> None:
        for place, name in enumerate(PROJECTS[:-1]):
            if place == len(PROJECTS) // 2:
                first.close()
            for _ in range(3 * (len(PROJECTS) - place)):
                get(f"{daemon.simple}{name}/")
            for version in ("1.0", "2.0")[: 1 + place % 2]:
                link = daemon.link(wheel(name, version, size=300_000, requires_python=">=3.9"))
                for _ in range(1 + place % 3):
                    get(link)
        get(f"{daemon.url}/dev/simple/acme-app/")
        get(f"{daemon.simple}nothing-here/")


def main(directory: Path) -> None:
    """Write the pictures."""
    directory.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        Scene(Path(folder) / "daemon") as daemon,
        browser(Path(folder) / "profile") as chrome,
    ):
        pages = {
            "status": "/",
            "project": "/-/project/root/pypi/requests",
            "unknown": "/-/project/dev/acme-app",
        }
        for name, path in pages.items():
            for device, size in (("desktop", DESKTOP), ("phone", PHONE)):
                for scheme in ("light", "dark"):
                    look(chrome, size, dark=scheme == "dark", touch=device == "phone")
                    chrome.get(daemon.url + path)
                    screenshot(chrome, directory / f"{name}-{device}-{scheme}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
