# SPDX-License-Identifier: Apache-2.0
"""Bursts under a simulated clock: the real schedule, fixed polls and backoffs, and round robin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import environment  # noqa: F401 - makes tests.support importable
import numpy as np
from policy_bound import Mixture
from policy_simulation import alone
from scipy import stats

from airflow_provider_trim.polling.account_durations import AccountDurations
from airflow_provider_trim.polling.policy import ExpectedDelayPolicy, PollingPolicy
from airflow_provider_trim.polling.round_robin import RoundRobinPolicy
from tests.support.schedule_simulation import INTERVAL, Quota, simulate

BURSTS: dict[str, Any] = {
    "lognormal(6 s, 0.6)": stats.lognorm(0.6, scale=6),
    "lognormal(12 s, 0.6)": stats.lognorm(0.6, scale=12),
    "nearly constant 20 s": stats.lognorm(0.05, scale=20),
    "lognormal(30 s, 0.6)": stats.lognorm(0.6, scale=30),
    "lognormal(60 s, 0.6)": stats.lognorm(0.6, scale=60),
    "two humps 15 and 90 s": Mixture((0.6, stats.lognorm(0.2, scale=15)), (0.4, stats.lognorm(0.2, scale=90))),
    "lognormal(120 s, 0.8)": stats.lognorm(0.8, scale=120),
    "lognormal(600 s, 0.6)": stats.lognorm(0.6, scale=600),
    "lognormal(1800 s, 0.5)": stats.lognorm(0.5, scale=1800),
}
SIZES = (5, 10, 20, 40, 70, 100, 150, 300)
WARMED_BY = 50
QUOTA = Quota(300)
PAUSES = (5, 10, 15, 20, 30, 60, 120)


def _naive(*, submitted: bool) -> dict[str, Callable[..., Any]]:
    fixed = {f"fixed {pause} s": lambda _, pause=pause: float(pause) for pause in PAUSES}
    backoffs = {f"backoff 5 s x {by}": lambda number, by=by: 5.0 * by**number for by in (1.5, 2.0)}
    return {name: alone(pause, submitted=submitted) for name, pause in (fixed | backoffs).items()}


NAIVE, SUBMITTING = _naive(submitted=False), _naive(submitted=True)


def seeds_of(size: int, most: int) -> int:
    """Return how many seeds a burst takes: more where trims are few."""
    return max(1, min(most, max(3, 120 // size)))


def durations(distribution: str, size: int, seed: int) -> list[float]:
    """Return the seconds that a burst's trims take."""
    values: list[float] = BURSTS[distribution].rvs(size, random_state=np.random.default_rng([seed, size])).tolist()
    return values


def best_naive(distribution: str, size: int, seeds: int, quota: Quota = QUOTA) -> float:
    """Return the mean delay in seconds of the fixed poll or backoff that turns out to be the best for such a burst."""
    bursts = [durations(distribution, size, seed) for seed in range(seeds)]
    means = [np.mean([run([0.0] * size, burst, quota) for burst in bursts]) for run in NAIVE.values()]
    return float(min(means))


def round_robin(distribution: str, size: int, seeds: int) -> float:
    """Return the mean delay in seconds of polling in turn."""
    bursts = [durations(distribution, size, seed) for seed in range(seeds)]
    return float(np.mean([simulate([0.0] * size, burst, QUOTA, RoundRobinPolicy) for burst in bursts]))


def ours(
    distribution: str, size: int, seeds: int, warm: bool, quota: Quota = QUOTA, interval: float = INTERVAL
) -> float:
    """Return the mean delay in seconds of this package's policy.

    :param warm: the process has seen a burst of such trims
    """
    means = []
    for seed in range(seeds):
        policy = warmed(distribution, seed) if warm else ExpectedDelayPolicy
        burst = durations(distribution, size, seed)
        means.append(np.mean(simulate([0.0] * size, burst, quota, policy, interval)))
    return float(np.mean(means))


def warmed(distribution: str, seed: int) -> Callable[[], PollingPolicy]:
    """Return what makes a policy that has seen :data:`WARMED_BY` such trims."""
    model = AccountDurations()
    seen = durations(distribution, WARMED_BY, 1000 + seed)
    simulate([0.0] * WARMED_BY, seen, QUOTA, lambda: ExpectedDelayPolicy(model))
    return lambda: ExpectedDelayPolicy(model)


Trims = list[tuple[float, float]]
"""Begins and durations."""


def mixed_trims(seed: int) -> tuple[Trims, Trims]:
    """Return a steady 30 of two minutes, and a burst of 60 of 10 s."""
    random = np.random.default_rng(seed)
    long = _steady(random, 30, lambda begin: 120.0 * random.lognormal(0.0, 0.8), 5400.0)
    return long, [_spread(random, 3600.0, 10.0) for _ in range(60)]


