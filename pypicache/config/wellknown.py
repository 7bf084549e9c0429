"""Mirrors that have a name of their own, so that a configuration can say `pypi` or `tuna`.

The public index's address is written nowhere: the packaging library that knows it is asked. Every other address
comes from a public text of the mirror's operator, named in `source`; a mirror without one isn't listed. `quirks`
are what its users met with; `pypicache mirrors` measures what is so today. It opens no connection.
This module imports nothing of the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PYPI: Final = "pypi"
"""The name of the public Python Package Index."""


@dataclass(frozen=True, slots=True)
class WellKnown:
    """One mirror of the public index."""

    name: str
    """What a configuration calls it."""
    operator: str
    url: str
    """The root of its Simple API, ending in `/`; empty for the public index, see `address`."""
    source: str
    """The operator's text that gives the address."""
    quirks: tuple[str, ...] = ()
    """What to expect of it, each a short sentence without a full stop and, in brackets, who says so."""


_NO_SIDECARS = "pages promise metadata that isn't there (tuna/issues 2397, 2415)"
_BLOCKS = "answers 403 to networks and clients that load a lot, even for files of pages it serves (tuna/issues 2067)"

MIRRORS: Final = (
    WellKnown(PYPI, "Python Software Foundation", "", "the library distlib"),
    WellKnown(
        "aliyun",
        "Alibaba Cloud",
        "https://mirrors.aliyun.com/pypi/simple/",
        "its page on developer.aliyun.com",
        ("has been behind for long (alibaba/mirrors 39)",),
    ),
    WellKnown(
        "tuna",
        "Tsinghua University",
        "https://pypi.tuna.tsinghua.edu.cn/simple/",
        "github.com/tuna/mirror-web, help/_posts",
        (
            "a firewall answers 403 to some User-Agents, pip's among them (tuna/issues 2603, 2605)",
            _BLOCKS,
            _NO_SIDECARS,
            "JSON pages come as application/octet-stream (devpi 1112)",
            "synchronised every 5 minutes (its help page)",
        ),
    ),
    WellKnown(
        "bfsu",
        "Beijing Foreign Studies University, run by tuna",
        "https://mirrors.bfsu.edu.cn/pypi/web/simple/",
        "github.com/tuna/issues 1417",
        (_BLOCKS, "single files have been missing (tuna/issues 1401, 1417)"),
    ),
    WellKnown(
        "ustc",
        "University of Science and Technology of China",
        "https://mirrors.ustc.edu.cn/pypi/simple/",
        "its help page",
        ("redirected to tuna until 2024 (ustclug/mirrorrequest 213)",),
    ),
    WellKnown(
        "tencent",
        "Tencent Cloud",
        "https://mirrors.cloud.tencent.com/pypi/simple/",
        "its help page",
    ),
    WellKnown(
        "huawei",
        "Huawei Cloud",
        "https://repo.huaweicloud.com/repository/pypi/simple/",
        "its help page",
    ),
    WellKnown(
        "sjtu",
        "Shanghai Jiao Tong University",
        "https://mirror.sjtu.edu.cn/pypi/web/simple/",
        "mirror.sjtu.edu.cn/docs/pypi/web/simple",
        (
            "files are elsewhere on the host, and redirected from there (sjtug/mirror-requests 358, mirror-intel)",
            "has been behind for weeks (sjtug/mirror-requests 321)",
        ),
    ),
    WellKnown(
        "pku",
        "Peking University",
        "https://mirrors.pku.edu.cn/pypi/simple/",
        "github.com/PKUOSC/Mirror-Web, static/help/Pypi.md",
        ("on trial (its help page)",),
    ),
    WellKnown(
        "nju",
        "Nanjing University",
        "https://mirrors.nju.edu.cn/pypi/web/simple/",
        "its help page",
    ),
    WellKnown(
        "zju",
        "Zhejiang University",
        "https://mirrors.zju.edu.cn/pypi/web/simple/",
        "github.com/ZJUSCT/mirror-front, docs/zh/pypi.mdx",
        ("for its campus; others are redirected to tuna (its help page)",),
    ),
    WellKnown(
        "volces",
        "Volcano Engine",
        "https://mirrors.volces.com/pypi/simple/",
        "github.com/volcengine/OpenViking, examples/openclaw-plugin/install.sh",
    ),
)
"""Every well-known mirror."""

NAMES: Final = tuple(mirror.name for mirror in MIRRORS)
"""Their names."""

_BY_NAME: Final = {mirror.name: mirror for mirror in MIRRORS}


def address(name: str) -> str:
    """The root of that mirror's Simple API, ending in `/`. Raises KeyError for a name that isn't one."""
    return _BY_NAME[name].url or _public_index()


def _public_index() -> str:
    """The address of the public index, from the library's, whose last segment names the legacy API."""
    # Imported here: it takes longer than all of click, and a file that names other mirrors doesn't need it.
    from distlib.index import DEFAULT_INDEX  # noqa: PLC0415 - see above

    root, _, _ = str(DEFAULT_INDEX).rstrip("/").rpartition("/")
    return f"{root}/simple/"
