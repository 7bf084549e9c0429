"""What a held page becomes when a mirror answers: the pages of replicas, merged into one.

Replicas lag, so one that answers in another's place must not take new files away; and a file that was taken away
must not come back because a replica hasn't noticed. Hence every file has an *owner*: of the mirrors that listed
it, the one that is preferred most. And the page has a *home*, the owner of what it says as a whole (status, versions).
`File.origin` names the owner where it isn't the home. A page comes in; of each file that is held it makes ::

    the new page is            and lists the file         the file
    its owner's                yes                        is as the new page has it, with all marks and digests;
                                                          a digest that changed is a dispute, and is followed
    its owner's                no                         is withdrawn
    another, preferred to it   yes                        is as the new page has it, and changes owners
    another, preferred to it   yes, with other digests    stays; a dispute, not followed; the owner is asked
    another, less preferred    yes                        stays; is yanked if either says so
    another, less preferred    yes, with other digests    stays; a dispute, not followed
    another                    no                         stays; the owner is asked
    another; the owner has     yes                        is as the new page has it, and changes owners
    lapsed, or has left the    no                         goes if the owner has left; else it stays, and the owner is
    configuration                                         asked once more

A file that isn't held is added, unless a mirror preferred to this one has withdrawn it. So a yank shows from any mirror
that has it, and an un-yank from the owner's page, which is the next one wherever the owner answers. The page as a whole
follows its home, or a mirror preferred to that; but `quarantined` shows from any mirror, as a yank does.

"The owner is asked" is a `Question`. `settle` answers it from what further mirrors said; where the file stays, the
question does too, for the next time. ::

    the owner's page lists the file              it stays, as that page has it
    the owner's page doesn't                     it is withdrawn; of a dispute, the other side is right
    another's lists it                           it stays
    nobody's, and two mirrors have answered,     it goes: every mirror that answers says so
    or the owner has lapsed
    otherwise                                    it stays

A mirror lapses when it has been silent for `LAPSE` while others answered: then they speak in its place. With one mirror, all this comes
to: its page.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from pypicache.simple.filenames import all_versions
from pypicache.simple.model import File, Project, Withdrawal

LAPSE = 86_400.0
"""Seconds of silence after which others speak in a mirror's place: longer than replicas lag, shorter than for ever."""

MAX_WITHDRAWN = 5000
"""How many withdrawn files a page remembers, the latest."""

QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class Authority:
    """Whose word counts for how much."""

    order: tuple[str, ...]
    """The mirrors that are configured, in order of preference."""
    lapsed: frozenset[str] = frozenset()
    """Those that have been silent for so long that others may speak in their place."""

    def counts(self, origin: str) -> bool:
        """Whether what the mirror said still stands."""
        return origin in self.order and origin not in self.lapsed

    def prefers(self, origin: str, other: str) -> bool:
        """Whether `origin` comes before `other`; any mirror comes before one that isn't configured."""
        return self._rank(origin) < self._rank(other)

    def _rank(self, origin: str) -> int:
        return self.order.index(origin) if origin in self.order else len(self.order)


@dataclass(frozen=True, slots=True)
class Dispute:
    """A file name with other bytes behind it than before, or than another mirror says."""

    filename: str
    origin: str
    """The mirror that came up with other bytes."""
    held: str
    got: str
    followed: bool
    """Whether the page lists the new bytes now."""


@dataclass(frozen=True, slots=True)
class Question:
    """A file that the new page is no proof of: its owner's word decides, now and the next time."""

    filename: str
    owner: str
    listed: File | None = None
    """As the new page has it; None when it doesn't."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A page of several mirrors' making."""

    project: Project
    facts: Project
    """The page that says everything but which files there are: the new one, or the held one."""
    home: str
    answered: str
    """The mirror whose page came in."""
    questions: tuple[Question, ...] = ()
    disputes: tuple[Dispute, ...] = ()


@dataclass(slots=True)
class _Fate:
    """What becomes of one file."""

    file: File | None
    owner: str
    withdrawn: bool = False
    question: Question | None = None
    dispute: Dispute | None = None


@dataclass(slots=True)
class _Making:
    """A page in the making: its files with their owners, by name, and what was found on the way."""

    files: dict[str, tuple[File, str]] = field(default_factory=dict)
    withdrawn: dict[str, str] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    disputes: list[Dispute] = field(default_factory=list)

    def take(self, filename: str, fate: _Fate) -> None:
        if fate.file is not None:
            self.files[filename] = fate.file, fate.owner
        elif fate.withdrawn:
            self.withdrawn[filename] = fate.owner
        if fate.question is not None:
            self.questions.append(fate.question)
        if fate.dispute is not None:
            self.disputes.append(fate.dispute)

    def merged(self, facts: Project, home: str, answered: str) -> Merged:
        """The page, with everything but its files from `facts`; its files in that page's order, then the others."""
        names = dict.fromkeys(file.filename for file in facts.files)
        order = [name for name in (*names, *(n for n in self.files if n not in names)) if name in self.files]
        project = msgspec.structs.replace(
            facts,
            files=tuple(_owned(*self.files[name], home) for name in order),
            versions=all_versions((n for n in order if n not in names), facts.name, facts.versions),
            withdrawn=tuple(Withdrawal(*each) for each in self.withdrawn.items())[-MAX_WITHDRAWN:],
        )
        followed = {dispute.filename for dispute in self.disputes if dispute.followed}
        disputes = tuple(d for d in self.disputes if d.followed or d.filename not in followed)
        return Merged(project, facts, home, answered, tuple(self.questions), disputes)


