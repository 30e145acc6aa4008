# SPDX-License-Identifier: Apache-2.0
"""Which trim is worth a call, where the quota has fewer calls than the trims would take. Pure: time is passed in.

:class:`ExpectedDelayPolicy`:

1. Where the quota has a call for every trim at its interval, or there is no quota, each is polled at its interval.
   Where it has one for every trim each few seconds, they take turns, the slower the more of the quota is spent.
2. Otherwise a call has a *shadow price* (a Lagrange multiplier of the quota): the seconds of one trim's delay that a
   call may cost which finds nothing.
3. A trim is due when the delay that is expected to have built up unseen since its last poll, by what is known of
   durations, reaches the price times the chance that it is not done yet, or a whole window, whichever is first.
4. The price is such that all trims together ask for as many calls as the quota has in the next half window. It is
   solved again when a twentieth of the trims has come or gone, or a twentieth of the quota is spent. It goes half the
   way each time: a few trims ask for most of the calls, and it would follow each of them.
5. Unused calls are spent early, paced, on the next trim due, once its expected delay is large enough.
6. Nothing starves: a trim is due after an hour at the latest.

Why it is near the bound: with a price on calls the problem falls apart into one for each trim, whose best times for
polls follow from the distribution of durations alone. That is the very relaxation by which the bound is computed; what
is lost is what a price does not see, how the finish times of the others bunch.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from airflow_provider_trim.polling.duration_model import DurationModel

PLANNING_FRACTION = 0.5
"""Part of the window over which the calls that are left are spread."""

MAX_EXPECTED_DELAY = 1.0
"""Windows of expected delay at which a trim is due at any price."""

EARLY_THRESHOLD = 1 / 7.5
"""Windows of expected delay from which a trim may be polled early."""

EARLY_PACING = 0.1
"""Pause between two early calls, in pauses of an even pace."""

MIN_ROUND = 9.5
"""Seconds; where equal shares poll each trim so often, no more is to be gained than by taking turns."""

MAX_POLL_INTERVAL = 3600.0
"""Seconds without a poll after which a trim is due."""

REPRICE_THRESHOLD = 0.05
"""Part of the trims, or of the quota, after which the price is solved again."""

MIN_PRICE, MAX_PRICE, PRICE_STEP = 0.05, 1e4, 1.1
"""Seconds between which prices lie, and how closely one is set."""


@dataclass(slots=True, eq=False)
class WaitingTrim:
    """What a policy knows of a trim.

    :param started_at: when it was submitted, or first seen
    :param interval: minimum seconds between two polls
    :param not_before: the earliest time of its next poll
    :param age: seconds from ``started_at`` to the last poll that showed a trim that was not done
    :param polled_at: when it was last polled
    """

    started_at: float
    interval: float
    not_before: float
    age: float = 0.0
    polled_at: float = -math.inf


class CallBudget:
    """The calls that can be planned with, those that were made, and those that the trims would make."""

    def __init__(self) -> None:
        self.calls: int | None = None
        """In each window; None for any number."""
        self.window = 0.0
        """Seconds."""
        self.version = 0
        """Changes with the quota."""
        self.made = 0
        """Calls, ever."""
        self.demand = 0.0
        """Calls per second, if each trim were polled at its interval."""
        self._recent: deque[float] = deque()

    def set(self, calls: int | None, window: float) -> None:
        """Set the quota."""
        if (calls, window) != (self.calls, self.window):
            self.calls, self.window = calls, window
            self.version += 1

    def add(self, trim: WaitingTrim) -> None:
        """Count in a trim's demand."""
        self.demand += 1.0 / trim.interval

    def remove(self, trim: WaitingTrim) -> None:
        """Count out a trim's demand."""
        self.demand -= 1.0 / trim.interval

    def spend(self, now: float) -> None:
        """Count a call."""
        if self.calls is not None:
            self._recent.append(now)
            self.made += 1

    def forget_before(self, now: float) -> None:
        """Forget the calls that have left the window by the end of the planning horizon."""
        horizon = now - self.window * (1.0 - PLANNING_FRACTION)
        while self._recent and self._recent[0] <= horizon:
            self._recent.popleft()

    @property
    def spent(self) -> int:
        """Calls that still count at the end of the planning horizon."""
        return len(self._recent)

    @property
    def left(self) -> int:
        """Calls that are left until then; at least one."""
        return max((self.calls or 0) - len(self._recent), 1)

    @property
    def last_call(self) -> float:
        """When the last call was made."""
        return self._recent[-1] if self._recent else -math.inf

    def mean_interval(self, trims: int) -> float:
        """Return the mean interval of the trims, in seconds."""
        return trims / max(self.demand, 1e-9)


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


