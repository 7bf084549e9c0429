"""The commented example file that ships with the program.

In a wheel it lies beside this module, in a checkout in `conf/`. Nothing is read from it at run time: the
defaults are the schema's, and a test keeps the two equal.
"""

from __future__ import annotations

from pathlib import Path


def example_path() -> Path:
    """Where the example is. Raises FileNotFoundError when it was left out of the installation."""
    here = Path(__file__).parent
    for path in (here / "pypicache.yaml", here.parents[1] / "conf" / "pypicache.yaml"):
        if path.is_file():
            return path
    raise FileNotFoundError("the example configuration isn't part of this installation")
