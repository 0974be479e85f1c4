"""Calls are let through as fast as agreed, in order, and not at all for as long as that was asked."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.pace import Pace


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@given(st.integers(1, 100), st.integers(1, 20), st.lists(st.floats(0, 2), min_size=1, max_size=80))
def test_in_no_stretch_of_time_are_there_more_calls_than_agreed(per_second, burst, pauses):
    clock = Clock()
    pace, turns = Pace(per_second, burst, clock), []
    for pause in pauses:
        clock.now += pause
        turns.append(clock.now + max(pace.reserve(), 0))
    assert turns == sorted(turns)
    for first in range(len(turns)):
        for last in range(first, len(turns)):
            assert last - first + 1 <= burst + (turns[last] - turns[first]) * per_second + 1e-6


def test_a_burst_passes_at_once_and_what_follows_is_spread():
    pace = Pace(10, 3, Clock())
    assert [round(max(pace.reserve(), 0), 3) for _ in range(5)] == [0, 0, 0, 0.1, 0.2]


def test_nothing_passes_while_it_is_held():
    clock = Clock()
    pace = Pace(10, 3, clock)
    pace.hold(5)
    pace.hold(2)
    assert pace.reserve() == pytest.approx(5)
    clock.now = 5
    assert pace.reserve() <= 0


async def test_who_waits_already_waits_for_a_hold_too():
    pace = Pace(20, 1)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await pace.turn()
    second = asyncio.create_task(pace.turn())
    await asyncio.sleep(0)
    pace.hold(0.2)
    await second
    assert loop.time() - begun >= 0.19
