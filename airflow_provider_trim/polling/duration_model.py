# SPDX-License-Identifier: Apache-2.0
"""How long trims take, learned from polls. Pure: standard library, times are passed in.

A piecewise constant hazard: ages are cut into bins 6 % wide, and each bin counts the trims that finished in it and the
seconds that trims were seen to pass through it. Their quotient is the hazard, so that

- a trim that is *not* done teaches as well (it passed the bins up to its age), from the first poll on;
- a finished trim, known only to have finished between two polls, is spread over the bins between them as the model so
  far expects (one step of expectation-maximisation per poll);
- any shape can be learned (two humps, nearly constant), and bins nothing was seen of keep the prior's hazard.

The prior is a lognormal so broad that seconds and hours are both possible. It weighs as much as ``weight`` trims; what
is older than some ``memory`` finished trims fades.
"""

from __future__ import annotations

import itertools
import json
import math
from bisect import bisect_right

_FIRST_EDGE, _LAST_EDGE, _RATIO = 1.0, 21_600.0, 1.06
_TINY = 1e-12
_MAX_VALUE = 1e12

_REPLACED_WEIGHT, _REPLACED_PRIOR, _REPLACED_MEMORY = 0.1, 0.5, 50.0
"""Finished trims that the prior of ``replaced`` is worth, its value, and how many finished trims are remembered."""


