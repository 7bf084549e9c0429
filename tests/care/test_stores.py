from __future__ import annotations

from pathlib import Path

from pypicache.care.stores import stores
from pypicache.rules.eviction import Candidate
from pypicache.store.linkrecord import LinkRecord


def record(project: str, sha256: str) -> LinkRecord:
    name = f"{project}-1.tar.gz"
    return LinkRecord(
        index="root/pypi", project=project, path=name, filename=name, url="u", origin="m", sha256=sha256
    )


async def test_files_of_pinned_projects_are_spared_where_room_has_to_be_made(tmp_path: Path) -> None:
    """An import into a full cache evicts as the daemon would."""
    ours, theirs = "0" * 64, "1" * 64
    async with stores(tmp_path) as opened:
        await opened.links.put(record("ours", ours))
        await opened.links.put(record("theirs", theirs))
    async with stores(tmp_path, pinned=lambda project: project == "ours") as opened:
        spared = opened.blobs.keeper.evictor.spared
        assert spared(Candidate(ours, 1, 0.0, 0.0))
        assert not spared(Candidate(theirs, 1, 0.0, 0.0))