class ExpectedDelayPolicy:
    """Polls the trim whose expected delay is worth a call.

    :param durations: what is known of how long trims take
    """

    def __init__(self, durations: DurationModel | None = None) -> None:
        self._durations = durations or DurationModel()
        self._scarce = False
        self._round = 0.0
        """Seconds between two polls of one trim, where few trims of a short interval would use the quota up at once."""
        self._price: float | None = None
        self._planned = (0, 0, 0)
        """Trims, version of the quota and calls made, when the price was set."""
        self._due_ages: list[float] = []
        self._early_ages: list[float] = []

    def observe(self, trim: WaitingTrim, age: float, finished: bool) -> None:
        """Learn from a poll how long trims take."""
        self._durations.observe(trim.age, age, finished)

    def due_at(self, trim: WaitingTrim) -> float:
        """Return when a trim is due."""
        return self._due(trim, self._due_ages)

    def early_at(self, trim: WaitingTrim, budget: CallBudget) -> float:
        """Return when the trim that is due next can be polled early."""
        if not self._scarce:
            return math.inf
        pace = EARLY_PACING * budget.window / budget.left
        return max(self._due(trim, self._early_ages), budget.last_call + pace)

    def not_before(self, budget: CallBudget) -> float:
        """Return the earliest time of the next poll: any."""
        return -math.inf

    def replan(self, trims: Collection[WaitingTrim], budget: CallBudget) -> bool:
        """Solve the price again if enough has changed."""
        count, calls = len(trims), budget.calls
        self._round = 0.0
        if calls is not None and budget.demand * budget.window > calls:
            self._round = count * budget.window * 2.0 * budget.spent / calls**2
        scarce = calls is not None and count * budget.window > max(MIN_ROUND, budget.mean_interval(count)) * calls
        if scarce == self._scarce and not (scarce and self._is_outdated(count, budget)):
            return False
        self._scarce = scarce
        self._planned = (count, budget.version, budget.made)
        if scarce:
            fitting = self._solve_price(trims, budget)
            self._price = math.sqrt(fitting * (self._price or fitting))
            self._due_ages = self._durations.optimal_poll_ages(self._price, MAX_EXPECTED_DELAY * budget.window)
            self._early_ages = self._durations.optimal_poll_ages(self._price, EARLY_THRESHOLD * budget.window)
        else:
            self._price = None
        return True

    def _is_outdated(self, count: int, budget: CallBudget) -> bool:
        planned_count, planned_version, planned_made = self._planned
        return (
            planned_version != budget.version
            or abs(count - planned_count) > REPRICE_THRESHOLD * planned_count
            or budget.made - planned_made >= max(REPRICE_THRESHOLD * (budget.calls or 0), 1.0)
        )

    def _due(self, trim: WaitingTrim, ages_of_next_poll: list[float]) -> float:
        """Return when a trim is due, by a table of ages at the next poll for ages at the last."""
        if not self._scarce:
            return max(trim.not_before, trim.polled_at + self._round)
        ages, age = self._durations.ages, self._model_age(trim)
        index = self._durations.bin_index(age)
        pause, following = ages_of_next_poll[index] - age, ages_of_next_poll[index + 1] - age
        pause += (following - pause) * (age - ages[index]) / (ages[index + 1] - ages[index])
        return max(trim.not_before, min(trim.started_at + trim.age + pause, trim.not_before + MAX_POLL_INTERVAL))

    def _model_age(self, trim: WaitingTrim) -> float:
        """Return a trim's age at its last poll; beyond half of the model's ages, all are treated alike."""
        return min(trim.age, self._durations.ages[-1] / 2)

    def _solve_price(self, trims: Collection[WaitingTrim], budget: CallBudget) -> float:
        """Return the price at which the trims ask for as many calls as there are."""
        model = self._durations
        model.recompute()
        rate = budget.left / (PLANNING_FRACTION * budget.window)
        interval = budget.mean_interval(len(trims))
        bins = Counter(model.bin_index(self._model_age(trim)) for trim in trims)
        low, high = MIN_PRICE, MAX_PRICE
        while high > low * PRICE_STEP:
            price = math.sqrt(low * high)
            ages = model.optimal_poll_ages(price, MAX_EXPECTED_DELAY * budget.window)
            wanted = sum(count / max(ages[index] - model.ages[index], interval) for index, count in bins.items())
            low, high = (price, high) if wanted > rate else (low, price)
        # Rather too low than too high: the quota itself puts the one right, and the other wastes calls.
        return low
