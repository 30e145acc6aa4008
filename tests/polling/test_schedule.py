# SPDX-License-Identifier: Apache-2.0
"""Who is asked next, by injected time: the rules that hold whatever comes."""

from __future__ import annotations

import heapq
import math
import pickle
import random
import statistics
from typing import Any

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_trim.polling.durations import DurationModel
from airflow_provider_trim.polling.quota import MARGIN, Quota
from airflow_provider_trim.polling.schedule import LONGEST_PAUSE, Schedule
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support import schedule_simulation as simulation

NOW = 1_796_000_000.0


def put(schedule: Schedule, key: str, now: float, **facts: Any) -> None:
    schedule.put(key, **{"since": now, "interval": 10.0, "not_before": now, **facts})


def picked(schedule: Schedule, now: float) -> list[str]:
    """Take out all who are due."""
    keys = []
    while (key := schedule.pick(now)) is not None:
        keys.append(key)
    return keys


# --- with calls to spare ---


@pytest.mark.parametrize("calls", [None, 300])
def test_with_calls_to_spare_each_trim_is_polled_on_time(calls: int | None) -> None:
    schedule = Schedule()
    schedule.set_quota(calls, 300.0)
    for key, time in (("c", 3), ("a", 1), ("b", 2)):
        put(schedule, key, NOW, not_before=NOW + time)
    assert len(schedule) == 3
    assert schedule.pick(NOW) is None
    assert schedule.next_time() == NOW + 1
    assert picked(schedule, NOW + 2.5) == ["a", "b"]
    assert schedule.next_time() == NOW + 3
    put(schedule, "a", NOW, not_before=NOW + 12.5)
    assert picked(schedule, NOW + 20) == ["c", "a"]
    assert schedule.next_time() is None


def test_picked_trim_is_not_picked_again_until_it_is_put_back() -> None:
    schedule = Schedule()
    put(schedule, "a", NOW)
    assert picked(schedule, NOW) == ["a"]
    assert picked(schedule, NOW + 1000) == []
    put(schedule, "a", NOW, not_before=NOW + 1001)
    assert picked(schedule, NOW + 1001) == ["a"]


def test_trim_put_back_is_polled_at_the_new_time_only() -> None:
    schedule = Schedule()
    put(schedule, "a", NOW)
    put(schedule, "a", NOW, not_before=NOW + 50)
    assert picked(schedule, NOW + 49) == []
    put(schedule, "a", NOW, not_before=NOW + 20)
    assert picked(schedule, NOW + 49) == ["a"]


def test_discarded_trim_is_polled_no_more() -> None:
    schedule = Schedule()
    put(schedule, "a", NOW)
    schedule.discard("a")
    schedule.discard("never known")
    schedule.looked("never known", NOW, finished=True)
    assert schedule.next_time() is None
    assert schedule.pick(NOW) is None
    assert len(schedule) == 0


# --- with fewer calls than trims want ---


def crowd(size: int, calls: int = 300, **facts: Any) -> Schedule:
    schedule = Schedule()
    schedule.set_quota(calls, 300.0)
    for number in range(size):
        put(schedule, str(number), NOW, **facts)
    return schedule


def test_no_trim_is_polled_before_it_can_be_done() -> None:
    """A thousand at once: the first look is not before a good part of them is likely to be done."""
    schedule = crowd(1000)
    first = schedule.next_time()
    assert first is not None
    assert DurationModel().survival(first - NOW) < 0.9


def test_a_quota_that_becomes_known_later_counts() -> None:
    """The connection is looked up only when the first look is due."""
    schedule = crowd(1000, calls=10**9)
    assert schedule.next_time() == NOW
    schedule.set_quota(300, 300.0)
    assert schedule.next_time() > NOW + 5
    schedule.set_quota(None, 0.0)
    assert schedule.next_time() == NOW


def test_last_poll_is_given_at_the_deadline_before_all_others() -> None:
    schedule = crowd(1000)
    put(schedule, "urgent", NOW, deadline=NOW + 1.0)
    assert schedule.next_time() == NOW + 1.0
    late = NOW + 1000.0
    assert schedule.pick(late) == "urgent"


def test_last_poll_is_not_delayed_by_those_due_before() -> None:
    schedule = crowd(1000)
    put(schedule, "urgent", NOW, deadline=NOW + 2000.0)
    assert schedule.pick(NOW + 1999.0) == "0"
    assert schedule.pick(NOW + 2000.0) == "urgent"


