"""A real browser for tests: Debian's Chromium, headless, driven by selenium; nothing of it is downloaded.

`CHROMIUM` and `CHROMEDRIVER` name the programs where they aren't on the path. It reaches loopback only.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

DESKTOP = (1280, 900)
PHONE = (390, 844)


@contextmanager
def browser(profile: Path) -> Generator[webdriver.Chrome]:
    """A browser with an empty profile, ended at the end. A test that asks for it is skipped where there is none."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    driver = os.environ.get("CHROMEDRIVER") or shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium or chromedriver isn't installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",  # as root in a container there is no other way
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--no-proxy-server",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--disable-background-networking",
        "--disable-component-update",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    try:
        chrome.set_page_load_timeout(30)
        yield chrome
    finally:
        chrome.quit()


def look(chrome: webdriver.Chrome, size: tuple[int, int], *, dark: bool = False, touch: bool = False) -> None:
    """A window of that size, whose user prefers dark or light."""
    width, height = size
    chrome.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": touch},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})


def without_script(chrome: webdriver.Chrome, *, off: bool = True) -> None:
    """Turn scripts off, or on again, for pages that are loaded from now on."""
    chrome.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": off})


def complaints(chrome: webdriver.Chrome) -> list[str]:
    """What the browser has to say against what was loaded since this was asked last."""
    entries: list[dict[str, Any]] = chrome.get_log("browser")  # type: ignore[no-untyped-call] # selenium leaves it so
    return [str(entry["message"]) for entry in entries if entry["level"] in {"SEVERE", "WARNING"}]


def screenshot(chrome: webdriver.Chrome, path: Path) -> None:
    """The whole page, however long it is."""
    metrics = chrome.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
    clip = {"x": 0, "y": 0, "width": metrics["width"], "height": metrics["height"], "scale": 1}
    shot = chrome.execute_cdp_cmd("Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": True})
    path.write_bytes(base64.b64decode(shot["data"]))
