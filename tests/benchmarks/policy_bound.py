# SPDX-License-Identifier: Apache-2.0
"""What no scheduler beats that knows the distribution of durations but no finish time, and keeps quota and interval.

A trim's polls are a walk over its ages: from the last poll at age s to the next at age t. A walk's cost is its expected
delay, E[detected - finished], and a poll at t is made only if the trim was not done at s, with probability S(s). Other
trims' outcomes say nothing about this one's duration, so what a scheduler does is, for one trim, a mixture of walks.
Between two polls lies the interval that every task states.

*Steady state.* With M trims at any time there are K = rate x E[duration] / M calls for each. For any price p of a call,
min over walks of (delay + p x calls) - p x K is a lower bound (Lagrange); the best p is taken. The minimum is found by
dynamic programming on a grid of ages, on which a trim counts as detected at the beginning of its cell, which can only
lower the bound. The grid's last cell stands for all polls from there on: a trim that is not done before takes one of
them at least.

*Batch.* All begin at once, so age is time, and in any window of W seconds there are Q calls, Q / M for each trim in
expectation. The linear programme over mixtures of walks gives the windows' prices; with these, the same dynamic
programme on a finer grid gives a bound that holds whatever the first grid's errors were.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import sparse, stats
from scipy.optimize import brentq, linprog, minimize_scalar

from tests.support.schedule_simulation import INTERVAL


class Mixture:
    """Several distributions, each with its share."""

    def __init__(self, *parts: tuple[float, Any]) -> None:
        self.parts = parts

    def cdf(self, x: Any) -> Any:
        return sum(share * part.cdf(x) for share, part in self.parts)

    def mean(self) -> float:
        return sum(share * part.mean() for share, part in self.parts)

    def ppf(self, q: float) -> float:
        return brentq(lambda x: self.cdf(x) - q, 0, 1e5)

    def rvs(self, size: int, random_state: np.random.Generator) -> Any:
        which = random_state.choice(len(self.parts), size, p=[share for share, _ in self.parts])
        columns = [part.rvs(size, random_state=random_state) for _, part in self.parts]
        return np.choose(which, columns)


DISTRIBUTIONS: dict[str, Any] = {
    "lognormal(120 s, 0.8)": stats.lognorm(0.8, scale=120),
    "uniform 30-600 s": stats.uniform(30, 570),
    "two humps": Mixture((0.7, stats.lognorm(0.2, scale=60)), (0.3, stats.lognorm(0.15, scale=420))),
    "nearly constant": stats.lognorm(0.05, scale=240),
}
"""Of durations in seconds; only the first is what the scheduler's prior is like."""


def _tables(distribution: Any, grid: Any) -> tuple[Any, Any]:
    """Return the distribution's cumulative probability and partial mean at the ages of a grid."""
    fine = np.linspace(0, grid[-1], 200_001)
    probability = distribution.cdf(fine)
    probability[-1] = 1.0
    partial = np.concatenate([[0.0], np.cumsum((fine[1:] + fine[:-1]) / 2 * np.diff(probability))])
    return np.interp(grid, fine, probability), np.interp(grid, fine, partial)


def _cheapest_walk(grid: Any, probability: Any, partial: Any, price: Any) -> float:
    """Return the least cost of a walk where a poll in cell t costs ``price[t]``."""
    survival, count = 1 - probability, len(grid)
    # A poll may be anywhere in its cell, so the interval can be kept by cells that are one nearer.
    nearest = max(1, math.ceil(INTERVAL / (grid[-1] - grid[-2]) - 1e-9) - 1)
    detected = np.concatenate([[0.0], grid[:-1]])
    cost = np.zeros(count)
    for s in range(count - 2, -1, -1):
        after = slice(min(s + (nearest if s else 1), count - 1), None)
        ways = detected[after] * (probability[after] - probability[s]) - (partial[after] - partial[s])
        cost[s] = (ways + cost[after] + price[after] * survival[s]).min()
    return float(cost[0])


