# SPDX-License-Identifier: Apache-2.0
"""Which trim is worth a call, where the quota has fewer calls than the trims would take. Pure: time is passed in.

:class:`ExpectedDelayPolicy`:

1. Where the quota has a call for every trim at its interval, or there is no quota, each is polled at its interval.
2. Otherwise a call has a *shadow price* (a Lagrange multiplier of the quota): the seconds of one trim's delay that a
   call may cost which finds nothing.
3. A trim is due when the delay that is expected to have built up unseen since its last poll, by what is known of
   durations, reaches the price times the chance that it is not done yet, or a whole window, whichever is first.
4. The price is the lowest at which the calls that the waiting trims need fit into those that are left in the next
   quarter, half and whole window. How many they need depends on what follows. In a burst, trims need calls until they
   are done; in a steady load, others take their places, and calls go on at the rate of now. Both are weighed by the
   share of the finished trims that were replaced. A wasted call delays each trim, and those that follow, by one call
   at most: no price is higher than that.
5. The price is set again when a twentieth of the trims has come or gone, or a twentieth of the quota is spent, or much
   was learned. The steadier the load, the less it follows each trim.
6. Unused calls are spent early on the next trim due, from a tenth of the price on, or when waiting on would add less to
   the chance that it is done than it takes away from the window; at an even pace, faster the less are wasted.
7. *Scouts*: while little is known, one trim is polled each time that all have grown older by a part. A few calls tell
   the scale of durations for all, be it seconds or hours.
8. Nothing starves: a trim is due after an hour at the latest.

Nothing here is a number of seconds but the last. What is learned (:class:`DurationModel`) and the quota's window set
the scale.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Protocol

from airflow_provider_trim.polling.budget import CallBudget, WaitingTrim
from airflow_provider_trim.polling.demand import STEADY, Demand, model_age
from airflow_provider_trim.polling.duration_model import DurationModel

MAX_EXPECTED_DELAY = 1.0
"""Windows of expected delay at which a trim is due at any price."""

EARLY_PRICE = 0.1
"""Part of the price from which a trim may be polled early."""

EARLY_PACING = 0.1
"""Minimum pause between two early calls, in pauses of an even pace."""

SCOUTING_RATIO = 0.5
"""Growth of the trims' age between two scouting calls while nothing is known and there are as many trims as calls."""

MAX_POLL_INTERVAL = 3600.0
"""Seconds without a poll after which a trim is due."""

REPRICE_THRESHOLD = 0.05
"""Part of the trims, or of the quota, after which the price is set again."""

LEARNING_THRESHOLD = 0.5
"""Growth of the number of finished trims after which the price is set again."""

MIN_PRICE, PRICE_STEP = 1e-3, 1.1
"""Seconds of the lowest price, and how closely one is set."""


class PollingPolicy(Protocol):
    """Says when trims are due. The schedule asks for :meth:`replan` first, and then for times."""

    def replan(self, trims: Collection[WaitingTrim], budget: CallBudget) -> bool:
        """Plan again, if enough has changed, and return whether trims have become due at other times."""

    def due_at(self, trim: WaitingTrim) -> float:
        """Return when a trim is due."""

    def early_at(self, trim: WaitingTrim, budget: CallBudget) -> float:
        """Return when the trim that is due next can be polled if calls are left; infinite for not before it is due."""

    def not_before(self, budget: CallBudget) -> float:
        """Return the earliest time of the next poll, whichever trim is due."""

    def observe(self, trim: WaitingTrim, age: float, finished: bool) -> None:
        """Learn from a poll.

        :param trim: as it was before
        :param age: seconds from its beginning to this poll
        :param finished: whether it was done
        """

    def use(self, durations: DurationModel) -> None:
        """Plan with, and add to, what is known of an account's trims."""


class RoundRobinPolicy:
    """Polls the least recently polled trim first, at an even pace: what is fair to do where nothing is known."""

    def __init__(self) -> None:
        self._pace = 0.0
        self._planned: tuple[int, int] = (-1, -1)

    def replan(self, trims: Collection[WaitingTrim], budget: CallBudget) -> bool:
        """Set the pace."""
        planned = (len(trims), budget.version)
        if planned == self._planned:
            return False
        self._planned = planned
        scarce = budget.calls is not None and budget.demand * budget.window > budget.calls
        self._pace = budget.window / budget.calls if scarce and budget.calls else 0.0
        return True

    def due_at(self, trim: WaitingTrim) -> float:
        """Return when a trim is due: in the order of the last polls, and not before its interval has passed."""
        if not self._pace:
            return trim.not_before
        return max(trim.not_before, trim.polled_at + self._pace * self._planned[0])

    def early_at(self, trim: WaitingTrim, budget: CallBudget) -> float:
        """Return when a trim can be polled early: as soon as its interval and the pace allow it."""
        return max(trim.not_before, budget.last_call + self._pace) if self._pace else math.inf

    def not_before(self, budget: CallBudget) -> float:
        """Return when the next call keeps the pace."""
        return budget.last_call + self._pace

    def observe(self, trim: WaitingTrim, age: float, finished: bool) -> None:
        """Learn nothing."""

    def use(self, durations: DurationModel) -> None:
        """Plan without it."""


