# SPDX-License-Identifier: Apache-2.0
"""Which trim is worth a call, where the quota has fewer calls than the trims would take. Pure: time is passed in.

Where the calls that are left suffice for every trim at its interval, each is polled at it. Otherwise a call has a
*shadow price* (a Lagrange multiplier of the quota): the seconds of one trim's delay that a call may cost which finds
nothing. It is set here, the same for all trims: the lowest at which the calls that they need
(:class:`~airflow_provider_trim.polling.demand.Demand`) fit into those that are left. When a trim is due at that price,
or can be polled early, its :class:`~airflow_provider_trim.polling.plan.KindPlan` says.

No number of seconds fits one scale of durations only: what is learned and the quota's window set the scale. The theory
of operation in docs/architecture.md explains each step.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Protocol

from airflow_provider_trim.polling.account_durations import AccountDurations
from airflow_provider_trim.polling.budget import CallBudget, WaitingTrim
from airflow_provider_trim.polling.demand import PLANNING_HORIZONS, Demand
from airflow_provider_trim.polling.duration_model import DurationModel
from airflow_provider_trim.polling.plan import KindPlan

REPRICE_THRESHOLD = 0.05
"""Part of the trims, or of the quota, after which the price is set again."""

LEARNING_THRESHOLD = 0.5
"""Growth of the number of finished trims after which the price is set again."""

MAX_PLANNED_KINDS = 16
"""Kinds that are distinguished at a time, since a price costs time for each; others count as any trims."""

STEADINESS = 0.9
"""Part of the last price that is kept in a steady load, on a logarithmic scale."""

MIN_PRICE, PRICE_STEP = 1e-3, 1.1
"""Seconds of the lowest price, and how closely one is set."""


class PollingPolicy(Protocol):
    """Says when trims are due. The schedule asks for :meth:`replan` first, and then for times."""

    def replan(self, trims: Collection[WaitingTrim], budget: CallBudget) -> bool:
        """Plan again, if enough has changed, and return whether trims have become due at other times."""

    def due_at(self, trim: WaitingTrim) -> float:
        """Return when a trim is due."""

    def next_at(self, trim: WaitingTrim, due: float, budget: CallBudget) -> float:
        """Return when the trim that is due next is polled: early, if calls are left, or later, to keep a pace."""

    def observe(self, trim: WaitingTrim, age: float, finished: bool) -> None:
        """Learn from a poll.

        :param trim: as it was before
        :param age: seconds from its beginning to this poll
        :param finished: whether it was done
        """

    def use(self, durations: AccountDurations) -> None:
        """Plan with, and add to, what is known of an account's trims."""