def steady_bound(distribution: Any, concurrency: float, calls: int, window: float, cells: int = 10_000) -> float:
    """Return the least mean delay in seconds with a number of trims at any time."""
    low, high = distribution.ppf(1e-5), distribution.ppf(1 - 1e-4)
    grid = np.concatenate([[0.0], np.linspace(low, high, cells)])
    probability, partial = _tables(distribution, grid)
    per_trim = calls / window * distribution.mean() / concurrency

    def loss(log_price: float) -> float:
        price = np.exp(log_price)
        return price * per_trim - _cheapest_walk(grid, probability, partial, np.full(len(grid), price))

    return -minimize_scalar(loss, bounds=(-3, 9), method="bounded", options={"xatol": 0.02}).fun


def batch_bound(distribution: Any, size: int, calls: int, window: float) -> float:
    """Return the least mean delay in seconds of a number of trims that begin at once."""
    step, finer = {10: (2.5, 25), 100: (5.0, 20), 1000: (10.0, 10)}.get(size, (20.0, 20))
    tail = distribution.ppf(0.98 if size == 10 else 1 - 1e-3)
    end = tail + (size / calls * window if size > calls else 0.0)
    grid = np.arange(0, end + step, step)
    prices = _window_prices(distribution, grid, size, calls, window)
    fine = np.arange(0, round(grid[-1] / step * finer) + 1) * (step / finer)
    best = 0.0
    half = finer // 2
    for shifts in (np.zeros(1), np.arange(0, half + 1), np.arange(0, finer + 1), np.arange(-half, half + 1)):
        price = np.zeros(len(fine))
        for begin, worth in prices:
            for shift in shifts * (step / finer):
                inside = (fine > begin + shift + 1e-9) & (fine <= begin + shift + window + 1e-9)
                price[inside] += worth / len(shifts)
        price[-1] = 0.0  # whatever comes after the grid's end may cost nothing
        total = sum(worth for _, worth in prices)
        probability, partial = _tables(distribution, fine)
        best = max(best, _cheapest_walk(fine, probability, partial, price) - total * calls / size)
    return best


def _window_prices(distribution: Any, grid: Any, size: int, calls: int, window: float) -> list[tuple[float, float]]:
    """Return the beginning of each window whose calls are scarce, and what a call in it is worth."""
    probability, partial = _tables(distribution, grid)
    survival, count = 1 - probability, len(grid)
    middle = (np.concatenate([[0.0], grid[:-1]]) + grid) / 2
    s, t = np.triu_indices(count, 1)
    arcs = len(s)
    cost = middle[t] * (probability[t] - probability[s]) - (partial[t] - partial[s])
    use = np.where(t == count - 1, 0.0, survival[s])
    ones, each = np.ones(arcs), np.arange(arcs)
    shape = (count, arcs + count)
    flow = sparse.coo_matrix(
        (np.concatenate([ones, -ones]), (np.concatenate([s, t]), np.concatenate([each, each]))), shape=shape
    ).tocsr()[:-1]
    later = np.arange(1, count)
    spent = sparse.coo_matrix(
        (
            np.concatenate([-use, np.ones(count - 1), -np.ones(count - 1)]),
            (np.concatenate([t, later, later]), np.concatenate([each, arcs + later, arcs + later - 1])),
        ),
        shape=shape,
    ).tocsr()[1:]
    nothing_yet = sparse.coo_matrix(([1.0], ([0], [arcs])), shape=(1, arcs + count)).tocsr()
    ends = np.searchsorted(grid, grid + window + 1e-9, side="right") - 1
    begins = np.flatnonzero(ends > np.arange(count))
    rows = np.arange(len(begins))
    windows = sparse.coo_matrix(
        (
            np.concatenate([np.ones(len(begins)), -np.ones(len(begins))]),
            (np.concatenate([rows, rows]), np.concatenate([arcs + ends[begins], arcs + begins])),
        ),
        shape=(len(begins), arcs + count),
    ).tocsr()
    right = np.zeros(flow.shape[0] + spent.shape[0] + 1)
    right[0] = 1.0
    found = linprog(
        np.concatenate([cost, np.zeros(count)]),
        A_ub=windows,
        b_ub=np.full(len(begins), calls / size),
        A_eq=sparse.vstack([flow, spent, nothing_yet]),
        b_eq=right,
        bounds=(0, None),
        method="highs",
    )
    worth = -found.ineqlin.marginals
    return [(float(grid[begin]), float(value)) for begin, value in zip(begins, worth, strict=True) if value > 1e-12]
