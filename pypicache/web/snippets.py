"""How clients are pointed at an index: what to type, for each of them, with this very address in it.

Pure text. The address has been validated (`address.base_url`); everything is escaped where it is put into a page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Step:
    """Something to type, and what it is for."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Client:
    """One program, and how it is pointed here."""

    key: str
    name: str
    steps: tuple[Step, ...]
    note: str = ""


def clients(url: str) -> Sequence[Client]:
    """All of them, for the index whose Simple API is at `url`."""
    host = urlsplit(url).hostname or ""
    trusted = url.startswith("http://") and not is_loopback(host)
    return (
        _pip(url, host, trusted=trusted),
        Client(
            "uv",
            "uv",
            (
                Step("Once", f"uv pip install --default-index {url} requests"),
                Step("In pyproject.toml", f'[[tool.uv.index]]\nurl = "{url}"\ndefault = true'),
                Step("For good, in uv.toml", f'[[index]]\nurl = "{url}"\ndefault = true'),
            ),
        ),
        Client(
            "poetry",
            "Poetry",
            (Step("In a project", f"poetry source add --priority=primary cache {url}"),),
        ),
        Client("pdm", "PDM", (Step("For good", f"pdm config pypi.url {url}"),)),
        Client(
            "docker",
            "Docker",
            (
                Step("In a Dockerfile", _environment("ENV ", url, host if trusted else "")),
                Step(
                    "Or while building",
                    f"docker build --build-arg PIP_INDEX_URL={url} --build-arg UV_DEFAULT_INDEX={url} .",
                ),
            ),
            note="A container's 127.0.0.1 is the container itself: use a name of this machine that holds there."
            if is_loopback(host)
            else "",
        ),
        _ci(url, host if trusted else ""),
    )


def _pip(url: str, host: str, *, trusted: bool) -> Client:
    once = f"pip install -i {url} requests"
    good = f"pip config set global.index-url {url}"
    if trusted:
        once = f"pip install -i {url} --trusted-host {host} requests"
        good += f"\npip config set global.trusted-host {host}"
    return Client(
        "pip",
        "pip",
        (Step("Once", once), Step("For good", good)),
        note="Without TLS, pip asks for --trusted-host before it talks to another machine."
        if trusted
        else "",
    )


def _ci(url: str, trusted_host: str) -> Client:
    names = {"PIP_INDEX_URL": url, "UV_DEFAULT_INDEX": url}
    if trusted_host:
        names["PIP_TRUSTED_HOST"] = trusted_host
    lines = "\n".join(f"  {name}: {value}" for name, value in names.items())
    return Client(
        "ci",
        "CI",
        (
            Step("GitHub Actions", f"env:\n{lines}"),
            Step("GitLab CI", f"variables:\n{lines}"),
            Step("Any shell", _environment("export ", url, trusted_host)),
        ),
    )


def _environment(verb: str, url: str, trusted_host: str) -> str:
    lines = [f"{verb}PIP_INDEX_URL={url}", f"{verb}UV_DEFAULT_INDEX={url}"]
    if trusted_host:
        lines.append(f"{verb}PIP_TRUSTED_HOST={trusted_host}")
    return "\n".join(lines)


def is_loopback(host: str) -> bool:
    """Whether the host is the machine that a client runs on."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
