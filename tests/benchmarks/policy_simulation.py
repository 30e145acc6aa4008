# SPDX-License-Identifier: Apache-2.0
"""Waiting trims under a simulated clock and an exact moving window: our schedule, and what people use today."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from policy_bound import INTERVAL

from airflow_provider_trim.polling.schedule import Schedule

LATENCY = 0.1
"""Seconds from a call to its answer."""

WARM_UP, MEASURED, COOL_DOWN = 3600.0, 5400.0, 900.0
"""Seconds of a steady state: learning, counted, and still loaded while the counted ones end."""

Delays = list[float]


@dataclass(frozen=True)
class Quota:
    """Calls that are allowed in so many seconds."""

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

    def take(self, now: float) -> None:
        self.over += now < self.free_at() - 1e-9
        self.times.append(now)


def ours(begins: Sequence[float], durations: Sequence[float], quota: Quota) -> Delays:
    """Run the real schedule until all trims are found."""
    schedule, window = Schedule(), Window(quota)
    schedule.set_quota(quota.calls, quota.window)
    delays = [math.nan] * len(begins)
    under_way: deque[tuple[float, int, bool]] = deque()
    come, now, left = 0, 0.0, len(begins)
    while left:
        due = schedule.next_time()
        look = math.inf if due is None else max(due, window.free_at(), now)
        arrival = begins[come] if come < len(begins) else math.inf
        answer = under_way[0][0] if under_way else math.inf
        now = min(look, arrival, answer)
        if arrival <= now:
            schedule.put(str(come), since=now, interval=INTERVAL, not_before=now)
            come += 1
        elif answer <= now:
            _, trim, done = under_way.popleft()
            schedule.looked(str(trim), now, finished=done)
            if done:
                schedule.discard(str(trim))
                left -= 1
            else:
                schedule.put(str(trim), since=begins[trim], interval=INTERVAL, not_before=now + INTERVAL)
        elif (key := schedule.pick(now)) is not None:
            trim = int(key)
            window.take(now)
            finish = begins[trim] + durations[trim]
            if finish <= now:
                delays[trim] = now - finish
            under_way.append((now + LATENCY, trim, finish <= now))
    if window.over:
        raise RuntimeError(f"{window.over} calls over the quota")
    return delays


def alone(pause: Callable[[int], float]) -> Callable[[Sequence[float], Sequence[float], Quota], Delays]:
    """Return a simulation of tasks that poll as if each were alone; a refused call is an attempt all the same.

    :param pause: seconds after each attempt, by its number
    """

    def run(begins: Sequence[float], durations: Sequence[float], quota: Quota) -> Delays:
        window = Window(quota)
        delays = [math.nan] * len(begins)
        attempts = [(begin, trim, 0) for trim, begin in enumerate(begins)]
        heapq.heapify(attempts)
        while attempts:
            now, trim, number = heapq.heappop(attempts)
            if window.free_at() <= now:
                window.take(now)
                finish = begins[trim] + durations[trim]
                if finish <= now:
                    delays[trim] = now - finish
                    continue
            heapq.heappush(attempts, (now + pause(number), trim, number + 1))
        return delays

    return run


POLICIES: dict[str, Callable[[Sequence[float], Sequence[float], Quota], Delays]] = {
    "ours": ours,
    "fixed 60 s": alone(lambda _: 60.0),
    "fixed 10 s": alone(lambda _: 10.0),
    "backoff 5 s x 1.5": alone(lambda number: 5.0 * 1.5**number),
}


def steady(
    policy: str, distribution: Any, concurrency: int, quota: Quota, seed: int, *, poisson: bool = False
) -> float:
    """Return the mean delay in seconds with so many trims running at any time.

    :param poisson: they come at random instead, and are so many only on average
    """
    random = np.random.default_rng(seed)
    end = WARM_UP + MEASURED + COOL_DOWN
    if poisson:
        count = random.poisson(concurrency / distribution.mean() * end)
        begins = random.uniform(0, end, count)
        durations = distribution.rvs(count, random_state=random)
    else:
        # Each of so many places is taken anew as soon as its trim has ended.
        most = int(3 * end / distribution.mean()) + 50
        lengths = distribution.rvs(concurrency * most, random_state=random).reshape(concurrency, most)
        first = random.uniform(0, distribution.mean(), (concurrency, 1))
        starts = first + np.cumsum(lengths, axis=1) - lengths
        begins, durations = starts[starts < end], lengths[starts < end]
    order = np.argsort(begins)
    begins, durations = begins[order], durations[order]
    delays = np.array(POLICIES[policy](begins.tolist(), durations.tolist(), quota))
    return float(delays[(begins >= WARM_UP) & (begins < WARM_UP + MEASURED)].mean())


def batch(policy: str, distribution: Any, size: int, quota: Quota, seed: int) -> float:
    """Return the mean delay in seconds of so many trims that begin at once, in a process that knows only its prior."""
    durations = distribution.rvs(size, random_state=np.random.default_rng(seed))
    return float(np.mean(POLICIES[policy]([0.0] * size, durations.tolist(), quota)))
