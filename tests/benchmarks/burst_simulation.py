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

NAIVE = {
    **{f"fixed {pause} s": alone(lambda _, pause=pause: float(pause)) for pause in PAUSES},
    **{f"backoff 5 s x {by}": alone(lambda number, by=by: 5.0 * by**number) for by in (1.5, 2.0)},
}


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


def mixed(seed: int, places: int = 30, size: int = 60) -> float:
    """Return a burst's mean delay during a steady load of two-minute trims ÷ that of the burst alone."""
    random = np.random.default_rng(seed)
    trims = _steady(random, places, lambda begin: 120.0 * random.lognormal(0.0, 0.8), 5400.0)
    burst = [(3600.0 + random.uniform(0.0, 20.0), 10.0 * random.lognormal(0.0, 0.6)) for _ in range(size)]
    both = sorted([*trims, *burst])
    delays = simulate([begin for begin, _ in both], [duration for _, duration in both], QUOTA)
    short = set(burst)
    together = np.mean([delay for trim, delay in zip(both, delays, strict=True) if trim in short])
    burst.sort()
    alone_ = simulate([begin for begin, _ in burst], [duration for _, duration in burst], QUOTA)
    return float(together / np.mean(alone_))


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
