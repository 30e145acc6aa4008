# SPDX-License-Identifier: Apache-2.0
"""How long trims take, learned from polls. Pure: standard library, times are passed in.

A piecewise constant hazard: ages are cut into bins 6 % wide, and each bin counts the trims that finished in it and the
seconds that trims were seen to pass through it. Their quotient is the hazard, so that

- a trim that is *not* done teaches as well (it passed the bins up to its age), from the first poll on;
- a finished trim, known only to have finished between two polls, is spread over the bins between them as the model so
  far expects (one step of expectation-maximisation per poll);
- any shape can be learned (two humps, nearly constant), and bins nothing was seen of keep the prior's hazard.

The prior is a lognormal so broad that seconds and hours are both possible, or a more general model. It weighs as much
as ``weight`` trims; what is older than some hundreds of finished trims fades.
"""

from __future__ import annotations

import functools
import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence

_FIRST_EDGE, _LAST_EDGE, _RATIO = 1.0, 21_600.0, 1.06
_BINS = math.ceil(math.log(_LAST_EDGE / _FIRST_EDGE) / math.log(_RATIO)) + 1

AGES = (0.0, *(_FIRST_EDGE * _RATIO**i for i in range(_BINS)))
"""Seconds; the edges of the bins."""

_WIDTHS = tuple(end - start for start, end in itertools.pairwise(AGES))
_TINY = 1e-12
_MIN_PRIOR_SURVIVAL = 1e-3
_MAX_VALUE = 1e12

_MEMORY = 500.0
"""Finished trims after which an observation has lost 63 % of its weight."""

_MAX_LOG_ODDS = 5.0
"""Logarithm of the odds of one prior against the other, at most."""

_REPLACED_WEIGHT, _REPLACED_PRIOR, _REPLACED_MEMORY = 0.1, 0.5, 50.0
"""Finished trims that the prior of ``replaced`` is worth, its value, and how many finished trims are remembered."""

_MAX_UNMATCHED = 2.0
"""Finished trims that were not replaced which it is worth, at most, that trims came in the place of none."""


