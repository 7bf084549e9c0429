"""The pages for people in a real browser: they live, work by keyboard and without a script, and can be read by everyone."""

from __future__ import annotations

from collections.abc import Generator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser import DESKTOP, PHONE, browser, complaints, look, without_script
from tests.client import ByHand, get
from tests.daemon import Daemon, config_for
from tests.origin import Gate, Origin, StallAt
from tests.wheels import wheel

ITEM = wheel("demo", "1.0", size=2_000_000)

CONTRAST = (Path(__file__).parents[1] / "contrast.js").read_text()


class Place:
    """A daemon with a download that stands still until `gate` is opened, and a mirror that is down."""

    def __init__(self, daemon: Daemon, gate: Gate) -> None:
        self.daemon = daemon
        self.gate = gate

    @property
    def pages(self) -> tuple[str, ...]:
        return (f"{self.daemon.url}/", f"{self.daemon.url}/-/project/root/pypi/demo")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    gate = Gate()
    with Origin(name="gone") as gone, Origin(name="origin") as origin:
        origin.add(ITEM)
        origin.add(wheel("other", "1.0"))
        origin.script(ITEM.filename, StallAt(1_000_000, gate))
        config = config_for(gone, origin)
        gone.close()
        with Daemon(tmp_path_factory.mktemp("daemon"), config) as daemon:
            reader = ByHand(daemon.link(ITEM))
            reader.head()
            reader.read(500_000)
            yield Place(daemon, gate)
            gate.open()
            reader.close()


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Generator[Chrome]:
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


def wait(chrome: Chrome) -> WebDriverWait[Chrome]:
    return WebDriverWait(chrome, 20, poll_frequency=0.1)


def text(chrome: Chrome, selector: str) -> str:
    return chrome.find_element(By.CSS_SELECTOR, selector).text


def test_nothing_is_refused_by_the_policy_and_nothing_fails(chrome: Chrome, place: Place) -> None:
    """Style, script and icon come; on a phone nothing stands out to the side."""
    for size in (DESKTOP, PHONE):
        look(chrome, size, touch=size == PHONE)
        for url in place.pages:
            chrome.get(url)
            assert complaints(chrome) == []
            assert chrome.execute_script("return document.styleSheets[0].cssRules.length") > 50
            wide = chrome.execute_script("return document.documentElement.scrollWidth")
            assert wide <= size[0], (url, wide)


def test_on_a_phone_no_command_is_cut_off(chrome: Chrome, place: Place) -> None:
    look(chrome, PHONE, touch=True)
    chrome.get(place.pages[0])
    for client in chrome.find_elements(By.CSS_SELECTOR, ".tabs label"):
        client.click()
        for code in chrome.find_elements(By.CSS_SELECTOR, ".step pre"):
            if code.is_displayed():
                wide, room = (int(code.get_property(key)) for key in ("scrollWidth", "clientWidth"))  # type: ignore[arg-type]
                assert wide <= room, code.text


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_text_can_be_read(chrome: Chrome, place: Place, dark: bool) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5, or 3 where it is large."""
    look(chrome, DESKTOP, dark=dark)
    for url in place.pages:
        chrome.get(url)
        seen: Any = chrome.execute_script(CONTRAST)
        assert seen["checked"] > 30
        assert seen["poor"] == []


def test_what_a_screen_reader_finds(chrome: Chrome, place: Place) -> None:
    """Landmarks, one first heading and none left out below it, names for whatever can be used or looked at."""
    look(chrome, DESKTOP)
    for url in place.pages:
        chrome.get(url)
        assert chrome.execute_script("return document.documentElement.lang") == "en"
        for landmark in ("header", "main", "footer", "[role=search]"):
            assert len(chrome.find_elements(By.CSS_SELECTOR, landmark)) == 1, landmark
        levels = [
            int(h.tag_name[1])
            for h in chrome.find_elements(By.CSS_SELECTOR, "h1,h2,h3,h4,h5,h6")
            if h.is_displayed()
        ]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        for element in chrome.find_elements(
            By.CSS_SELECTOR, "a,button,input:not([type=hidden]),progress,section,article,nav,svg[role=img]"
        ):
            if element.is_displayed():
                assert element.accessible_name, element.get_attribute("outerHTML")
        ids = chrome.execute_script("return [...document.querySelectorAll('[id]')].map(each => each.id)")
        assert len(ids) == len(set(ids))


def test_it_is_used_by_keyboard(chrome: Chrome, place: Place) -> None:
    """The first stop leads past the head; clients are chosen with the arrows; a name is found with Enter."""
    look(chrome, DESKTOP)
    chrome.get(place.pages[0])
    body = chrome.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert chrome.switch_to.active_element.text == "Skip to the content"
    chrome.switch_to.active_element.send_keys(Keys.ENTER)
    assert chrome.switch_to.active_element.get_attribute("id") == "main"
    chrome.find_element(By.ID, "client-pip").send_keys(Keys.ARROW_RIGHT)
    assert chrome.find_element(By.CSS_SELECTOR, ".panel-uv").is_displayed()
    assert not chrome.find_element(By.CSS_SELECTOR, ".panel-pip").is_displayed()
    chrome.find_element(By.ID, "find").send_keys("Other", Keys.ENTER)
    wait(chrome).until(lambda c: c.current_url.endswith("/-/project/root/pypi/other"))
    assert text(chrome, "h1") == "other"


def test_what_is_to_be_typed_is_copied(chrome: Chrome, place: Place) -> None:
    chrome.execute_cdp_cmd(
        "Browser.grantPermissions",
        {"origin": place.daemon.url, "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]},
    )
    chrome.get(place.pages[0])
    button = chrome.find_element(By.CSS_SELECTOR, "[data-copy=code-pip-1]")
    button.click()
    wait(chrome).until(lambda _: button.text == "Copied")
    copied: Any = chrome.execute_async_script("navigator.clipboard.readText().then(arguments[0])")
    assert copied == f"pip install -i {place.daemon.url}/simple/ requests"


def test_without_a_script_everything_is_there(chrome: Chrome, place: Place) -> None:
    """But for what only a script could do: those buttons aren't shown."""
    without_script(chrome)
    try:
        chrome.get(place.pages[0])
        assert ITEM.filename in text(chrome, ".downloads")
        assert not any(
            each.is_displayed() for each in chrome.find_elements(By.CSS_SELECTOR, ".copy, #connection")
        )
        chrome.find_element(By.CSS_SELECTOR, "label[for=client-ci]").click()
        assert "PIP_INDEX_URL" in text(chrome, ".panel-ci")
    finally:
        without_script(chrome, off=False)


def test_it_lives(chrome: Chrome, place: Place) -> None:
    """A download ends, and the page says so, without being loaded again; paused, it stays; gone, it says that."""
    look(chrome, DESKTOP)
    chrome.get(place.pages[0])
    chrome.execute_script("window.loaded = 'once'")
    assert ITEM.filename in text(chrome, ".downloads")
    place.gate.open()
    get(f"{place.daemon.simple}other/")
    wait(chrome).until(lambda c: not c.find_elements(By.CSS_SELECTOR, ".downloads"))
    assert "other" in text(chrome, ".wanted")
    assert chrome.execute_script("return window.loaded") == "once"
    pause = chrome.find_element(By.CSS_SELECTOR, "#connection button")
    pause.click()
    assert text(chrome, "#connection").startswith("Paused")
    place.daemon.stop()
    pause.click()
    wait(chrome).until(lambda c: "Not reachable" in text(c, "#connection"))
    assert complaints(chrome)