def merge(held: Project, home: str, new: Project, origin: str, authority: Authority) -> Merged:
    """The held page, whose home is `home`, with the page that `origin` has just given; the module's tables tell how."""
    making = _Making(withdrawn={w.filename: w.origin for w in held.withdrawn if w.origin in authority.order})
    listed, ours = _by_name(new), _by_name(held)
    for name, file in ours.items():
        making.take(name, _fate(file, file.origin or home, listed.get(name), origin, authority))
    for name, file in listed.items():
        barred = making.withdrawn.get(name)
        if name in ours or (barred not in {None, origin} and authority.prefers(barred or "", origin)):
            continue
        making.withdrawn.pop(name, None)
        making.files[name] = file, origin
    if len(authority.order) == 1:
        making.withdrawn.clear()  # nobody else could bring them back
    if origin == home or not authority.counts(home) or authority.prefers(origin, home):
        return making.merged(new, origin, origin)
    return making.merged(_cautious(held, new), home, origin)


def open_questions(held: Project, home: str, owners: Iterable[str]) -> Merged:
    """The held page, with the files of these owners in question: for when no new page has come, only "unchanged"."""
    asked = frozenset(owners)
    pairs = ((file, file.origin or home) for file in held.files)
    return Merged(
        held, held, home, "", tuple(Question(f.filename, owner) for f, owner in pairs if owner in asked)
    )


def settle(
    merged: Merged, said: Mapping[str, Project], *, heard: int, lapsed: Collection[str] = ()
) -> Merged:
    """The merged page with its questions answered by these mirrors' pages.

    `heard` is how many mirrors have answered in all, with a page that is at hand or with "no such project"; `lapsed` are
    the owners whose silence is believed.
    """
    pages = {origin: _by_name(page) for origin, page in said.items()}
    making = _Making(withdrawn={w.filename: w.origin for w in merged.project.withdrawn})
    making.disputes.extend(merged.disputes)
    making.files.update((f.filename, (f, f.origin or merged.home)) for f in merged.project.files)
    for question in merged.questions:
        held, _ = making.files.pop(question.filename)
        enough = heard > 1 or question.owner in lapsed
        making.take(question.filename, _answer(held, question, merged.answered, pages, enough=enough))
    return making.merged(merged.facts, merged.home, merged.answered)


def same_bytes(one: File, other: File) -> bool:
    """Whether nothing says that these are two files: common digests, or sizes where there are none."""
    theirs = {digest.algorithm: digest.value for digest in other.hashes}
    common = [(d.value, theirs[d.algorithm]) for d in one.hashes if d.algorithm in theirs]
    if common:
        return all(a == b for a, b in common)
    return one.size is None or other.size is None or one.size == other.size


def _fate(held: File, owner: str, listed: File | None, origin: str, authority: Authority) -> _Fate:
    if listed is None:
        if owner == origin or owner not in authority.order:
            return _Fate(None, owner, withdrawn=owner == origin)
        return _Fate(held, owner, question=Question(held.filename, owner))
    same = same_bytes(held, listed)
    if owner == origin or not authority.counts(owner):
        return _Fate(listed, origin, dispute=None if same else _dispute(held, listed, origin, followed=True))
    preferred = authority.prefers(origin, owner)
    if not same:
        question = Question(held.filename, owner, listed) if preferred else None
        dispute = _dispute(held, listed, origin, followed=False)
        return _Fate(held, owner, question=question, dispute=dispute)
    if preferred:
        return _Fate(listed, origin)
    return _Fate(msgspec.structs.replace(held, yanked=held.yanked or listed.yanked), owner)


def _answer(
    held: File, question: Question, answered: str, pages: Mapping[str, Mapping[str, File]], *, enough: bool
) -> _Fate:
    owner, listed = question.owner, question.listed
    if owner in pages:
        own = pages[owner].get(held.filename)
        if listed is not None and (own is None or same_bytes(own, listed)):
            return _Fate(listed, answered, dispute=_dispute(held, listed, answered, followed=True))
        if own is None:
            return _Fate(None, owner, withdrawn=True)
        same = same_bytes(held, own)
        dispute = None if same else _dispute(held, own, owner, followed=True)
        return _Fate(own, owner, question=question, dispute=dispute)
    listed_elsewhere = listed is not None or any(held.filename in page for page in pages.values())
    if enough and not listed_elsewhere:
        return _Fate(None, owner)
    return _Fate(held, owner, question=question)


def _by_name(project: Project) -> dict[str, File]:
    """The files by their names, in the page's order; of two with one name the first."""
    files: dict[str, File] = {}
    for file in project.files:
        files.setdefault(file.filename, file)
    return files


def _cautious(held: Project, new: Project) -> Project:
    """The held page's facts, with a quarantine that a less preferred mirror knows of."""
    if new.status != QUARANTINED or held.status == QUARANTINED:
        return held
    return msgspec.structs.replace(held, status=new.status, status_reason=new.status_reason)


def _owned(file: File, owner: str, home: str) -> File:
    origin = "" if owner == home else owner
    return file if file.origin == origin else msgspec.structs.replace(file, origin=origin)


def _dispute(held: File, got: File, origin: str, *, followed: bool) -> Dispute:
    return Dispute(held.filename, origin, _named(held), _named(got), followed)


def _named(file: File) -> str:
    return str(file.best_digest) if file.best_digest is not None else f"{file.size} bytes"
