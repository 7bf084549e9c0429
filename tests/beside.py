"""The daemon as a worker is: it doesn't ask whether the cache directory is another daemon's.

`python -m tests.beside serve -c FILE`. So two of them can be had on one directory at addresses of their own, and a test
decides which of them it talks to.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pypicache import daemon
from pypicache.config.load import load
from pypicache.logs import open_log

if __name__ == "__main__":
    settings = load(Path(sys.argv[-1]), {})
    daemon.serve(settings, open_log(settings.log))
