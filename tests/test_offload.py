"""What is done after big work: the helper ends when there was none for a while, and the heap gives back what was left."""

from __future__ import annotations

import threading

import pytest

from pypicache import heap, offload
from pypicache.offload import Offload
from tests.waiting import until_so


async def test_once_the_helper_has_ended_the_heap_is_told_to_give_back_what_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    monkeypatch.setattr(heap, "trim", lambda: told.append(threading.current_thread().name))
    monkeypatch.setattr(offload, "TIDY", 0.0)
    async with Offload(inline=0, thread=0, idle=0.5) as made:
        assert await made.run(1, len, "four") == 4
        await until_so(lambda: told)
        running = [made.helper_running]
        await until_so(lambda: len(told) == 2)
        assert [*running, made.helper_running] == [True, False]
    assert {name.partition("_")[0] for name in told} == {"offload"}
