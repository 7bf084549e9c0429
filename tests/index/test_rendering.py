"""Pages as clients get them: what codings make of them."""

from __future__ import annotations

import gzip
import sys

import pytest

from pypicache.index.rendering import compress
from tests.wheels import big_page

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.mark.parametrize("form", ["json", "html"])
def test_pages_are_packed_smaller_than_by_looking_harder_for_what_repeats(form: str) -> None:
    """They are mostly hexadecimal digits: the highest levels cost more time for more bytes."""
    page = big_page("demo", 210, form=form)
    assert gzip.decompress(compress(page, "gzip")) == page
    assert len(compress(page, "gzip")) < 0.95 * len(gzip.compress(page, 9))
    assert zstd.decompress(compress(page, "zstd")) == page
    assert len(compress(page, "zstd")) < 0.95 * len(zstd.compress(page, 9))
