# SPDX-License-Identifier: Apache-2.0
"""How many calls the waiting trims are expected to need. Pure: time is passed in."""

from __future__ import annotations

from collections.abc import Collection

from airflow_provider_trim.polling.budget import CallBudget, WaitingTrim
from airflow_provider_trim.polling.duration_model import DurationModel

PLANNING_HORIZONS, STEADY_HORIZONS = (0.25, 0.5, 1.0), (0.5,)
"""Windows in which the trims' demand has to fit into the calls that are left, and those of a steady load."""

STEADY = 0.9
"""Share of finished trims that are replaced from which a load counts as steady."""

MIN_SURVIVAL = 1e-6
"""Probability below which the model says nothing of trims that old."""


class Demand:
    """How many calls trims need within each planning horizon.

    :param model: what is known of durations
    :param trims: that wait
    :param budget: the calls that there are
    """

    def __init__(self, model: DurationModel, trims: Collection[WaitingTrim], budget: CallBudget) -> None:
        self._model = model
        self._interval = budget.mean_interval(len(trims))
        self._replaced = model.replaced if model.replaced < STEADY else 1.0
        parts = PLANNING_HORIZONS if self._replaced < 1.0 else STEADY_HORIZONS
        self._horizons = [(part * budget.window, budget.supply(part * budget.window)) for part in parts]
        sums: dict[int, tuple[int, float, float]] = {}
        for trim in trims:
            age = model_age(trim, model)
            index = model.bin_index(age)
            count, ages, pauses = sums.get(index, (0, 0.0, 0.0))
            sums[index] = count + 1, ages + age, pauses + max(budget.now - trim.started_at - trim.age, 0.0)
        self._groups = [
            (index, count, ages / count, (ages + pauses) / count, model.survival(ages / count))
            for index, (count, ages, pauses) in sums.items()
        ]
        """By the bin of the last poll: trims, their mean ages at it and now, and the survival until it."""

    def fits(self, polls: list[float]) -> bool:
        """Return whether there are enough calls.

        :param polls: age at the next poll for a last poll at each of the model's ages
        """
        model, interval, replaced = self._model, self._interval, self._replaced
        made = model.polls_made(polls, interval) if replaced < 1.0 else []
        rate, needed = 0.0, [0.0] * len(self._horizons)
        for index, count, last, now, alive in self._groups:
            # Of trims that should be done long since, the model knows no more than their rate.
            steady = replaced if alive > MIN_SURVIVAL else 1.0
            rate += steady * count / max(polls[index] - model.ages[index], interval)
            if steady < 1.0:
                share, before = (1.0 - steady) * count / alive, model.interpolate(made, now)
                overdue = min((before - model.interpolate(made, last)) * share, (1.0 - steady) * count)
                for number, (seconds, _) in enumerate(self._horizons):
                    needed[number] += overdue + (model.interpolate(made, now + seconds) - before) * share
        return all(
            calls + rate * seconds <= supply for calls, (seconds, supply) in zip(needed, self._horizons, strict=True)
        )


def model_age(trim: WaitingTrim, model: DurationModel) -> float:
    """Return a trim's age at its last poll; beyond half of the model's ages, all are treated alike."""
    return min(trim.age, model.ages[-1] / 2)
