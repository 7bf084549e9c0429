"""Merging stored pages: `rules.merge` over bytes, so that big pages are merged in the helper process.

Pure, module-level functions with small results; they ask nobody. `index.refresh` decides when they run.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pypicache.rules import policy
from pypicache.rules.merge import Authority, Dispute, Merged, merge, open_questions, settle
from pypicache.simple import model


@dataclass(frozen=True, slots=True)
class Told:
    """A page as `simple.model.dump` wrote it, and whose it is."""

    origin: str
    page: bytes


@dataclass(frozen=True, slots=True)
class Settled:
    """What a held page has become."""

    page: bytes
    digest: str
    home: str
    unsure: tuple[str, ...]
    """The mirrors whose word decides on files that the new page is no proof of."""
    withdrawn: tuple[str, ...]
    """The files that were listed and aren't any more."""
    disputes: tuple[Dispute, ...]
    refusal: str | None
    """Why the index no longer hands out the project's files, if it did until now."""


def renew(
    held: Told, new: Told, authority: Authority, opinions: tuple[Told, ...] = (), heard: int = 0
) -> Settled:
    """The held page after `new` has come. `heard` is how many mirrors have answered in all; 0: none but this was asked.

    `opinions` are the pages of the others.
    """
    before = model.load(held.page)
    merged = merge(before, held.origin, model.load(new.page), new.origin, authority)
    return _settled(before, merged, opinions, heard, authority.lapsed)


def review(held: Told, owners: tuple[str, ...], opinions: tuple[Told, ...]) -> Settled:
    """The held page, of which no new one has come, after these owners of some of its files were asked."""
    before = model.load(held.page)
    # One of the pages that would decide isn't at hand, so only an owner's own word counts.
    return _settled(before, open_questions(before, held.origin, owners), opinions, 1, frozenset())


def _settled(
    before: model.Project, merged: Merged, opinions: tuple[Told, ...], heard: int, lapsed: frozenset[str]
) -> Settled:
    if heard:
        said = {told.origin: model.load(told.page) for told in opinions}
        merged = settle(merged, said, heard=heard, lapsed=lapsed)
    after = merged.project
    data = model.dump(after)
    names = {file.filename for file in after.files}
    verdict, was = policy.judge_project(after), policy.judge_project(before)
    newly = isinstance(was, policy.Allow) and not isinstance(verdict, policy.Allow)
    return Settled(
        page=data,
        digest=hashlib.sha256(data).hexdigest(),
        home=merged.home,
        unsure=tuple(dict.fromkeys(question.owner for question in merged.questions)),
        withdrawn=tuple(file.filename for file in before.files if file.filename not in names),
        disputes=merged.disputes,
        refusal=verdict.reason if newly and not isinstance(verdict, policy.Allow) else None,
    )
