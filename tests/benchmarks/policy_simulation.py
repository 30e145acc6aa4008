# SPDX-License-Identifier: Apache-2.0
"""Waiting trims under a simulated clock and an exact moving window: our schedule, and what people use today."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.support.schedule_simulation import Delays, Quota, Window, simulate

WARM_UP, MEASURED, COOL_DOWN = 3600.0, 5400.0, 900.0
"""Seconds of a steady state: learning, counted, and still loaded while the counted ones end."""


def alone(
    pause: Callable[[int], float], *, submitted: bool = False
) -> Callable[[Sequence[float], Sequence[float], Quota], Delays]:
    """Return a simulation of tasks that poll as if each were alone; a refused call is an attempt all the same.

    :param pause: seconds after each attempt, by its number
    :param submitted: each trim begins with a call that submits it, as soon as there is one
    """

    def run(begins: Sequence[float], durations: Sequence[float], quota: Quota) -> Delays:
        window = Window(quota)
        begins, delays = list(begins), [math.nan] * len(begins)
        attempts = [(begin, trim, -1 if submitted else 0) for trim, begin in enumerate(begins)]
        heapq.heapify(attempts)
        while attempts:
            now, trim, number = heapq.heappop(attempts)
            if number < 0:
                begins[trim] = max(now, window.free_at())
                window.take(begins[trim])
                heapq.heappush(attempts, (begins[trim], trim, 0))
                continue
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
    "ours": simulate,
    "fixed 60 s": alone(lambda _: 60.0),
    "fixed 10 s": alone(lambda _: 10.0),
    "backoff 5 s x 1.5": alone(lambda number: 5.0 * 1.5**number),
}


def steady(
    policy: str, distribution: Any, concurrency: int, quota: Quota, seed: int, *, poisson: bool = False
) -> float:
    """Return the mean delay in seconds with a number of trims running at any time.

    :param poisson: they come at random instead, and have that number only on average
    """
    random = np.random.default_rng(seed)
    end = WARM_UP + MEASURED + COOL_DOWN
    if poisson:
        count = random.poisson(concurrency / distribution.mean() * end)
        begins = random.uniform(0, end, count)
        durations = distribution.rvs(count, random_state=random)
    else:
        # Each place is taken again as soon as its trim has ended.
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
    """Return the mean delay in seconds of trims that begin at once, in a process that knows only its prior."""
    durations = distribution.rvs(size, random_state=np.random.default_rng(seed))
    return float(np.mean(POLICIES[policy]([0.0] * size, durations.tolist(), quota)))
