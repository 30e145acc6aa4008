# SPDX-License-Identifier: Apache-2.0
"""How many calls the waiting trims are expected to need. Pure: time is passed in."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from airflow_provider_trim.polling.budget import CallBudget, WaitingTrim
from airflow_provider_trim.polling.duration_model import AGES, DurationModel, bin_index
from airflow_provider_trim.polling.poll_ages import PollAges, PollsMade

PLANNING_HORIZONS, STEADY_HORIZONS = (0.25, 0.5, 0.75), (0.5,)
"""Windows in which the trims' demand has to fit into the calls that are left, and those of a steady load.

Not a whole one: a call that is spent now is back by then, and forecasts that far kept too many calls for later.
"""

STEADY = 0.9
"""Share of finished trims that are replaced from which a load counts as steady."""

UNKNOWN_MARGIN, PRIOR_WORTH = 0.75, 2.0
"""Part of the wasted calls that is added while nothing is known, and finished trims at which it has halved."""

MAX_EXPECTED_DELAY = 1.0
"""Windows of expected delay at which a trim is due at any price."""

MIN_SURVIVAL = 1e-6
"""Probability below which the model says nothing of trims that old."""

MAX_KNOWN_AGE = AGES[-1] / 2
"""Seconds; older trims are all treated alike."""


class Demand:
    """How many calls trims need within each planning horizon.

    :param models: what is known of durations, by the trims' kinds
    :param trims: that wait
    :param budget: the calls that there are
    """

    def __init__(
        self, models: Mapping[str | None, DurationModel], trims: Collection[WaitingTrim], budget: CallBudget
    ) -> None:
        self._limit = MAX_EXPECTED_DELAY * budget.window
        interval = budget.mean_interval(len(trims))
        sums: dict[DurationModel, dict[int, tuple[int, float, float]]] = {model: {} for model in models.values()}
        for trim in trims:
            age = model_age(trim)
            index = bin_index(age)
            bins = sums[models[trim.kind]]
            count, ages, pauses = bins.get(index, (0, 0.0, 0.0))
            bins[index] = count + 1, ages + age, pauses + max(budget.now - trim.started_at - trim.age, 0.0)
        self._kinds = [_KindDemand(model, bins, interval) for model, bins in sums.items() if bins]
        steady = all(kind.replaced >= 1.0 for kind in self._kinds)
        parts = STEADY_HORIZONS if steady else PLANNING_HORIZONS
        self._horizons = [part * budget.window for part in parts]
        # A trim takes one call when it is done, for sure. How many it wastes before varies by chance, the less the more
        # trims there are, and the forecast itself may be wrong. In a steady load, both even out.
        known = sum(model.finished for model in sums)
        margin = len(trims) ** -0.5 + UNKNOWN_MARGIN / (1.0 + known / PRIOR_WORTH)
        margin *= 1.0 - sum(kind.replaced * kind.count for kind in self._kinds) / len(trims)
        self._supplies = [
            (budget.supply(seconds) + margin * sum(kind.finishing(seconds) for kind in self._kinds)) / (1.0 + margin)
            for seconds in self._horizons
        ]

    def fits(self, price: float) -> bool:
        """Return whether there are enough calls at a price of one, in seconds of delay."""
        needed = [0.0] * len(self._horizons)
        for kind in self._kinds:
            kind.add_to(needed, self._horizons, PollAges(kind.model, price, self._limit))
        return all(calls <= supply for calls, supply in zip(needed, self._supplies, strict=True))


class _KindDemand:
    """The calls that trims of one kind need."""

    def __init__(self, model: DurationModel, bins: dict[int, tuple[int, float, float]], interval: float) -> None:
        self.model = model
        self.replaced = model.replaced if model.replaced < STEADY else 1.0
        self._interval = interval
        self._groups = [
            (index, count, ages / count, (ages + pauses) / count, model.survival_at(ages / count))
            for index, (count, ages, pauses) in sorted(bins.items())
        ]
        """By the bin of the last poll: trims, their mean ages at it and now, and the survival until it."""
        self.count = sum(group[1] for group in self._groups)
        self._youngest = self._groups[0][2]
        self._oldest = max(group[3] for group in self._groups)

    def finishing(self, seconds: float) -> float:
        """Return how many trims are expected to finish within a number of seconds."""
        total = 0.0
        for _, count, _, now, alive in self._groups:
            steady = self.replaced if alive > MIN_SURVIVAL else 1.0
            total += steady * count * seconds / self.model.area[-1]
            if steady < 1.0:
                total += (1.0 - steady) * count * (1.0 - self.model.survival_at(now + seconds) / alive)
        return total

    def add_to(self, needed: list[float], horizons: list[float], polls: PollAges) -> None:
        """Add the calls that are needed within each horizon.

        :param polls: ages at the trims' polls
        """
        interval, replaced, rate = self._interval, self.replaced, 0.0
        if replaced < 1.0:
            end = self._oldest + horizons[-1]
            made = PollsMade(polls, self.model.survival, interval, self._youngest, end)
        for index, count, last, now, alive in self._groups:
            # Of trims that should have finished long ago, the model knows only the rate.
            steady = replaced if alive > MIN_SURVIVAL else 1.0
            rate += steady * count / max(polls.at(index) - AGES[index], interval)
            if steady < 1.0:
                share, before = (1.0 - steady) * count / alive, made.by(now)
                overdue = min((before - made.by(last)) * share, (1.0 - steady) * count)
                for number, seconds in enumerate(horizons):
                    # The next poll counts in part as its time comes nearer: on average by a half, and it is not made.
                    begun = 0.5 * self.model.survival_at(now + seconds) * share
                    needed[number] += max(overdue + (made.by(now + seconds) - before) * share - begun, 0.0)
        for number, seconds in enumerate(horizons):
            needed[number] += rate * seconds


def model_age(trim: WaitingTrim) -> float:
    """Return a trim's age at its last poll; beyond half of the model's ages, all are treated alike."""
    return min(trim.age, MAX_KNOWN_AGE)