def test_deadline_that_passes_during_a_poll_is_followed_by_the_last_poll() -> None:
    schedule = Schedule()
    put(schedule, "a", NOW, deadline=NOW + 30)
    assert picked(schedule, NOW + 29) == ["a"]
    assert schedule.next_time() is None
    put(schedule, "a", NOW, not_before=NOW + 39, deadline=NOW + 30)
    assert picked(schedule, NOW + 31) == ["a"]
    # Should it be put once more after its last look, there is no hurry any more.
    put(schedule, "a", NOW, not_before=NOW + 41, deadline=NOW + 30)
    assert schedule.next_time() == NOW + 41


def test_trims_that_came_and_went_leave_nothing_behind() -> None:
    schedule = Schedule()
    for number in range(1000):
        put(schedule, str(number), NOW, deadline=NOW + 1e6)
        assert picked(schedule, NOW) == [str(number)]
        put(schedule, str(number), NOW, not_before=NOW + 1, deadline=NOW + 1e6)
        schedule.discard(str(number))
        schedule.next_time()
    assert len(pickle.dumps(schedule)) < 20_000


def test_trims_older_than_any_known_do_not_eat_the_quota() -> None:
    schedule = crowd(100, since=NOW - 1e6)
    last = dict.fromkeys(map(str, range(100)), NOW)
    pauses = []
    for second in range(1000):
        now = NOW + 1000.0 + second
        if (key := schedule.pick(now)) is not None:
            pauses.append(now - last[key])
            last[key] = now
            schedule.looked(key, now, finished=False)
            put(schedule, key, NOW, since=NOW - 1e6, not_before=now + 10.0)
    assert len(pauses) >= 100
    assert min(pauses) > 50


def test_polls_adapt_to_observed_durations() -> None:
    """Where trims take ten minutes, it soon stops asking after one."""
    schedule = crowd(1000)
    before = schedule.next_time()
    for number in range(200):
        schedule.looked(str(number), NOW + 600, finished=False)
        schedule.discard(str(number))
    assert schedule.next_time() > before


