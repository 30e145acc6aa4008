# SPDX-License-Identifier: Apache-2.0
"""The window in this process, by an injected clock."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trim.ratelimit.window import WINDOW_MARGIN, CountedCall, FallbackPace, LocalWindow
from tests.support.clocks import Clock

PERIOD = 10.55
"""A window of ten seconds with its margin."""


def granted(window: LocalWindow | FallbackPace, tries: int = 100) -> int:
    return sum(window.acquire() == 0.0 for _ in range(tries))


def test_a_window_is_a_little_longer_than_the_services(clock: Clock) -> None:
    """A call reaches the service some time after its permit."""
    window = LocalWindow(20, 10.0, clock=clock)
    assert granted(window) == 20
    assert window.acquire() == pytest.approx(PERIOD)
    clock.now += 10.5
    assert granted(window) == 0
    clock.now += 0.06
    assert granted(window) == 20


def test_the_window_moves(clock: Clock) -> None:
    """No burst at the border of two windows: each call counts for its own ten seconds."""
    window = LocalWindow(20, 10.0, clock=clock)
    for _ in range(20):
        assert window.acquire() == 0
        clock.now += 0.5
    assert window.acquire() == pytest.approx(PERIOD - 10.0)
    clock.now += PERIOD - 10.0 + 0.001
    assert granted(window) == 1
    assert window.used == 20


@pytest.mark.parametrize(("calls", "part"), [(8, 2), (300, 75), (3, 1), (1, 1)])
def test_a_part_of_the_quota_is_one_call_at_least(clock: Clock, calls: int, part: int) -> None:
    window = LocalWindow(calls, 60, clock=clock)
    assert [window.acquire(0.25) for _ in range(part)] == [0.0] * part
    assert window.acquire(0.25) == pytest.approx(window.period)
    assert [window.acquire() for _ in range(calls - part)] == [0.0] * (calls - part)
    clock.now += window.period
    assert window.acquire(0.25) == 0.0


def test_a_part_beyond_the_whole_is_the_whole(clock: Clock) -> None:
    window = LocalWindow(2, 60, clock=clock)
    assert [window.acquire(2.0) == 0.0 for _ in range(3)] == [True, True, False]


def test_threads_share_it() -> None:
    window = LocalWindow(50, 60.0)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: granted(window, 25), range(8))) == 50


def test_a_released_permit_can_be_taken_again(clock: Clock) -> None:
    window = LocalWindow(2, 10.0, clock=clock)
    window.release()  # of none, nothing
    assert granted(window) == 2
    window.release()
    assert window.used == 1
    assert granted(window) == 1


def test_a_cancelled_call_counts_no_more(clock: Clock) -> None:
    window = LocalWindow(2, 10.0, clock=clock)
    first, second = window.reserve(), window.reserve()
    assert isinstance(first, CountedCall)
    assert isinstance(second, CountedCall)
    assert window.used == 2
    window.cancel(first)
    window.cancel(first)
    assert window.made() == (second,)
    assert granted(window) == 1


def test_a_smaller_window_counts_what_a_larger_one_has_made(clock: Clock) -> None:
    larger = LocalWindow(20, 10.0, clock=clock)
    assert granted(larger, 12) == 12
    smaller = LocalWindow(10, 10.0, clock=clock, made=larger.made())
    clock.now += 5
    assert smaller.acquire() == pytest.approx(PERIOD - 5)
    assert granted(LocalWindow(15, 10.0, clock=clock, made=larger.made())) == 3


@given(seed=st.integers(0, 2**32), calls=st.integers(1, 20), seconds=st.floats(1.0, 300.0))
def test_the_quota_holds_at_the_service(seed: int, calls: int, seconds: float) -> None:
    """Whenever callers come, and though calls take up to the margin to arrive."""
    chance, clock, arrivals = random.Random(seed), Clock(), []
    window = LocalWindow(calls, seconds, clock=clock)
    for _ in range(10 * calls):
        clock.now += chance.choice([0.0, chance.uniform(0.0, seconds / calls)])
        wait = window.acquire()
        assert 0.0 <= wait <= window.period + 1e-6
        if wait == 0.0:
            arrivals.append(clock.now + chance.uniform(0.0, WINDOW_MARGIN))
    arrivals.sort()
    for first, over in zip(arrivals, arrivals[calls:], strict=False):
        assert over - first >= seconds


def test_the_fallback_is_a_tenth_evenly_spaced(clock: Clock) -> None:
    pace = FallbackPace(50, 3600.0, clock=clock)
    for _ in range(10):
        assert granted(pace) == 1
        assert pace.acquire() == pytest.approx(720.0)
        clock.now += 720.0


@pytest.mark.parametrize("calls", [1, 3, 9])
def test_a_small_quota_still_has_a_fallback(clock: Clock, calls: int) -> None:
    assert granted(FallbackPace(calls, 3600.0, clock=clock)) == 1
