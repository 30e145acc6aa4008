# SPDX-License-Identifier: Apache-2.0
"""At which ages polls of a trim are worth their price. Pure; all is computed when it is first asked for, bin by bin."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

from airflow_provider_trim.polling.duration_model import AGES, DurationModel, bin_index, interpolate

_LAST = len(AGES) - 1


class AgeTable(ABC):
    """Ages at the next poll, by the age at the last one. What is learned later does not count.

    :param durations: what is known
    """

    def __init__(self, durations: DurationModel) -> None:
        self._survival, self._area = durations.survival, durations.area
        self._known: dict[int, float] = {_LAST: AGES[-1]}

    def at(self, index: int) -> float:
        """Return the age at the next poll for a last poll at one of :data:`AGES`."""
        found = self._known.get(index)
        if found is None:
            found = self._known[index] = self._find(index)
        return found

    def after(self, age: float) -> float:
        """Return the age at the next poll for a last poll at any age, in seconds."""
        index = bin_index(age)
        start, here = AGES[index], self.at(index)
        return here + (self.at(index + 1) - here) * (age - start) / (AGES[index + 1] - start)

    @abstractmethod
    def _find(self, index: int) -> float:
        """Compute :meth:`at`."""


class PollAges(AgeTable):
    """When the next poll of a trim is worth its price.

    With F the probability that it is done by then, a poll becomes worth it as the expected delay so far, the integral
    of F since the last poll, reaches ``price * (1 - F)``, or ``limit``, whichever is first.

    :param durations: what is known
    :param price: seconds of delay that a wasted call may cost
    :param limit: seconds of expected delay that are never exceeded
    """

    def __init__(self, durations: DurationModel, price: float, limit: float) -> None:
        super().__init__(durations)
        self._price, self._limit = price, limit
        self._hint = (0, 1)

    def _find(self, index: int) -> float:
        survival, area, price = self._survival, self._area, self._price
        age, alive = AGES[index], survival[index]
        seen, most = area[index] - alive * age, self._limit * alive
        # The later the last poll, the later the next: the search goes on where one of an earlier age has stopped.
        before, upper = self._hint
        upper = max(upper - 1, index + 1) if before <= index else index + 1
        while True:
            worth = price * survival[upper]
            if worth > most:
                worth = most
            above = alive * AGES[upper] - area[upper] + seen - worth
            if above >= 0.0 or upper == _LAST:
                break
            upper += 1
        self._hint = index, upper
        left, width = AGES[upper - 1], AGES[upper] - AGES[upper - 1]
        worth_left = min(most, price * survival[upper - 1])
        below = alive * left - area[upper - 1] + seen - worth_left
        if above < 0.0 or below >= 0.0:
            return left + width if above < 0.0 else left
        # Within a bin the expected delay grows with the square of time.
        slope = (alive - survival[upper - 1]) * width + worth_left - worth
        root = math.sqrt(max(slope * slope - 4.0 * (above - below - slope) * below, 0.0))
        return left + width * min(-2.0 * below / (slope + root), 1.0)


class EarlyAges(AgeTable):
    """When the next poll of a trim may be made early, if calls are left: never later than the poll that is worth it.

    It is then worth a lower price, or it is made at the age t that maximises F(t) - t / window. A call can be made
    once in a window. If none is to be left unused, it is best made when waiting on would add less to the chance of
    success than it takes away from the window.

    :param durations: what is known
    :param cheap: when it is worth the lower price
    :param window: seconds
    """

    def __init__(self, durations: DurationModel, cheap: PollAges, window: float) -> None:
        super().__init__(durations)
        self._cheap, self._window = cheap, window

    def _find(self, index: int) -> float:
        best, early = self.most_productive(index), self._cheap.at(index)
        return min(early, best) if best > AGES[index] else early

    def most_productive(self, index: int) -> float:
        """Return the age at which a poll is most productive for a last poll at one of :data:`AGES`."""
        age, best, most = AGES[index], AGES[index], 0.0
        for later in range(index + 1, _LAST + 1):
            spent = (AGES[later] - age) / self._window
            if 1.0 - spent <= most:
                break
            if (value := 1.0 - self._survival[later] / self._survival[index] - spent) > most:
                best, most = AGES[later], value
        return best


class PollsMade:
    """How many polls a trim has had by any age, in expectation.

    :param ages: at its polls
    :param survival: the probability that it takes longer than each of :data:`AGES`
    :param interval: minimum seconds between two polls
    :param begin: age in seconds at which the polls begin
    :param end: age in seconds until which they are counted
    """

    def __init__(self, ages: AgeTable, survival: list[float], interval: float, begin: float, end: float) -> None:
        at, index, total = begin, bin_index(begin), 0.0
        self._first = index
        self._made = made = [0.0]
        while index < _LAST and AGES[index] < end:
            right = AGES[index + 1]
            pause = max(ages.after(at) - at, interval)
            alive = interpolate(survival, at)
            if at + pause <= right:  # several polls in this bin
                index += 1
                total += (right - at) / pause * (alive + survival[index]) / 2
                at = right
                made.append(total)
                continue
            while index < _LAST and AGES[index + 1] <= at + pause:
                index += 1
                made.append(total + alive * (AGES[index] - at) / pause)
            total, at = total + alive, at + pause

    def by(self, age: float) -> float:
        """Return the number of polls by an age in seconds; beyond the last that is counted, as many as by that."""
        index = bin_index(age)
        place, made = index - self._first, self._made
        if place + 1 >= len(made):
            return made[-1]
        part = min((age - AGES[index]) / (AGES[index + 1] - AGES[index]), 1.0)
        return made[place] + (made[place + 1] - made[place]) * part