@pytest.mark.parametrize("horizon", [3600.0, pytest.param(9000.0, marks=pytest.mark.full)])
def test_the_price_does_not_follow_each_trim(horizon: float) -> None:
    """150 trims at a time that all take about four minutes: the few that are nearly done ask for most of the calls."""
    generator = random.Random(1)
    trims = []
    for _ in range(150):
        begin = generator.uniform(0.0, 240.0)
        while begin < horizon:
            duration = 240.0 * generator.lognormvariate(0.0, 0.05)
            trims.append((begin, duration))
            begin += duration
    begins, durations = zip(*sorted(trims), strict=True)
    delays = simulation.simulate(begins, durations, simulation.Quota(300))
    # Nobody who knows the distribution is below 8.4 s; a price that follows each trim comes to 14 s or more.
    assert statistics.mean(delays[len(delays) // 2 :]) < 13.0


_STRETCH = st.floats(0.0, 2000.0)


@settings(max_examples=settings.default.max_examples // 2)
@given(
    trims=st.lists(
        st.tuples(_STRETCH, st.floats(0.5, 60.0), st.floats(1.0, 1500.0), st.none() | st.floats(1.0, 3000.0), _STRETCH),
        min_size=1,
        max_size=60,
    ),
    calls=st.integers(1, 60),
)
def test_invariants_hold_under_any_load(trims: list[Any], calls: int) -> None:
    """Intervals and first looks are kept, last looks are given, nobody is forgotten, nobody starves."""
    schedule, window = Schedule(), 300.0
    schedule.set_quota(calls, window)
    begins = sorted((begin, number) for number, (begin, *_) in enumerate(trims))
    looks: dict[int, list[float]] = {number: [] for number in range(len(trims))}
    times: list[float] = []
    now, finished = 0.0, set()
    while len(finished) < len(trims):
        due = schedule.next_time()
        free = times[-calls] + window if len(times) >= calls else 0.0
        look = math.inf if due is None else max(due, free, now)
        if begins and begins[0][0] <= look:
            now, number = heapq.heappop(begins)
            begin, interval, _, patience, first = trims[number]
            deadline = None if patience is None else begin + patience
            schedule.put(str(number), since=begin, interval=interval, not_before=begin + first, deadline=deadline)
            continue
        assert math.isfinite(look), "somebody waits, and nobody is to be asked"
        now = look
        key = schedule.pick(now)
        if key is None:
            continue
        number = int(key)
        begin, interval, duration, patience, first = trims[number]
        last_look = patience is not None and now >= begin + patience
        assert now >= begin + first or last_look
        assert not looks[number] or now >= looks[number][-1] + interval - 1e-6 or last_look
        looks[number].append(now)
        times.append(now)
        done = now >= begin + duration or last_look
        schedule.looked(key, now, finished=done)
        if done:
            finished.add(number)
            schedule.discard(key)
        else:
            deadline = None if patience is None else begin + patience
            schedule.put(key, since=begin, interval=interval, not_before=now + interval, deadline=deadline)
    assert len(schedule) == 0
    rounds = (len(trims) + 1) * window / calls
    for number, seen in looks.items():
        begin, interval, duration, patience, first = trims[number]
        end = begin + (duration if patience is None else min(duration, patience))
        # At most an hour without a look, plus a turn for everybody else.
        assert seen[-1] <= max(end, begin + first) + LONGEST_PAUSE + interval + rounds + window
        if patience is not None:
            assert seen[-1] <= begin + patience + rounds + window


@settings(max_examples=settings.default.max_examples // 3)
@given(seed=st.integers(0, 2**32), calls=st.integers(1, 40), seconds=st.integers(5, 300), size=st.integers(1, 120))
def test_the_quota_holds_at_the_service(seed: int, calls: int, seconds: int, size: int) -> None:
    """Schedule and limiter together, with random arrivals, and calls that take up to the margin to arrive."""
    chance = random.Random(seed)
    connection = TrimSettings.from_connection(login=str(seed), extra={"quota": f"{calls}/{seconds} second"})
    schedule = Schedule()
    schedule.set_quota(calls, float(seconds))
    for number in range(size):
        put(schedule, str(number), NOW + chance.uniform(0, seconds), interval=chance.uniform(0.5, 5.0))
    arrivals = []
    with time_machine.travel(NOW, tick=False) as traveller:
        quota, now = Quota(connection), NOW
        while now < NOW + 4 * seconds and (due := schedule.next_time()) is not None:
            now = max(now, due)
            traveller.move_to(now)
            if pause := quota.acquire():
                now += pause
                continue
            key = schedule.pick(now)
            arrivals.append(now + chance.uniform(0, MARGIN))
            schedule.looked(key, now, finished=chance.random() < 0.05)
            schedule.put(key, since=NOW, interval=1.0, not_before=now + 1.0)
    arrivals.sort()
    for first, over in zip(arrivals, arrivals[calls:], strict=False):
        assert over - first >= seconds


# --- said to be done ---


@pytest.mark.parametrize("calls", [None, 300, 3])
def test_hinted_trim_is_polled_at_once_and_first(calls: int | None) -> None:
    """Ahead of those that wait for their turn under a scarce quota, and of its own time."""
    schedule = Schedule()
    schedule.set_quota(calls, 300.0)
    for number in range(500):
        put(schedule, f"t{number}", NOW, since=NOW - 600)
    put(schedule, "done", NOW, not_before=NOW + 3600, deadline=NOW + 7200)
    schedule.hurry("done", NOW)
    assert schedule.next_time() == NOW
    assert schedule.pick(NOW) == "done"
    assert schedule.pick(NOW) != "done"


def test_hinted_trim_stays_first_when_another_waiter_joins() -> None:
    schedule = Schedule()
    put(schedule, "done", NOW, not_before=NOW + 3600)
    schedule.hurry("done", NOW)
    put(schedule, "done", NOW, not_before=NOW + 1800)
    assert picked(schedule, NOW) == ["done"]
    put(schedule, "done", NOW, not_before=NOW + 10, deadline=NOW + 20)
    assert picked(schedule, NOW) == []
    assert schedule.next_time() == NOW + 10


def test_hint_about_a_trim_that_is_polled_or_unknown_is_ignored() -> None:
    schedule = Schedule()
    put(schedule, "asked", NOW)
    assert picked(schedule, NOW) == ["asked"]
    schedule.hurry("asked", NOW)
    schedule.hurry("unknown", NOW)
    assert picked(schedule, NOW + 100) == []
