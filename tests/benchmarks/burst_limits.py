# SPDX-License-Identifier: Apache-2.0
"""What it would cost to keep calls idle in case of a burst, bursts under other quotas, and the bound of a batch of ten.

Run on its own: ``python tests/benchmarks/burst_limits.py reserve``, ``… grid`` or ``… ten``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Collection
from itertools import product

import numpy as np
from burst_simulation import BURSTS, QUOTA, Quota, best_naive, both, mixed_trims, ours
from policy_bound import DISTRIBUTIONS, batch_bound
from policy_simulation import alone, batch
from report import table

from airflow_provider_trim.polling.account_durations import AccountDurations
from airflow_provider_trim.polling.budget import CallBudget, WaitingTrim
from airflow_provider_trim.polling.policy import ExpectedDelayPolicy
from tests.support.schedule_simulation import simulate

RESERVES = (0, 50, 100, 150)
SEEDS = 6
GRID_QUOTAS, GRID_INTERVALS, TRIMS_PER_CALL = (30, 300, 3000), (1.0, 5.0, 10.0), (0.1, 0.3)


class ReservingPolicy(ExpectedDelayPolicy):
    """Leaves some calls of each window unused while no short trim waits. It knows which trims are short.

    :param reserve: calls
    """

    def __init__(self, reserve: int) -> None:
        super().__init__()
        self._reserve = reserve

    def _kept(self, budget: CallBudget) -> int:
        return 0 if "short" in budget.waiting else self._reserve

    def replan(self, trims: Collection[WaitingTrim], budget: CallBudget) -> bool:
        """Plan with what is not kept."""
        calls, kept = budget.calls, self._kept(budget)
        budget.calls = None if calls is None else calls - kept
        try:
            return super().replan(trims, budget)
        finally:
            budget.calls = calls

    def next_at(self, trim: WaitingTrim, due: float, budget: CallBudget) -> float:
        """Make no early call with what is kept, and no other before there is a call again beyond that."""
        calls = budget.calls
        due = max(due, self._not_before(budget))
        budget.calls = None if calls is None else calls - self._kept(budget)
        try:
            return super().next_at(trim, due, budget)
        finally:
            budget.calls = calls

    def _not_before(self, budget: CallBudget) -> float:
        kept = self._kept(budget)
        if not kept or budget.left > kept:
            return -math.inf
        low, high = 0.0, budget.window
        while high - low > 0.1:
            middle = (low + high) / 2
            low, high = (low, middle) if budget.supply(middle) > kept else (middle, high)
        return budget.now + high


def reserve(calls: int) -> tuple[float, float, float]:
    """Return the mean delays of the short trims, the steady ones and all, with a number of calls kept idle."""
    short, long = [], []
    for seed in range(SEEDS):
        begins, lasts, kinds = both(*mixed_trims(seed))
        delays = simulate(begins, lasts, QUOTA, lambda: ReservingPolicy(calls), kinds=kinds)
        for begin, delay, kind in zip(begins, delays, kinds, strict=True):
            if kind == "short":
                short.append(delay)
            elif 1800.0 < begin < 5400.0:  # one burst in an hour
                long.append(delay)
    return float(np.mean(short)), float(np.mean(long)), float(np.mean(short + long))


def grid() -> list[list[str]]:
    """Return rows of ours, cold and warm, and the best naive poll, for quotas and intervals."""
    rows = []
    for calls, interval, each in product(GRID_QUOTAS, GRID_INTERVALS, TRIMS_PER_CALL):
        size, quota, cells = round(calls * each), Quota(calls), []
        for name in list(BURSTS)[2::3] if calls > 300 else BURSTS:
            seeds = 1 if calls > 300 else 3
            cold, warm = (ours(name, size, seeds, known, quota, interval) for known in (False, True))
            cells.append(f"{cold:.1f} / {warm:.1f} / {best_naive(name, size, seeds, quota):.1f}")
        rows.append([f"{calls}/5 min, {interval:g} s, {size} trims", *cells])
    return rows


def ten(seeds: int = 400) -> list[list[str]]:
    """Return rows of the mean delay of ten trims of about two minutes that begin at once, and that ÷ the bound."""
    distribution, unlimited = DISTRIBUTIONS["lognormal(120 s, 0.8)"], Quota(10**6)
    bound = batch_bound(distribution, 10, QUOTA.calls, QUOTA.window)
    bursts = [distribution.rvs(10, random_state=np.random.default_rng(seed)).tolist() for seed in range(seeds)]
    seen = AccountDurations()
    many = distribution.rvs(2000, random_state=np.random.default_rng(seeds)).tolist()
    simulate([0.0] * len(many), many, unlimited, lambda: ExpectedDelayPolicy(seen))
    known = seen.dump()

    def knowing() -> ExpectedDelayPolicy:
        durations = AccountDurations()
        durations.load(known)
        return ExpectedDelayPolicy(durations)

    means = {
        "the bound": [bound],
        "each polled at its interval, without a quota": [
            alone(lambda _: 5.0)([0.0] * 10, b, unlimited) for b in bursts
        ],
        "this policy, after 2,000 such trims": [simulate([0.0] * 10, burst, QUOTA, knowing) for burst in bursts],
        "this policy, before the first": [batch("ours", distribution, 10, QUOTA, seed) for seed in range(seeds)],
    }
    return [[name, f"{np.mean(values):.2f}", f"{np.mean(values) / bound:.2f}"] for name, values in means.items()]


def main() -> None:
    """Print what the command line names."""
    if "ten" in sys.argv:
        print(table(("", "mean delay (s)", "÷ bound"), ten()))
    elif "grid" in sys.argv:
        for row in grid():
            print(*row, sep=" | ", flush=True)
    else:
        rows = [[str(calls), *(f"{delay:.1f}" for delay in reserve(calls))] for calls in RESERVES]
        print(table(("calls kept idle", "60 short trims", "steady trims", "all"), rows))


if __name__ == "__main__":
    main()
