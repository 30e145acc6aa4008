# SPDX-License-Identifier: Apache-2.0
"""When trims of one kind are due. Pure: time is passed in."""

from __future__ import annotations

import math

from airflow_provider_trim.polling.budget import CallBudget, WaitingTrim
from airflow_provider_trim.polling.demand import MAX_EXPECTED_DELAY, STEADY, model_age
from airflow_provider_trim.polling.duration_model import AGES, DurationModel
from airflow_provider_trim.polling.poll_ages import AgeTable, EarlyAges, PollAges

EARLY_PRICE = 0.1
"""Part of the price from which a trim may be polled early."""

EARLY_PACING = 0.1
"""Minimum pause between two early calls, in pauses of an even pace."""

SCOUTING_RATIO = 0.5
"""Growth of the trims' age between two scouting calls while nothing is known and there are as many trims as calls."""

SCOUTING_CALLS = 20.0
"""Calls in a window with which the age at least doubles between two scouting calls; with more, it grows by less."""

FIRST_SCOUTS_GROWTH, MAX_RANK = 1.5, 60
"""Growth of the ages at which the trims of a kind are polled first while none of it has finished, by their rank."""

MAX_POLL_INTERVAL = 3600.0
"""Seconds without a poll after which a trim is due."""


class KindPlan:
    """The waiting trims of one kind, and when they are due.

    :param durations: how long they take
    """

    def __init__(self, durations: DurationModel) -> None:
        self.durations = durations
        self._count = self._vacancies = 0
        self._due: AgeTable | None = None
        self._early: AgeTable | None = None

    def count_replaced(self, count: int, departed: int) -> tuple[int, int, int]:
        """Count the finished trims, and those of them that another one followed while others were waiting.

        :param count: of the trims that wait now
        :param departed: trims that have finished since the last call
        :returns: trims that came in the place of others, that have finished, and that came in the place of none
        """
        replaced = unmatched = 0
        arrived = max(count + departed - self._count, 0)
        if departed or arrived:
            self._vacancies = self._vacancies + departed if count else 0
            replaced = min(arrived, self._vacancies)
            self._vacancies -= replaced
            unmatched = arrived - replaced if self._count else 0
            self._count = count
            self.durations.count_replaced(replaced, departed, unmatched)
        return replaced, departed, unmatched

    def set_price(self, price: float, window: float) -> None:
        """Plan with a price of a call, in seconds of delay."""
        limit = MAX_EXPECTED_DELAY * window
        self._due = cheap = PollAges(self.durations, price, limit)
        if self.durations.replaced < STEADY:
            cheap = PollAges(self.durations, price * EARLY_PRICE, limit)
        self._early = EarlyAges(self.durations, cheap, window)

    def due_at(self, trim: WaitingTrim) -> float:
        """Return when a trim is due; while none of its kind has finished, its nth trim does at an age of 1.5^n s."""
        due = _time_of(self._due, trim)
        if trim.age or self.durations.finished >= 1.0:
            return due
        scout = trim.started_at + AGES[1] * FIRST_SCOUTS_GROWTH ** min(trim.rank, MAX_RANK)
        return min(due, max(scout, trim.not_before))

    def early_at(self, trim: WaitingTrim, budget: CallBudget, trims_per_call: float) -> float:
        """Return when the trim that is due next can be polled early, or as a scout.

        :param trims_per_call: trims for each call in a window, of all kinds
        """
        last, model = budget.last_call, self.durations
        growth = 1.0 + SCOUTING_RATIO * min(math.sqrt(trims_per_call), 1.0) * (1.0 + model.finished)
        growth = max(growth, 1.0 + SCOUTING_CALLS / (budget.calls or 1))
        scout = trim.started_at + max((last - trim.started_at) * growth, AGES[1])
        early = _time_of(self._early, trim)
        if model.replaced >= STEADY:  # A call that is kept now is not needed later: the load goes on, and so do calls.
            pace = 0.0
        elif budget.left > 1:
            wasted = model.survival_at(max(last, early) - trim.started_at) / model.survival_at(trim.age)
            pace = budget.window / budget.left * max(min(wasted, 1.0) ** 3, EARLY_PACING)
        else:
            return math.inf
        return max(trim.not_before, min(scout, max(early, last + pace)))


def _time_of(ages: AgeTable | None, trim: WaitingTrim) -> float:
    if ages is None:
        return trim.not_before
    age = model_age(trim)
    at = trim.started_at + trim.age + ages.after(age) - age
    return max(trim.not_before, min(at, trim.not_before + MAX_POLL_INTERVAL))
