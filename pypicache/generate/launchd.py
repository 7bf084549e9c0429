"""The property list by which launchd runs the daemon for one user (launchd.plist(5)); plistlib spells it."""

from __future__ import annotations

import plistlib
from typing import Final

from pypicache.generate.deployment import Deployment

LABEL: Final = "pypicache"
"""What launchctl calls it."""


def property_list(deployment: Deployment) -> str:
    """The file's text. It belongs in ~/Library/LaunchAgents."""
    described = {
        "Label": LABEL,
        "ProgramArguments": list(deployment.arguments),
        "RunAtLoad": True,
        # A failure is a reason to start again, an exit isn't.
        "KeepAlive": {"SuccessfulExit": False},
        "ExitTimeOut": deployment.stop_after,
        "Umask": 0o77,
        "SoftResourceLimits": {"NumberOfFiles": 65536},
        "StandardErrorPath": str(deployment.caller_home / "Library" / "Logs" / "pypicache.log"),
    }
    return plistlib.dumps(described, sort_keys=False).decode()
