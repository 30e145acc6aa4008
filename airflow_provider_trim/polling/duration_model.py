# SPDX-License-Identifier: Apache-2.0
"""How long trims take, learned from the polls of this process. Pure: standard library, times are passed in.

A piecewise constant hazard: ages are cut into bins 6 % wide, and each bin counts the trims that finished in it and the
seconds that trims were seen to pass through it. Their quotient is the hazard, so that

- a trim that is *not* done teaches as well (it passed the bins up to its age), from the first poll on;
- a finished trim, known only to have finished between two polls, is spread over the bins between them as the model so
  far expects (one step of expectation-maximisation per poll);
- any shape can be learned (two humps, nearly constant), and bins nothing was seen of keep the prior's hazard.

The prior is a lognormal that weighs as much as ``weight`` trims; what is older than some ``memory`` finished trims
fades.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right

_FIRST_EDGE, _LAST_EDGE, _RATIO = 5.0, 21_600.0, 1.06
_TINY = 1e-12


class DurationModel:
    """The distribution of the time from submission (or first sight) to the end of a trim.

    :param median: median of the prior, in seconds.
    :param sigma: standard deviation of the logarithm of the prior.
    :param weight: how many trims the prior is worth.
    :param memory: finished trims after which an observation has lost 63 % of its weight.
    """

    def __init__(self, median: float = 120.0, sigma: float = 0.8, weight: float = 10.0, memory: float = 500.0) -> None:
        count = math.ceil(math.log(_LAST_EDGE / _FIRST_EDGE) / math.log(_RATIO))
        self.ages: list[float] = [0.0, *(_FIRST_EDGE * _RATIO**i for i in range(count + 1))]
        self._keep = 1.0 - 1.0 / memory
        self._finished: list[float] = []
        self._seconds: list[float] = []
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

    def recompute(self) -> None:
        """Recompute what :meth:`survival` and :meth:`optimal_poll_ages` read."""
        survival, area = 1.0, 0.0
        self._survival, self._area = [1.0], [0.0]
        for index, (finished, seconds) in enumerate(zip(self._finished, self._seconds, strict=True)):
            width = self.ages[index + 1] - self.ages[index]
            following = max(survival * math.exp(-finished / seconds * width), 1e-300)
            area += (survival + following) / 2 * width
            survival = following
            self._survival.append(survival)
            self._area.append(area)

    def bin_index(self, age: float) -> int:
        """Return the bin that an age in seconds falls into; ages beyond the last edge count as the last bin."""
        return min(bisect_right(self.ages, age), len(self.ages) - 1) - 1

    def survival(self, age: float) -> float:
        """The probability that a trim takes longer than ``age`` seconds."""
        index = self.bin_index(age)
        start, end = self.ages[index], self.ages[index + 1]
        share = min((age - start) / (end - start), 1.0)
        return self._survival[index] + (self._survival[index + 1] - self._survival[index]) * share

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
            age, alive, before = ages[index], survival[index], area[index]
            # The later the last poll, the later the next: the search goes on where it stopped.
            upper = max(upper - 1, index)
            most = limit * alive
            above = alive * (ages[upper] - age) - area[upper] + before - min(most, price * survival[upper])
            below = above
            while above < 0 and upper < last:
                upper += 1
                below = above
                above = alive * (ages[upper] - age) - area[upper] + before - min(most, price * survival[upper])
            share = below / (below - above) if below < 0 <= above else 1.0
            polls.append(ages[upper - 1] + (ages[upper] - ages[upper - 1]) * share)
        return polls


def _lognormal_survival(age: float, median: float, sigma: float) -> float:
    return 1.0 if age <= 0 else 0.5 * math.erfc(math.log(age / median) / sigma / math.sqrt(2))
