"""Which of a download's connections bring nothing, and where there is one to spare. It opens and ends none."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from pypicache.errors import UpstreamTimeout
from pypicache.index.lane import Lane
from pypicache.rules import pieces
from pypicache.upstream.source import Copy, Share


def stalled(lanes: Mapping[asyncio.Task[None], Lane], now: float) -> list[asyncio.Task[None]]:
    """Those that have brought nothing for a while, while another one does."""
    if len(lanes) < 2:  # noqa: PLR2004 - nobody to compare with
        return []
    newest = max(lane.touched for lane in lanes.values())
    if now - newest >= pieces.STEP * 4:
        return []
    return [task for task, lane in lanes.items() if now - lane.touched > pieces.STALLED and not task.done()]


def late(lanes: Mapping[asyncio.Task[None], Lane], now: float) -> list[asyncio.Task[None]]:
    """Shares beside the first that have brought nothing for a while, or so little that they'd take long still, while the first is done."""
    done = all(lane.share is not Share.FIRST for lane in lanes.values())
    return [
        task
        for task, lane in lanes.items()
        if lane.share is Share.BESIDE
        and not task.done()
        and (
            now - lane.touched >= pieces.OVERDUE
            or (done and now - lane.began >= pieces.OVERDUE and lane.needs() > pieces.OVERDUE)
        )
    ]


def silence(lane: Lane) -> UpstreamTimeout:
    """How a stalled lane's mirror failed."""
    failure = UpstreamTimeout(lane.copy.origin, f"silent for {pieces.STALLED:g} s")
    failure.told = not lane.answered  # `upstream.watched` tells of requests that are given up
    return failure


def most_spare(copies: Iterable[Copy], lanes: Collection[Lane]) -> Copy | None:
    """The copy whose mirror allows the most further connections; None where none does."""
    used = Counter(lane.copy.origin for lane in lanes)
    spare = [(copy.connections - used[copy.origin], copy) for copy in copies]
    most, copy = max(spare, key=lambda each: each[0], default=(0, None))
    return copy if most > 0 else None


def overdue(lanes: Collection[Lane], now: float) -> Lane | None:
    """The first one that hasn't brought a byte since a while, and neither has anyone else who was asked for the same bytes."""
    silent = [
        lane
        for lane in lanes
        if all(
            not each.received and now - each.touched >= pieces.OVERDUE
            for each in (lane, *beside(lane, lanes))
        )
    ]
    return min(
        (lane for lane in silent if _at_work(lane) and lane.share is not Share.BESIDE),
        key=lambda lane: lane.position,
        default=None,
    )


def beside(lane: Lane, lanes: Iterable[Lane]) -> list[Lane]:
    """The others that were asked for the lane's next byte, too; none if that is nobody's or another's by now."""
    return [
        other
        for other in lanes
        if other is not lane and _at_work(lane) and _at_work(other) and _covers(other, lane.position)
    ]


def asked(lane: Lane | None, lanes: Iterable[Lane]) -> set[str]:
    """The mirrors that were asked for the lane's next byte; none for no lane."""
    return set() if lane is None else {each.copy.origin for each in (lane, *beside(lane, lanes))}


def _at_work(lane: Lane) -> bool:
    """Whether it has something to bring."""
    return lane.stop is None or lane.position < lane.stop


def _covers(lane: Lane, position: int) -> bool:
    return lane.position <= position and (lane.stop is None or position < lane.stop)
