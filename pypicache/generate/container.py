"""The configuration for a container: the same, listening on all of its addresses, with its cache in the volume.

The file is changed as text is (comments and secrets stay), in memory; it isn't validated again.
"""

from __future__ import annotations

from io import StringIO
from typing import Any, Final

from ruamel.yaml import YAML

LISTEN: Final = "0.0.0.0:3141"
"""All addresses of the container; who reaches them from outside is the `ports` of the compose file."""

CACHE: Final = "/var/cache/pypicache"
"""The volume, which is also the image's $CACHE_DIRECTORY."""

_SHIPPED: Final = f"# The shipped defaults, in a container.\nserver:\n  listen: {LISTEN}\n"

_ELSEWHERE: Final = (("server", "accel"), ("server", "accel_group"), ("log", "file"))
"""What holds on this machine only: nginx outside can't read what is in the volume, and the container has a log."""


def container_configuration(text: str) -> str:
    """That configuration, made fit for a container; of the shipped defaults when it is empty."""
    if not text:
        return _SHIPPED
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar(_NULL, "null")
    )
    document: Any = yaml.load(text) or {}
    if not document.get("server"):
        document["server"] = {}
    document["server"]["listen"] = LISTEN
    if (document.get("cache") or {}).get("dir"):
        document["cache"]["dir"] = CACHE
    for section, key in _ELSEWHERE:
        if key in (document.get(section) or {}):
            document[section][key] = None
    changed = StringIO()
    yaml.dump(document, changed)
    return changed.getvalue()


_NULL = "tag:yaml.org,2002:null"