class ExpectedDelayPolicy:
    """Polls the trim whose expected delay is worth a call.

    :param durations: what is known of how long trims take
    """

    def __init__(self, durations: AccountDurations | None = None) -> None:
        self._durations = durations or AccountDurations()
        self._scarce = False
        self._price = self._fitting = 0.0
        self._planned = (0, 0, 0)
        """Trims, version of the quota and calls made, when the price was set."""
        self._plans: dict[str | None, KindPlan] = {}
        self._changes = self._finished = self._planned_finished = 0
        self._window = self._trims_per_call = 0.0

    def observe(self, trim: WaitingTrim, age: float, finished: bool) -> None:
        """Learn from a poll how long trims take."""
        plan = self._plan(trim.kind)
        plan.durations.observe(trim.age, age, finished)
        if plan.durations is not self._durations.all:
            self._durations.all.observe(trim.age, age, finished)
        self._finished += finished

    def use(self, durations: AccountDurations) -> None:
        """Plan with, and add to, what is known of an account's trims."""
        if durations is not self._durations:
            self._durations = durations
            for index, (kind, plan) in enumerate(self._plans.items()):
                plan.durations = self._model_of(kind, index)  # it goes on counting the trims that wait
            self._planned = (-1, -1, -1)

    def due_at(self, trim: WaitingTrim) -> float:
        """Return when a trim is due."""
        return self._plan(trim.kind).due_at(trim) if self._scarce else trim.not_before

    def next_at(self, trim: WaitingTrim, due: float, budget: CallBudget) -> float:
        """Return when the trim that is due next is polled: when it is due, or before that, early or as a scout."""
        if not self._scarce:
            return due
        return min(due, self._plan(trim.kind).early_at(trim, budget, self._trims_per_call))

    def replan(self, trims: Collection[WaitingTrim], budget: CallBudget) -> bool:
        """Set the price again if enough has changed."""
        if budget.changes != self._changes:
            self._count_replaced(budget)
        count, calls = len(trims), budget.calls
        scarce = calls is not None and any(
            budget.demand * part * budget.window > budget.supply(part * budget.window) for part in PLANNING_HORIZONS
        )
        if scarce == self._scarce and not (scarce and self._is_outdated(count, budget)):
            return False
        self._scarce = scarce
        self._planned = (count, budget.version, budget.made)
        self._planned_finished = self._finished
        if scarce:
            self._set_price(trims, budget)
        else:
            self._price = self._fitting = 0.0
        return True

    def _plan(self, kind: str | None) -> KindPlan:
        plan = self._plans.get(kind)
        if plan is None:
            plan = KindPlan(self._model_of(kind, len(self._plans)))
            if self._price:
                plan.set_price(self._price, self._window)
            self._plans[kind] = plan
        return plan

    def _model_of(self, kind: str | None, index: int) -> DurationModel:
        return self._durations.of(kind) if index < MAX_PLANNED_KINDS else self._durations.all

    def _count_replaced(self, budget: CallBudget) -> None:
        self._changes = budget.changes
        for kind in {**self._plans, **budget.waiting}:
            plan = self._plan(kind)
            count = budget.waiting.get(kind, 0)
            counts = plan.count_replaced(count, budget.departed.pop(kind, 0))
            if plan.durations is not self._durations.all:
                self._durations.all.count_replaced(*counts)
            if not count:
                del self._plans[kind]

    def _set_price(self, trims: Collection[WaitingTrim], budget: CallBudget) -> None:
        plans = {trim.kind: self._plan(trim.kind) for trim in trims}
        for plan in plans.values():
            plan.durations.recompute()
        replaced = sum(plans[kind].durations.replaced * count for kind, count in budget.waiting.items()) / len(trims)
        # A wasted call delays each trim, and those that follow, by one call at most.
        followed = sum(
            count / max(1.0 - plans[kind].durations.replaced, 0.01) for kind, count in budget.waiting.items()
        )
        highest = max(followed * budget.window / (budget.calls or 1), 2.0 * MIN_PRICE)
        demand = Demand({kind: plan.durations for kind, plan in plans.items()}, trims, budget)
        self._fitting = fitting = lowest_price(demand, highest, self._fitting)
        kept = STEADINESS * replaced
        self._price = fitting ** (1.0 - kept) * (self._price or fitting) ** kept
        self._window, self._trims_per_call = budget.window, len(trims) / (budget.calls or 1)
        for plan in plans.values():
            plan.set_price(self._price, budget.window)

    def _is_outdated(self, count: int, budget: CallBudget) -> bool:
        planned_count, planned_version, planned_made = self._planned
        return (
            planned_version != budget.version
            or self._finished - self._planned_finished >= max(LEARNING_THRESHOLD * self._durations.all.finished, 1)
            or abs(count - planned_count) > REPRICE_THRESHOLD * planned_count
            or budget.made - planned_made >= max(REPRICE_THRESHOLD * (budget.calls or 0), 1.0)
        )


def lowest_price(demand: Demand, highest: float, guess: float) -> float:
    """Return the lowest price at which the trims need no more calls than there are, or a little less.

    Rather too low than too high: the quota itself puts the one right, and the other wastes calls.

    :param highest: of the prices that count
    :param guess: where to begin; 0.0 for no guess
    """
    low, high, step = MIN_PRICE, highest, PRICE_STEP
    if low < guess < high:
        if demand.fits(guess):
            high = guess
            while high / step > low and demand.fits(high / step):
                high /= step
                step *= step
            low = max(high / step, low)
        else:
            low = guess
            while low * step < high and not demand.fits(low * step):
                low *= step
                step *= step
            high = min(low * step, high)
    while high > low * PRICE_STEP * 1.001:
        price = math.sqrt(low * high)
        low, high = (low, price) if demand.fits(price) else (price, high)
    return low
