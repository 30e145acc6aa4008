# SPDX-License-Identifier: Apache-2.0
"""Round robin: the reference for the polling policy, and the fallback where that fails. Pure: time is passed in."""

from __future__ import annotations

from collections.abc import Collection

from airflow_provider_trim.polling.account_durations import AccountDurations
from airflow_provider_trim.polling.budget import CallBudget, WaitingTrim


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

    def next_at(self, trim: WaitingTrim, due: float, budget: CallBudget) -> float:
        """Return when the trim that is due next is polled: as soon as its interval and the pace allow it."""
        return max(trim.not_before, budget.last_call + self._pace) if self._pace else due

    def observe(self, trim: WaitingTrim, age: float, finished: bool) -> None:
        """Learn nothing."""

    def use(self, durations: AccountDurations) -> None:
        """Plan without it."""