def mixed(seed: int) -> tuple[float, float]:
    """Return the mean delay of a burst of 60 of 10 s: during a steady 30 of two minutes, and alone."""
    return _short_ones(*mixed_trims(seed))


def two_dags(seed: int, *, bursts: bool) -> tuple[float, float]:
    """Return the mean delay of trims of 12 s: during a steady 40 of another task, of ten minutes, and alone.

    :param bursts: four times 40 at once; otherwise five at any time
    """
    random = np.random.default_rng(seed)
    long = _steady(random, 40, lambda begin: 600.0 * random.lognormal(0.0, 0.6), 5400.0)
    if bursts:
        short = [_spread(random, 1800.0 + 600.0 * number, 12.0) for number in range(4) for _ in range(40)]
    else:
        short = _steady(random, 5, lambda begin: 12.0 * random.lognormal(0.0, 0.6), 3600.0)
    return _short_ones(long, short)


def as_airflow_begins(size: int, seeds: int) -> tuple[float, float]:
    """Return the mean delay of a burst of mapped tasks of 12 s, cold, and that with the best naive poll.

    They begin within 20 s. Each submits its trim, and is polled once in its worker while calls are plentiful.
    """
    mine, naive = [], []
    for seed in range(seeds):
        random = np.random.default_rng([seed, size])
        begins, lasts = zip(*sorted(_spread(random, 0.0, 12.0) for _ in range(size)), strict=True)
        kinds = ["cut"] * size
        mine.append(np.mean(simulate(begins, lasts, QUOTA, kinds=kinds, submitted=True)))
        naive.append([np.mean(run(begins, lasts, QUOTA)) for run in SUBMITTING.values()])
    return float(np.mean(mine)), float(np.mean(naive, axis=0).min())


def lower_limit(seed: int) -> float:
    """Return the mean delay of :func:`mixed`'s burst if each trim were found by one call, and none wasted.

    The steady load has spent the quota at an even pace, so calls come back at that pace.
    """
    random = np.random.default_rng(seed)
    _steady(random, 30, lambda begin: 120.0 * random.lognormal(0.0, 0.8), 5400.0)
    ends = sorted(sum(_spread(random, 0.0, 10.0)) for _ in range(60))
    call, delays = 0.0, []
    for end in ends:
        call = max(call + QUOTA.window / QUOTA.calls, end)
        delays.append(call - end)
    return float(np.mean(delays))


def _spread(random: Any, begin: float, median: float) -> tuple[float, float]:
    """Return begin and duration of a trim of a burst that begins within 20 s."""
    return begin + random.uniform(0.0, 20.0), median * random.lognormal(0.0, 0.6)


def both(long: Trims, short: Trims) -> tuple[Any, ...]:
    """Return begins, durations and kinds of the trims of two tasks."""
    return tuple(
        zip(*sorted([*((*trim, "long") for trim in long), *((*trim, "short") for trim in short)]), strict=True)
    )


def _short_ones(long: Trims, short: Trims) -> tuple[float, float]:
    begins, lasts, kinds = both(long, short)
    delays = simulate(begins, lasts, QUOTA, kinds=kinds)
    together = [delay for delay, kind in zip(delays, kinds, strict=True) if kind == "short"]
    begins, lasts = zip(*sorted(short), strict=True)
    return float(np.mean(together)), float(np.mean(simulate(begins, lasts, QUOTA, kinds=["short"] * len(short))))


def regime(seed: int, places: int = 50, skip: int = 50) -> tuple[float, float]:
    """Return the mean delay after durations have tripled at once, and that where they were so all the time.

    :param skip: trims of the longer kind that are not counted, from which the change can be learned
    """
    result = []
    for change in (3600.0, -1.0):
        random = np.random.default_rng(seed)
        trims = _steady(
            random,
            places,
            lambda begin, change=change, random=random: (
                (180.0 if begin > change else 60.0) * random.lognormal(0.0, 0.6)
            ),
            7200.0,
        )
        delays = simulate([begin for begin, _ in trims], [duration for _, duration in trims], QUOTA)
        counted = [delay for (begin, _), delay in zip(trims, delays, strict=True) if 3600.0 < begin < 6600.0]
        result.append(float(np.mean(counted[skip:])))
    return result[0], result[1]


def _steady(random: Any, places: int, duration: Callable[[float], float], end: float) -> list[tuple[float, float]]:
    """Return begins and durations of trims of which one begins when another has ended."""
    trims = []
    for _ in range(places):
        begin = random.uniform(0.0, 60.0)
        while begin < end:
            trims.append((begin, float(duration(begin))))
            begin += trims[-1][1]
    return sorted(trims)
