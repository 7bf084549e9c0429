"""Pages as clients get them: one form, one coding, made once and then sent.

A rendering is named by what it was made from, so its ETag is known before it is made: a 304 renders
nothing. Functions here are module-level and take bytes, so that a big page is made in the helper process.
"""

from __future__ import annotations

import hashlib
import sys
import zlib
from dataclasses import dataclass

from pypicache.index import facts
from pypicache.rules import policy
from pypicache.simple import model, pep503, pep691
from pypicache.simple.links import packages_path, relative_href
from pypicache.simple.negotiate import Representation

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FORMAT = "3"
"""Part of every ETag: another way to render makes other ETags. Raise it when a rendering changes."""

GZIP_LEVEL = 5
ZSTD_LEVEL = 1
"""Pages are mostly hexadecimal digits, which repeat by chance and for three or four bytes: to look for that takes time, and what
it finds takes more room than the digits by themselves. Hence the lowest level here, and `Z_FILTERED` for gzip: the smallest pages, and
the quickest made (94 kB: 17.7 kB instead of 20.3 at level 9, 19.8 kB instead of 22.2).
"""


@dataclass(frozen=True, slots=True)
class Rendering:
    """The bytes of one form of a page in one content coding."""

    body: bytes
    etag: str
    """Strong, quoted (RFC 9110 section 8.8.3)."""
    coding: str
    """gzip, zstd or identity."""


def etag(page_digest: str, facts_digest: str, form: str, coding: str) -> str:
    """The strong ETag that the rendering has or would have: another one for each form and coding."""
    name = hashlib.sha256(f"{FORMAT} {page_digest} {facts_digest} {form}".encode()).hexdigest()[:32]
    return f'"{name}"' if coding == "identity" else f'"{name}-{coding}"'


def render(page: bytes, learned: bytes, form: str, coding: str, *, synthesize: bool) -> bytes:
    """The page (as `simple.model.dump` wrote it) in that form and coding. Links are relative to `/{index}/simple/{project}/`.

    `learned` are the facts that fill in what the page leaves out; with `synthesize` every wheel has a sidecar.
    """
    project = facts.apply(model.load(page), facts.decode(learned), synthesize=synthesize)
    return compress(form_of(project, form), coding)


def form_of(project: model.Project, form: str) -> bytes:
    """The project's page as JSON or HTML, uncompressed, as clients may see it."""
    render_form = pep691.render if form == Representation.JSON_V1.form else pep503.render
    return render_form(
        policy.visible(project),
        href=lambda file: relative_href(packages_path(project.name, file.url, file.filename)),
    )


def compress(data: bytes, coding: str) -> bytes:
    """The data in that content coding; equal data gives equal bytes."""
    if coding == "gzip":
        packer = zlib.compressobj(
            GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_FILTERED
        )
        return packer.compress(data) + packer.flush()
    if coding == "zstd":
        return zstd.compress(data, ZSTD_LEVEL)
    return data
