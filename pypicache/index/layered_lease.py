"""How long the answer of an index of layers stands: while one layer gives it, and those before it deny the project.

`asked` are the layers that may be asked for the project, in order of authority.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from pypicache.index.entry import Page
from pypicache.index.lease import Lease
from pypicache.index.serving import Serving
from pypicache.simple.model import ProjectName

_ALWAYS = Lease(-math.inf, math.inf, ())


def of_page(asked: Sequence[Serving], page: Page, *, revalidate: bool) -> Lease | None:
    """How long the page is the answer."""
    for place, member in enumerate(asked):
        if page.index in member.leaves:
            lease = member.lease(page, revalidate=revalidate)
            return _after(asked[:place], page.project, lease, revalidate=revalidate)
    return None


def of_link(
    asked: Sequence[Serving], project: ProjectName, take: Callable[[Serving], Lease | None]
) -> Lease | None:
    """How long a link leads to a file of the project; `take` gives the lease of the layer that answers."""
    for place, member in enumerate(asked):
        if member.denial(project) is None:
            return _after(asked[:place], project, take(member), revalidate=False)
    return None


def of_denial(asked: Sequence[Serving], project: ProjectName, *, revalidate: bool) -> Lease | None:
    """How long all of them deny it."""
    return _after(asked, project, _ALWAYS, revalidate=revalidate)


def _after(
    before: Sequence[Serving], project: ProjectName, lease: Lease | None, *, revalidate: bool
) -> Lease | None:
    """The lease, while those before deny the project."""
    for member in before:
        denial = member.denial(project, revalidate=revalidate)
        if lease is None or denial is None:
            return None
        lease &= denial
    return lease
