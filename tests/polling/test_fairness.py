# SPDX-License-Identifier: Apache-2.0
"""No task is held up by what others wait for: a finished trim is noticed within a bound, in windows of the quota."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import deque
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_trim.polling.policy import ExpectedDelayPolicy, PollingPolicy
from airflow_provider_trim.polling.round_robin import RoundRobinPolicy
from airflow_provider_trim.polling.schedule import MAX_ROUNDS, MIN_OVERDUE_WINDOWS, Schedule
from tests.support.schedule_simulation import Quota, simulate

WINDOW, INTERVAL = 300.0, 10.0


def bound(tasks: int, trims: int, calls: int) -> float:
    """Return the windows within which a finished trim is noticed, as docs/quota.md states it.

    :param tasks: that wait at a time, at most
    :param trims: that its own task waits for
    :param calls: in a window
    """
    rounds = tasks * trims / calls
    return max(MAX_ROUNDS * rounds, MIN_OVERDUE_WINDOWS) + math.ceil(2.0 * rounds) + 1.0


@dataclass(frozen=True)
class Others:
    """What another task waits for.

    :param trims: how many at a time
    :param kind: ``endless``; ``short``, each followed by another; ``ending``, always near their deadline; ``expedited``
        by callbacks, again and again; ``hour``, which are polled often and not done
    """

    trims: int
    kind: str

    @property
    def duration(self) -> float:
        return {"short": 5.0, "hour": 3600.0}.get(self.kind, math.inf)

    def put(self, schedule: Schedule, key: str, began: float, not_before: float) -> None:
        deadline = began + INTERVAL if self.kind == "ending" else None
        schedule.upsert(
            key,
            started_at=began,
            interval=INTERVAL,
            not_before=not_before,
            deadline=deadline,
            task=key.partition("/")[0],
        )


def unnoticed(  # noqa: C901
    policy: PollingPolicy, calls: int, others: list[Others], trims: int, begin: float, duration: float
) -> float:
    """Return the seconds for which a trim of a task goes unnoticed, the longest of all that it waits for."""
    schedule, numbers = Schedule(policy), itertools.count()
    schedule.set_quota(calls, WINDOW)
    began: dict[str, float] = {}
    times: deque[float] = deque(maxlen=calls)

    def add(name: str, other: Others, now: float) -> None:
        key = f"{name}/{next(numbers)}"
        began[key] = now
        other.put(schedule, key, now, now)

    tasks = {str(number): other for number, other in enumerate(others)}
    for name, other in tasks.items():
        for _ in range(other.trims):
            add(name, other, 0.0)
    mine, late, now = Others(trims, "mine"), 0.0, 0.0
    waiting = False
    end = begin + duration + (bound(len(others) + 1, trims, calls) + 1.0) * WINDOW
    while not waiting or schedule.trims_of("mine"):
        if now > end:
            return now - begin - duration
        due = schedule.next_due_at()
        assert due is not None
        now = max(now, due, times[0] + WINDOW if len(times) == calls else 0.0)
        if not waiting and now >= begin:
            now, waiting = begin if begin > (times[-1] if times else 0.0) else now, True
            for _ in range(trims):
                add("mine", mine, now)
            continue
        key = schedule.pop_due(now)
        if key is None:
            continue
        times.append(now)
        name = key.partition("/")[0]
        other, age = tasks.get(name, mine), now - began[key]
        done = age >= (duration if other is mine else other.duration) or (other.kind == "ending" and age >= INTERVAL)
        schedule.record(key, now, finished=done)
        if other is mine and done:
            late = max(late, age - duration)
        if done:
            schedule.discard(key)
            if other is not mine:
                add(name, other, now)
        else:
            other.put(schedule, key, began[key], now + INTERVAL)
            if other.kind == "expedited":
                schedule.expedite(key, now)
    return late


others = st.lists(
    st.builds(Others, st.integers(1, 60), st.sampled_from(["endless", "short", "ending", "expedited", "hour"])),
    min_size=1,
    max_size=5,
)


@settings(max_examples=settings.default.max_examples // 4)
@given(
    policy=st.sampled_from([ExpectedDelayPolicy, RoundRobinPolicy]),
    calls=st.integers(1, 30),
    others=others,
    trims=st.integers(1, 8),
    begin=st.floats(0.0, 2.0 * WINDOW),
    duration=st.floats(0.0, 5.0 * WINDOW),
)
@example(ExpectedDelayPolicy, 10, [Others(300, "endless")], 8, 0.0, 30.0)
@example(ExpectedDelayPolicy, 10, [Others(100, "ending")], 3, 0.0, 30.0)
@example(ExpectedDelayPolicy, 10, [Others(100, "expedited")], 3, 300.0, 30.0)
@example(ExpectedDelayPolicy, 10, [Others(1, "endless") for _ in range(100)], 1, 300.0, 30.0)
def test_a_finished_trim_is_noticed_within_the_bound(
    policy: Any, calls: int, others: list[Others], trims: int, begin: float, duration: float
) -> None:
    late = unnoticed(policy(), calls, others, trims, begin, duration)
    assert late <= bound(len(others) + 1, trims, calls) * WINDOW + INTERVAL


def test_a_long_list_does_not_hold_up_another_task() -> None:
    """As thousands of trims at 300 calls in five minutes, with 290 of another task that are finished soon, at a tenth.

    None of the 290 was noticed within an hour.
    """
    begins, durations = [0.0] * 400 + [30.0] * 29, [10_000.0] * 400 + [20.0] * 29
    task = ["list", "other"]
    delays = simulate(begins, durations, Quota(30), task=lambda number: task[number >= 400], until=3600.0)[400:]
    assert max(delays) <= bound(2, 29, 30) * WINDOW
    assert statistics.mean(delays) <= 5.0 * WINDOW


def test_tasks_of_one_trim_each_are_served_as_one_task_of_all() -> None:
    durations = [float(10 + 7 * number % 300) for number in range(100)]
    alone, apart = (
        statistics.mean(simulate([0.0] * 100, durations, Quota(25), task=task)) for task in (lambda _: "", str)
    )
    assert apart == pytest.approx(alone, rel=0.02)