class ExpectedDelayPolicy:
    """Polls the trim whose expected delay is worth a call.

    :param durations: what is known of how long trims take
    """

    def __init__(self, durations: DurationModel | None = None) -> None:
        self._durations = durations or DurationModel()
        self._scarce = False
        self._price: float | None = None
        self._planned = (0, 0, 0)
        """Trims, version of the quota and calls made, when the price was set."""
        self._due_ages: list[float] = []
        self._early_ages: list[float] = []
        self._finished = self._planned_finished = self._count = self._gone = self._places = 0

    def observe(self, trim: WaitingTrim, age: float, finished: bool) -> None:
        """Learn from a poll how long trims take."""
        self._durations.observe(trim.age, age, finished)
        self._gone += finished
        self._finished += finished

    def use(self, durations: DurationModel) -> None:
        """Plan with, and add to, what is known of an account's trims."""
        if durations is not self._durations:
            self._durations = durations
            self._planned = (-1, -1, -1)

    def _count_replaced(self, count: int) -> None:
        """Count the finished trims, and those of them that another one followed while others were waiting."""
        come = max(count + self._gone - self._count, 0)
        if self._gone or come:
            self._places = self._places + self._gone if count else 0
            replaced = min(come, self._places)
            self._places -= replaced
            self._durations.count_replaced(replaced, self._gone)
            self._count, self._gone = count, 0

    def due_at(self, trim: WaitingTrim) -> float:
        """Return when a trim is due."""
        return self._due(trim, self._due_ages)

    def early_at(self, trim: WaitingTrim, budget: CallBudget) -> float:
        """Return when the trim that is due next can be polled early, or as a scout."""
        if not self._scarce or budget.left <= 1:
            return math.inf
        last, model = budget.last_call, self._durations
        crowd = min(math.sqrt(self._planned[0] / (budget.calls or 1)), 1.0)
        growth = 1.0 + SCOUTING_RATIO * crowd * (1.0 + model.finished)
        scout = trim.started_at + max((last - trim.started_at) * growth, model.ages[1])
        early = self._due(trim, self._early_ages)
        wasted = model.survival(max(last, early) - trim.started_at) / model.survival(trim.age)
        pace = budget.window / budget.left * max(min(wasted, 1.0) ** 3, EARLY_PACING)
        return max(trim.not_before, min(scout, max(early, last + pace)))

    def not_before(self, budget: CallBudget) -> float:
        """Return the earliest time of the next poll: any."""
        return -math.inf

    def replan(self, trims: Collection[WaitingTrim], budget: CallBudget) -> bool:
        """Set the price again if enough has changed."""
        count, calls = len(trims), budget.calls
        self._count_replaced(count)
        scarce = calls is not None and budget.demand * budget.window > calls
        if scarce == self._scarce and not (scarce and self._is_outdated(count, budget)):
            return False
        self._scarce = scarce
        self._planned = (count, budget.version, budget.made)
        self._planned_finished = self._finished
        if scarce:
            self._set_price(self._solve_price(trims, budget), budget.window)
        else:
            self._price = None
        return True

    def _set_price(self, fitting: float, window: float) -> None:
        model, smoothing = self._durations, self._durations.replaced / 2
        self._price = fitting ** (1.0 - smoothing) * (self._price or fitting) ** smoothing
        self._due_ages = model.optimal_poll_ages(self._price, MAX_EXPECTED_DELAY * window)
        cheap = self._due_ages
        if self._durations.replaced < STEADY:
            cheap = model.optimal_poll_ages(self._price * EARLY_PRICE, MAX_EXPECTED_DELAY * window)
        productive = model.productive_poll_ages(window)
        self._early_ages = [
            min(early, best) if best > age else early
            for age, early, best in zip(model.ages, cheap, productive, strict=False)
        ]

    def _is_outdated(self, count: int, budget: CallBudget) -> bool:
        planned_count, planned_version, planned_made = self._planned
        return (
            planned_version != budget.version
            or self._finished - self._planned_finished >= max(LEARNING_THRESHOLD * self._durations.finished, 1)
            or abs(count - planned_count) > REPRICE_THRESHOLD * planned_count
            or budget.made - planned_made >= max(REPRICE_THRESHOLD * (budget.calls or 0), 1.0)
        )

    def _due(self, trim: WaitingTrim, ages_of_next_poll: list[float]) -> float:
        """Return when a trim is due, by a table of ages at the next poll for ages at the last."""
        if not self._scarce:
            return trim.not_before
        ages, age = self._durations.ages, model_age(trim, self._durations)
        index = self._durations.bin_index(age)
        pause, following = ages_of_next_poll[index] - age, ages_of_next_poll[index + 1] - age
        pause += (following - pause) * (age - ages[index]) / (ages[index + 1] - ages[index])
        return max(trim.not_before, min(trim.started_at + trim.age + pause, trim.not_before + MAX_POLL_INTERVAL))

    def _solve_price(self, trims: Collection[WaitingTrim], budget: CallBudget) -> float:
        """Return the lowest price at which the trims need no more calls than there are."""
        model = self._durations
        model.recompute()
        demand = Demand(model, trims, budget)
        # A wasted call delays each trim, and those that follow, by one call at most.
        followed = len(trims) / max(1.0 - model.replaced, 0.01)
        low, high = MIN_PRICE, max(followed * budget.window / (budget.calls or 1), 2.0 * MIN_PRICE)
        while high > low * PRICE_STEP:
            price = math.sqrt(low * high)
            fits = demand.fits(model.optimal_poll_ages(price, MAX_EXPECTED_DELAY * budget.window))
            low, high = (low, price) if fits else (price, high)
        # Rather too low than too high: the quota itself puts the one right, and the other wastes calls.
        return low
