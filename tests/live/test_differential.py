"""A cache must lose nothing and invent nothing: real pages through the daemon, field by field against the index itself."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.client import get
from tests.daemon import Daemon
from tests.live import public

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

PROJECTS = [
    "pip",
    "setuptools",
    "wheel",
    "requests",
    "urllib3",
    "certifi",
    "idna",
    "charset-normalizer",
    "six",
    "python-dateutil",
    "numpy",
    "pandas",
    "scipy",
    "matplotlib",
    "pillow",
    "lxml",
    "cryptography",
    "cffi",
    "pycparser",
    "pyyaml",
    "ruamel.yaml",
    "zope.interface",
    "Flask-SQLAlchemy",
    "backports.functools_lru_cache",
    "jaraco.functools",
    "q",
    "0",
    "simplejson",
    "django",
    "flask",
    "jinja2",
    "markupsafe",
    "werkzeug",
    "click",
    "itsdangerous",
    "attrs",
    "pytest",
    "tox",
    "virtualenv",
    "aiohttp",
    "yarl",
    "multidict",
    "uvloop",
    "boto3",
    "botocore",
    "s3transfer",
    "sqlalchemy",
    "psycopg2",
    "pymongo",
    "redis",
    "twisted",
    "pyzmq",
    "tornado",
    "ipython",
    "docutils",
    "sphinx",
    "pygments",
    "babel",
    "pytz",
    "tzdata",
    "mypy",
    "ruff",
    "uv",
    "black",
    "coverage",
    "hypothesis",
    "grpcio",
    "protobuf",
    "tensorflow",
    "torch",
    "PyOpenSSL",
    "python-ldap",
    "pywin32",
    "wxPython",
    "mysqlclient",
    "Products.CMFPlone",
    "collective.recipe.backup",
    "distribute",
]
"""Small and huge ones, odd names, yanked releases, legacy archives (.egg, .exe, .zip, .tar.bz2, .msi, .rpm)."""

ADDED = {"core-metadata", "dist-info-metadata", "url"}
"""What the daemon may say beside the index: where files are here, and that wheels have metadata."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Any:
    public.needed()
    with Daemon(tmp_path_factory.mktemp("live"), {}) as daemon:
        yield daemon


def facts(file: dict[str, Any]) -> dict[str, Any]:
    """A file's fields without those that may differ; absent and null say the same."""
    kept = {key: value for key, value in file.items() if key not in ADDED and value is not None}
    kept.setdefault("yanked", False)
    if kept["yanked"] == "":
        kept["yanked"] = True  # PEP 691 has no empty reason
    return kept


_ANCHOR = re.compile(r"<a\s([^<>]*)>([^<>]*)</a\s*>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r'([\w-]+)(?:="([^"]*)")?')


def anchors(text: str) -> dict[str, dict[str, str | None]]:
    """Every anchor of a page: its text and attributes. An HTML parser would take a third of a minute for them all."""
    found = _ANCHOR.findall(text)
    assert len(found) == len(re.findall(r"<a\b", text, re.IGNORECASE))
    return {
        unescape(name).strip(): {key.lower(): value and unescape(value) for key, value in _attributes(inside)}
        for inside, name in found
    }


def _attributes(inside: str) -> list[tuple[str, str | None]]:
    assert not _ATTRIBUTE.sub("", inside).strip(), inside
    return [(match[1], match[2]) for match in _ATTRIBUTE.finditer(inside)]


def compare(daemon: Daemon, project: str) -> str | None:
    """What differs, or None."""
    theirs = json.loads(public.ask(project))
    address = f"{daemon.simple}{theirs['name']}/"
    ours = get(address, {"Accept": "application/vnd.pypi.simple.v1+json"}, timeout=60).json()
    for field in ("name", "project-status", "alternate-locations"):
        if theirs.get(field) != ours.get(field):
            return f"{project}: {field}: {theirs.get(field)!r} != {ours.get(field)!r}"
    if set(theirs["versions"]) != set(ours["versions"]):
        return f"{project}: versions: {set(theirs['versions']) ^ set(ours['versions'])}"
    if [facts(file) for file in theirs["files"]] != [facts(file) for file in ours["files"]]:
        pairs = zip(theirs["files"], ours["files"], strict=False)
        return f"{project}: files: {next(((a, b) for a, b in pairs if facts(a) != facts(b)), 'their number')}"
    return compare_html(address, project, ours["files"])


def compare_html(address: str, project: str, files: list[dict[str, Any]]) -> str | None:
    """What our HTML says that our JSON or their HTML doesn't, or None."""
    found = anchors(get(address, {"Accept": "text/html"}, timeout=60).text)
    if list(found) != [file["filename"] for file in files]:
        return f"{project}: HTML and JSON list different files"
    for file in files:
        seen = found[file["filename"]]
        href = urlsplit(seen["href"] or "")
        if unquote(href.path.rpartition("/")[2]) != file["filename"] or href.query:
            return f"{project}: {file['filename']} is linked as {seen['href']}"
        yanked = {False: None, True: ""}.get(file["yanked"], file["yanked"]) if "yanked" in file else None
        said = (href.fragment, seen.get("data-requires-python"), seen.get("data-yanked"))
        if said != (f"sha256={file['hashes']['sha256']}", file.get("requires-python"), yanked):
            return f"{project}: {file['filename']} in HTML: {seen}"
    theirs = set(anchors(public.ask(project, "text/html").decode()))
    return None if theirs == set(found) else f"{project}: their HTML lists {theirs ^ set(found)}"


def test_real_pages_are_the_same_through_the_daemon(running: Daemon) -> None:
    """In every field and in both forms, apart from links and what the daemon adds about metadata."""
    assert len(PROJECTS) >= 60
    with ThreadPoolExecutor(4) as pool:
        differences = [found for found in pool.map(lambda name: _compared(running, name), PROJECTS) if found]
    assert not differences


def _compared(daemon: Daemon, project: str) -> str | None:
    """A release that appears between the two questions isn't a difference: then everyone is asked once more."""
    if compare(daemon, project) is None:
        return None
    get(f"{daemon.simple}{project}/", {"Cache-Control": "no-cache"})
    return compare(daemon, project)
