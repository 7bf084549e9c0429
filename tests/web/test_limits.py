"""Who is served, who is told that there are too many, who is turned away."""

from __future__ import annotations

import pytest

from pypicache.web.limits import Admission, Limits, admit

LIMITS = Limits(max_connections=100, descriptors=1000)


@pytest.mark.parametrize(
    ("served", "told", "descriptor", "admission"),
    [
        (0, 0, 20, Admission.SERVED),
        (99, 0, 120, Admission.SERVED),
        (100, 0, 120, Admission.TOLD),
        (100, 15, 120, Admission.TOLD),
        (100, 16, 120, Admission.CLOSED),
        (0, 0, 799, Admission.SERVED),
        (0, 0, 800, Admission.TOLD),
        (0, 0, 899, Admission.TOLD),
        (0, 0, 900, Admission.CLOSED),
        (99, 16, 120, Admission.SERVED),
    ],
)
def test_admission(served: int, told: int, descriptor: int, admission: Admission) -> None:
    assert admission is admit(LIMITS, served=served, told=told, descriptor=descriptor)


def test_a_few_descriptors_leave_some_for_the_disk() -> None:
    few = Limits(descriptors=64)
    assert admit(few, served=10, told=0, descriptor=47) is Admission.SERVED
    assert admit(few, served=10, told=0, descriptor=48) is Admission.TOLD
    assert admit(few, served=10, told=0, descriptor=56) is Admission.CLOSED


def test_a_head_has_no_more_time_than_an_idle_connection() -> None:
    assert Limits(keepalive_timeout=2).patience == 2
    assert Limits(keepalive_timeout=75).patience == 20
