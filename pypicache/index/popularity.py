"""How often pages were used since mirrors were last asked about them: what `freshness.refresh_ahead` wants to know.

Counts are in memory only and bounded; losing one means that a page is refreshed when it has expired, as any other.
"""

from __future__ import annotations

from collections import OrderedDict

from pypicache.simple.model import ProjectName

PROJECTS = 4096
"""So many counts are kept, those of the pages used last."""


class Popularity:
    """Counts uses."""

    def __init__(self, projects: int = PROJECTS) -> None:
        self._projects = projects
        self._uses: OrderedDict[ProjectName, tuple[float, int]] = OrderedDict()

    def use(self, project: ProjectName, asked_at: float) -> int:
        """Count a use of the page that mirrors were asked about at `asked_at`; how many there were since then."""
        since, count = self._uses.pop(project, (asked_at, 0))
        count = count + 1 if since == asked_at else 1
        self._uses[project] = asked_at, count
        if len(self._uses) > self._projects:
            self._uses.popitem(last=False)
        return count
