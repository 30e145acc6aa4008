# SPDX-License-Identifier: Apache-2.0
"""Waiting trims under a simulated clock and an exact moving window, polled as our schedule says."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_provider_trim.polling.policy import ExpectedDelayPolicy, PollingPolicy
from airflow_provider_trim.polling.schedule import Schedule

INTERVAL = 5.0
"""Minimum seconds between two polls of one trim."""

LATENCY = 0.1
"""Seconds from a call to its response."""

Delays = list[float]


@dataclass(frozen=True)
class Quota:
    """Calls that are allowed in a number of seconds."""

    calls: int
    window: float = 300.0


class Window:
    """A moving window that is exact."""

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self.times: deque[float] = deque(maxlen=quota.calls)
        self.over = 0

    def free_at(self) -> float:
        full = len(self.times) == self.quota.calls
        return self.times[0] + self.quota.window if full else 0.0

    def submit(self, now: float, submitted: bool) -> None:
        """Make the calls with which a worker submits a trim and polls it once, if trims are submitted."""
        if submitted:
            self.take(now)
            if sum(time > now - self.quota.window for time in self.times) < self.quota.calls / 4:
                self.take(now)

    def take(self, now: float) -> None:
        self.over += now < self.free_at() - 1e-9
        self.times.append(now)


def simulate(
    begins: Sequence[float],
    durations: Sequence[float],
    quota: Quota,
    policy: Callable[[], PollingPolicy] = ExpectedDelayPolicy,
    interval: float = INTERVAL,
    task: Callable[[int], str] = lambda _: "",
    until: float = math.inf,
    kinds: Sequence[str | None] | None = None,
    submitted: bool = False,
) -> Delays:
    """Run the real schedule until all trims are found.

    :param begins: seconds at which they begin, in ascending order
    :param durations: seconds that each takes
    :param policy: makes the policy to be simulated
    :param interval: minimum seconds between two polls of one trim
    :param task: which waits for a trim, by its number
    :param until: seconds at which the simulation ends, if not all are found earlier
    :param kinds: of the trims; by default, no more is known of any
    :param submitted: as Airflow does: each trim begins with a call that submits it, as soon as there is one, and is
        polled once in its worker while less than a quarter of the quota is used
    :returns: seconds from each one's end until it was found; NaN where it was not
    :raises RuntimeError: the schedule made a call over the quota
    """
    schedule, window = Schedule(policy()), Window(quota)
    schedule.set_quota(quota.calls, quota.window)
    delays = [math.nan] * len(begins)
    under_way: deque[tuple[float, int, bool]] = deque()
    begins, come, now, left = list(begins), 0, 0.0, len(begins)
    while left:
        due = schedule.next_due_at()
        poll_at = math.inf if due is None else max(due, window.free_at(), now)
        arrival = begins[come] if come < len(begins) else math.inf
        if submitted and come < len(begins):
            arrival = begins[come] = max(arrival, window.free_at())
        response = under_way[0][0] if under_way else math.inf
        now = min(poll_at, arrival, response)
        if now > until:
            break
        if arrival <= now:
            window.submit(now, submitted)
            kind = None if kinds is None else kinds[come]
            schedule.upsert(str(come), started_at=now, interval=interval, not_before=now, task=task(come), kind=kind)
            come += 1
        elif response <= now:
            _, trim, done = under_way.popleft()
            schedule.record(str(trim), now, finished=done)
            if done:
                schedule.discard(str(trim))
                left -= 1
            else:
                schedule.upsert(
                    str(trim), started_at=begins[trim], interval=interval, not_before=now + interval, task=task(trim)
                )
        elif (key := schedule.pop_due(now)) is not None:
            trim = int(key)
            window.take(now)
            finish = begins[trim] + durations[trim]
            if finish <= now:
                delays[trim] = now - finish
            under_way.append((now + LATENCY, trim, finish <= now))
    if window.over:
        raise RuntimeError(f"{window.over} calls over the quota")
    return delays
