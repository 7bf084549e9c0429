"""Mirrors that have a name of their own, so that a configuration can say `pypi` or `tuna`.

The public index's address is written nowhere: the packaging library that knows it is asked. The other
addresses are the ones that the mirrors' own help pages give. It opens no connection.
This module imports nothing of the package.
"""

from __future__ import annotations

from typing import Final

PYPI: Final = "pypi"
"""The name of the public Python Package Index."""

_ADDRESSES: Final = {
    "aliyun": "https://mirrors.aliyun.com/pypi/simple/",
    "tuna": "https://pypi.tuna.tsinghua.edu.cn/simple/",
    "ustc": "https://mirrors.ustc.edu.cn/pypi/simple/",
    "tencent": "https://mirrors.cloud.tencent.com/pypi/simple/",
    "huawei": "https://repo.huaweicloud.com/repository/pypi/simple/",
}

NAMES: Final = (PYPI, *_ADDRESSES)
"""Every well-known name."""


def address(name: str) -> str:
    """The root of that mirror's Simple API, ending in `/`. Raises KeyError for any other name."""
    return _public_index() if name == PYPI else _ADDRESSES[name]


def _public_index() -> str:
    """The address of the public index, from the library's, whose last segment names the legacy API."""
    # Imported here: it takes longer than all of click, and a file that names other mirrors doesn't need it.
    from distlib.index import DEFAULT_INDEX  # noqa: PLC0415 - see above

    root, _, _ = str(DEFAULT_INDEX).rstrip("/").rpartition("/")
    return f"{root}/simple/"