class DurationModel:
    """The distribution of the time from submission (or first sight) to the end of a trim.

    What is counted and what is computed from it are in one class, since :meth:`load` replaces both.

    :param median: median of the prior, in seconds
    :param sigma: standard deviation of the logarithm of the prior
    :param weight: how many trims the prior is worth
    :param general: a more general model, which is the prior as well, as far as it explains this one's polls better
        than the lognormal
    """

    def __init__(
        self,
        median: float = 60.0,
        sigma: float = 2.0,
        weight: float = 2.0,
        general: DurationModel | None = None,
    ) -> None:
        self._prior = (median, sigma)
        self._weight = weight
        self._general = general
        self._log_odds = 0.0
        """Logarithm of the odds that the general model, not the lognormal, explains the polls."""
        self._finished = [0.0] * len(_WIDTHS)
        self._seconds = [0.0] * len(_WIDTHS)
        self._faded = self._replaced = self._unmatched = 0.0
        self.finished = 0.0
        """Trims that have finished; older ones count less."""
        self._outdated = True
        self.recompute()

    def observe(self, start: float, end: float, finished: bool) -> None:
        """Learn from one poll. The figures change only with :meth:`recompute`.

        :param start: age at the poll before (0 if there was none), in seconds: the trim was not done then.
        :param end: age at this poll.
        :param finished: whether the trim was done by now.
        """
        if end <= start:
            return
        if self._general is not None:
            self._weigh_priors(self._general, start, end, finished)
        first, last = bin_index(start), bin_index(end)
        survival = self.survival
        survival_end = self.survival_at(end)
        expected = self.survival_at(start) - survival_end
        running, left = 1.0, start
        for index in range(first, last + 1):
            right = end if index == last else AGES[index + 1]
            if not finished:
                still = 1.0
            elif expected > _TINY:
                still = max(survival[index + 1] - survival_end, 0.0) / expected if index < last else 0.0
            else:  # the model holds it to be impossible: anywhere in between
                still = (end - right) / (end - start)
            self._finished[index] += running - still
            self._seconds[index] += (running + still) / 2 * (right - left)
            running, left = still, right
        self._faded += finished
        self._outdated = True

    def count_replaced(self, replaced: int, finished: int, unmatched: int) -> None:
        """Count trims that finished and that came.

        :param replaced: trims that came in the place of one that had finished
        :param finished: trims that finished
        :param unmatched: trims that came in the place of none while others were waiting, as in a burst
        """
        keep = (1.0 - 1.0 / _REPLACED_MEMORY) ** finished
        self._replaced = self._replaced * keep + replaced
        self._unmatched = min(self._unmatched * keep + unmatched, _MAX_UNMATCHED)
        self.finished = self.finished * keep + finished

    @property
    def replaced(self) -> float:
        """The probability that another trim begins when one has finished, as in a steady load."""
        seen = _REPLACED_WEIGHT * _REPLACED_PRIOR + self._replaced
        return min(seen / (_REPLACED_WEIGHT + self._unmatched + self.finished), 1.0)

    def dump(self) -> list[float]:
        """Return what is known as numbers, for :meth:`load`."""
        self._fade()
        observed = zip(self._finished, self._seconds, strict=True)
        seen = [index for index, figures in enumerate(observed) if any(figures)]
        first, end = (seen[0], seen[-1] + 1) if seen else (0, 0)
        values = [*self._finished[first:end], *self._seconds[first:end]]
        return [float(f"{value:.3g}") for value in (first, self._replaced, self.finished, *values)]

    def load(self, values: Sequence[float]) -> bool:
        """Take over what is known elsewhere, and return whether it makes sense; otherwise change nothing."""
        if len(values) < 3 or len(values) % 2 == 0 or not all(0.0 <= value < _MAX_VALUE for value in values):
            return False
        first, replaced, finished, *bins = values
        count, begin = len(bins) // 2, int(first)
        if begin + count > len(_WIDTHS):
            return False
        before, after = [0.0] * begin, [0.0] * (len(_WIDTHS) - begin - count)
        self._finished = [*before, *bins[:count], *after]
        self._seconds = [*before, *bins[count:], *after]
        self._replaced, self.finished, self._outdated = replaced, finished, True
        self.recompute()
        return True

    def recompute(self) -> None:
        """Recompute :attr:`survival` and :attr:`area`, if something was observed."""
        if not self._outdated:
            return
        self._outdated = False
        self._fade()
        survival, prior_hazards = self._prior_figures()
        weight, alive, total = self._weight, 1.0, 0.0
        figures, areas = [alive], [total]
        for finished, seconds, before, hazard, width in zip(
            self._finished, self._seconds, survival, prior_hazards, _WIDTHS, strict=False
        ):
            worth = weight * (before if before > _MIN_PRIOR_SURVIVAL else _MIN_PRIOR_SURVIVAL) * width
            hazard = (finished + worth * hazard) / (seconds + worth)
            following = max(alive * math.exp(-hazard * width), 1e-300)
            total += (alive + following) / 2 * width
            alive = following
            figures.append(alive)
            areas.append(total)
        # Whole lists are swapped: another thread may be reading.
        self.survival = figures
        """The probability that a trim takes longer than each of :data:`AGES`."""
        self.area = areas
        """The integral of :attr:`survival`, in seconds."""

    def _fade(self) -> None:
        keep, self._faded = (1.0 - 1.0 / _MEMORY) ** self._faded, 0.0
        self._finished = [count * keep for count in self._finished]
        self._seconds = [seconds * keep for seconds in self._seconds]

    def _weigh_priors(self, general: DurationModel, start: float, end: float, finished: bool) -> None:
        log_odds = self._log_odds
        for survival, sign in ((general.survival, 1.0), (_lognormal(*self._prior)[0], -1.0)):
            lasts = interpolate(survival, end) / interpolate(survival, start)
            log_odds += sign * math.log(max(1.0 - lasts if finished else lasts, _MIN_PRIOR_SURVIVAL))
        self._log_odds = min(max(log_odds, -_MAX_LOG_ODDS), _MAX_LOG_ODDS)

    def _prior_figures(self) -> tuple[Sequence[float], Sequence[float]]:
        """Return survival and hazard by bin."""
        survival, hazards = _lognormal(*self._prior)
        if self._general is None:
            return survival, hazards
        self._general.recompute()
        part = 1.0 / (1.0 + math.exp(-self._log_odds))
        mixed = [part * one + (1.0 - part) * other for one, other in zip(self._general.survival, survival, strict=True)]
        return mixed, _hazards(mixed)

    def survival_at(self, age: float) -> float:
        """Return the probability that a trim takes longer than ``age`` seconds."""
        return interpolate(self.survival, age)


def bin_index(age: float) -> int:
    """Return the bin that an age in seconds falls into; ages beyond the last edge count as the last bin."""
    return bisect_right(AGES, age, 1, _BINS) - 1


def interpolate(values: Sequence[float], age: float) -> float:
    """Return a value at any age, from values at :data:`AGES`."""
    index = bin_index(age)
    part = (age - AGES[index]) / _WIDTHS[index]
    return values[index] + (values[index + 1] - values[index]) * (part if part < 1.0 else 1.0)


@functools.cache
def _lognormal(median: float, sigma: float) -> tuple[list[float], list[float]]:
    """Return survival and hazard of a lognormal, by bin."""
    survival = [1.0, *(0.5 * math.erfc(math.log(age / median) / sigma / math.sqrt(2)) for age in AGES[1:])]
    return survival, _hazards(survival)


def _hazards(survival: list[float]) -> list[float]:
    hazards, hazard = [], 0.0
    for index, width in enumerate(_WIDTHS):
        if survival[index + 1] > _TINY:
            hazard = max(math.log(survival[index] / survival[index + 1]) / width, _TINY)
        hazards.append(hazard)
    return hazards
