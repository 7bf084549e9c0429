"""Why an index answers as it does for one file: who lists it, who took it away, what was last said of its links.

Like `explain`, it reads what is there and asks no mirror.
"""

from __future__ import annotations

import msgspec

from pypicache.index.locator import OK, refusal
from pypicache.rules import policy
from pypicache.simple import model
from pypicache.store.linkrecord import LinkRecord


class FileState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of a file by its name. Fields that don't apply are left out."""

    filename: str
    answer: str
    """What a client that has a link to it gets now, in a sentence."""
    listed_by: str | None = None
    """The mirror whose listing of it counts, if the held page lists it."""
    withdrawn_by: str | None = None
    """The mirror that took it off the page."""
    digests: tuple[str, ...] = ()
    """As the page gives them, or as it gave them last."""
    size: int | None = None
    links: int = 0
    """How many links to it are remembered."""
    verdicts: tuple[str, ...] = ()
    """What was last said of those links, where that was a no."""


class Seen(msgspec.Struct, frozen=True):
    """What a held page says, as far as an explanation needs it."""

    files: int
    hidden: str | None
    """Why the files aren't handed out, if they aren't."""
    withdrawn: dict[str, str]
    """Files that were taken off it, the latest, and by which mirror."""
    file: model.File | None = None


MAX_WITHDRAWN = 20
"""How many withdrawn files are shown, the latest."""


def look(page: bytes, filename: str | None) -> Seen:
    """What the page says; of `filename`, too, if that is given."""
    project = model.load(page)
    verdict = policy.judge_project(project)
    latest = [each for each in project.withdrawn if each.filename == filename]
    latest += project.withdrawn[-MAX_WITHDRAWN:]
    return Seen(
        files=len(project.files),
        hidden=None if isinstance(verdict, policy.Allow) else verdict.reason,
        withdrawn={each.filename: each.origin for each in latest},
        file=None if filename is None else project.file(filename),
    )


def state(filename: str, home: str, seen: Seen | None, records: tuple[LinkRecord, ...]) -> FileState:
    """What is known of the file: from the held page, which came from `home`, and from the links that are remembered."""
    file = None if seen is None else seen.file
    verdicts = tuple(dict.fromkeys(str(refusal(r.verdict)) for r in records if r.verdict != OK))
    withdrawn = None if seen is None or file is not None else seen.withdrawn.get(filename)
    digests = file.hashes if file is not None else next((r.digests for r in records if r.digests), ())
    return FileState(
        filename=filename,
        answer=_answer(seen, withdrawn, records, verdicts),
        listed_by=None if file is None else file.origin or home,
        withdrawn_by=withdrawn,
        digests=tuple(map(str, digests)),
        size=file.size if file is not None else next((r.size for r in records if r.size is not None), None),
        links=len(records),
        verdicts=() if file is not None else verdicts,
    )


def _answer(
    seen: Seen | None, withdrawn: str | None, records: tuple[LinkRecord, ...], verdicts: tuple[str, ...]
) -> str:
    if seen is not None and seen.file is not None:
        return "it is handed out: the held page lists it" if seen.hidden is None else f"403: {seen.hidden}"
    if withdrawn is not None:
        return f"404: {withdrawn} took it off the project's page"
    if verdicts:
        return f"no: {verdicts[0]}"
    if seen is not None:
        return "the held page doesn't list it: it is asked for once more, and 404 if it still doesn't"
    if records:
        return "it is handed out as it was last listed: no page is held"
    return "the page is asked for, which decides"