class DurationModel:
    """The distribution of the time from submission (or first sight) to the end of a trim.

    :param median: median of the prior, in seconds.
    :param sigma: standard deviation of the logarithm of the prior.
    :param weight: how many trims the prior is worth.
    :param memory: finished trims after which an observation has lost 63 % of its weight.
    """

    def __init__(self, median: float = 60.0, sigma: float = 2.0, weight: float = 2.0, memory: float = 500.0) -> None:
        count = math.ceil(math.log(_LAST_EDGE / _FIRST_EDGE) / math.log(_RATIO))
        self.ages: list[float] = [0.0, *(_FIRST_EDGE * _RATIO**i for i in range(count + 1))]
        self._keep = 1.0 - 1.0 / memory
        self._finished: list[float] = []
        self._seconds: list[float] = []
        self._replaced = 0.0
        self.finished = 0.0
        """Trims that have finished; older ones count less."""
        hazard = 0.0
        for start, end in itertools.pairwise(self.ages):
            before, after = (_lognormal_survival(age, median, sigma) for age in (start, end))
            if after > _TINY:
                hazard = max(math.log(before / after) / (end - start), _TINY)
            seconds = weight * max(before, 1e-3) * (end - start)
            self._seconds.append(seconds)
            self._finished.append(seconds * hazard)
        self.recompute()

    def observe(self, start: float, end: float, finished: bool) -> None:
        """Take in one poll. The figures change only with :meth:`recompute`.

        :param start: age at the poll before (0 if there was none), in seconds: the trim was not done then.
        :param end: age at this poll.
        :param finished: whether the trim was done by now.
        """
        if end <= start:
            return
        ages, first, last = self.ages, self.bin_index(start), self.bin_index(end)
        survival_end = self.survival(end)
        expected = self.survival(start) - survival_end
        running, left = 1.0, start
        for index in range(first, last + 1):
            right = end if index == last else ages[index + 1]
            if not finished:
                still = 1.0
            elif expected > _TINY:
                still = max(self._survival[index + 1] - survival_end, 0.0) / expected if index < last else 0.0
            else:  # the model holds it to be impossible: anywhere in between
                still = (end - right) / (end - start)
            self._finished[index] += running - still
            self._seconds[index] += (running + still) / 2 * (right - left)
            running, left = still, right
        if finished:
            self._finished = [count * self._keep for count in self._finished]
            self._seconds = [seconds * self._keep for seconds in self._seconds]

    def count_replaced(self, replaced: int, finished: int) -> None:
        """Count finished trims, and how many of them another one followed."""
        keep = (1.0 - 1.0 / _REPLACED_MEMORY) ** finished
        self._replaced = self._replaced * keep + replaced
        self.finished = self.finished * keep + finished

    @property
    def replaced(self) -> float:
        """The probability that another trim begins when one has finished, as in a steady load."""
        seen = _REPLACED_WEIGHT * _REPLACED_PRIOR + self._replaced
        return min(seen / (_REPLACED_WEIGHT + self.finished), 1.0)

    def dump(self) -> str:
        """Return what is known as text, for :meth:`load`."""
        values = [*self._finished, *self._seconds, self._replaced, self.finished]
        return json.dumps([float(f"{value:.4g}") for value in values])

    def load(self, text: str | bytes) -> bool:
        """Take over what is known elsewhere, and return whether the text could be read; otherwise change nothing."""
        try:
            values = [float(value) for value in json.loads(text)]
        # Whatever it is that another version or program wrote, RecursionError included.
        except (ValueError, TypeError, OverflowError, RecursionError):
            return False
        count = len(self._finished)
        if len(values) != 2 * count + 2 or not all(0.0 <= value < _MAX_VALUE for value in values):
            return False
        *bins, self._replaced, self.finished = values
        self._finished = bins[:count]
        self._seconds = [max(seconds, _TINY) for seconds in bins[count:]]
        self.recompute()
        return True

    def recompute(self) -> None:
        """Recompute what the methods below read."""
        alive, area = 1.0, 0.0
        survival, areas = [alive], [area]
        for index, (finished, seconds) in enumerate(zip(self._finished, self._seconds, strict=True)):
            width = self.ages[index + 1] - self.ages[index]
            following = max(alive * math.exp(-finished / seconds * width), 1e-300)
            area += (alive + following) / 2 * width
            alive = following
            survival.append(alive)
            areas.append(area)
        # Whole lists are swapped: another thread may be reading.
        self._survival, self._area = survival, areas

    def bin_index(self, age: float) -> int:
        """Return the bin that an age in seconds falls into; ages beyond the last edge count as the last bin."""
        return min(bisect_right(self.ages, age), len(self.ages) - 1) - 1

    def survival(self, age: float) -> float:
        """The probability that a trim takes longer than ``age`` seconds."""
        return self.interpolate(self._survival, age)

    def interpolate(self, values: list[float], age: float) -> float:
        """Return a value at any age, from values at :attr:`ages`."""
        index = self.bin_index(age)
        start, end = self.ages[index], self.ages[index + 1]
        return values[index] + (values[index + 1] - values[index]) * min((age - start) / (end - start), 1.0)

    def optimal_poll_ages(self, price: float, limit: float) -> list[float]:
        """For a trim that was not done at each of :attr:`ages`: the age at which the next poll is worth its price.

        With F the probability that it is done by then, a poll becomes worth it as the expected delay so far, the
        integral of F since the last poll, reaches ``price * (1 - F)``, or ``limit``, whichever is first.

        :param price: seconds of delay that a wasted call may cost.
        :param limit: seconds of expected delay that are never exceeded.
        """
        ages, survival, area = self.ages, self._survival, self._area
        polls, upper, last = [], 1, len(ages) - 1
        for index in range(last):
            age, alive, most = ages[index], survival[index], limit * survival[index]
            seen = area[index] - alive * age
            # The later the last poll, the later the next: the search goes on where it stopped.
            upper = max(upper - 1, index + 1)
            while True:
                worth = price * survival[upper]
                if worth > most:
                    worth = most
                above = alive * ages[upper] - area[upper] + seen - worth
                if above >= 0.0 or upper == last:
                    break
                upper += 1
            left, width = ages[upper - 1], ages[upper] - ages[upper - 1]
            worth_left = min(most, price * survival[upper - 1])
            below = alive * left - area[upper - 1] + seen - worth_left
            if above < 0.0 or below >= 0.0:
                polls.append(left + width if above < 0.0 else left)
                continue
            # Within a bin the expected delay grows with the square of time.
            slope = (alive - survival[upper - 1]) * width + worth_left - worth
            root = math.sqrt(max(slope * slope - 4.0 * (above - below - slope) * below, 0.0))
            polls.append(left + width * min(-2.0 * below / (slope + root), 1.0))
        return polls

    def productive_poll_ages(self, window: float) -> list[float]:
        """For a trim that was not done at each of :attr:`ages`: the age t that maximises F(t) - t / window.

        A call can be made once in a window. If none is to be left unused, it is best made when waiting on would add
        less to the chance of success than it takes away from the window.

        :param window: seconds.
        """
        ages, survival = self.ages, self._survival
        polls: list[float] = []
        hull: list[int] = []
        """Lower convex hull of the survival from here on, from its right end."""
        for index in range(len(ages) - 1, -1, -1):
            age, alive = ages[index], survival[index]
            while len(hull) >= 2:
                near, far = hull[-1], hull[-2]
                if (survival[near] - alive) * (ages[far] - age) < (survival[far] - alive) * (ages[near] - age):
                    break
                hull.pop()
            hull.append(index)
            low, high = 0, len(hull) - 1
            while high > low:
                middle = (low + high + 1) // 2
                near, far = hull[middle], hull[middle - 1]
                steep = (survival[near] - survival[far]) * window > alive * (ages[far] - ages[near])
                low, high = (low, middle - 1) if steep else (middle, high)
            polls.append(ages[hull[low]])
        return polls[:0:-1]

    def polls_made(self, polls: list[float], interval: float) -> list[float]:
        """Return how many polls a trim has had, in expectation, by each of :attr:`ages`.

        :param polls: age at the next poll for each
        :param interval: minimum seconds between two polls
        """
        ages, survival, count = self.ages, self._survival, len(polls)
        made, total, at, index = [0.0], 0.0, 0.0, 0
        while index < count:
            start, end = ages[index], ages[index + 1]
            pause = polls[index] - start
            following = polls[index + 1] - end if index + 1 < count else pause
            pause = max(pause + (following - pause) * (at - start) / (end - start), interval)
            alive = self.survival(at)
            if at + pause <= end:  # several polls in this bin
                index += 1
                total += (end - at) / pause * (alive + survival[index]) / 2
                at = end
                made.append(total)
                continue
            while index < count and ages[index + 1] <= at + pause:
                index += 1
                made.append(total + alive * (ages[index] - at) / pause)
            total, at = total + alive, at + pause
        return made


def _lognormal_survival(age: float, median: float, sigma: float) -> float:
    return 1.0 if age <= 0 else 0.5 * math.erfc(math.log(age / median) / sigma / math.sqrt(2))
