# SPDX-License-Identifier: Apache-2.0
"""Who is asked next under the quota. Pure: time is passed in, in Unix seconds.

The rule:

1. No trim is asked before its time (its interval, ``first_poll_after``, ``Retry-After``), and each at its deadline.
2. Where the quota has a call for every trim at its interval, or there is no quota, that is all. Where it has one for
   every trim each few seconds, they take turns, the slower the more of the quota is spent.
3. Otherwise a call has a *price*: the seconds of one trim's waiting that a call which finds nothing may cost.
4. A trim is due when the delay that is expected to have built up unseen since it was last asked, by what is known of
   durations, reaches the price times the chance that it is not done yet, or a whole window, whichever is first.
5. The price is such that all trims together ask for as many calls as the quota has in the next half window. It is set
   anew when a twentieth of the trims has come or gone, or a twentieth of the quota has been spent. It goes half the way
   each time: a few trims ask for most of the calls, and it would follow each of them.
6. Those due are asked in the order in which they came due, first of all those that are said to be done or have their
   last look. While nobody is due, calls are not hoarded: who comes due next is asked early, at a measured pace, once
   its expected delay is no longer trifling.
7. Nobody starves: a trim is due after an hour at the latest.

Why it is near the bound: with a price on calls the problem falls apart into one for each trim, whose best times for
looks follow from the distribution of durations alone. That is the very relaxation by which the bound is computed; what
is lost is what a price does not see, how the finish times of the others bunch.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from dataclasses import dataclass

from airflow_provider_trim.polling.duration_model import DurationModel

HORIZON = 0.5
"""Part of the window over which the calls that are left are spread."""

LATEST = 1.0
"""Windows of expected delay at which a trim is due at any price."""

RIPE = 1 / 7.5
"""Windows of expected delay from which a trim may be asked early."""

PACE = 0.1
"""Pause between two early calls, in pauses of an even pace."""

SHORT_SHARE = 9.5
"""Seconds; where equal shares give each trim a look so often, no more is to be gained than by taking turns."""

LONGEST_PAUSE = 3600.0
"""Seconds without a look after which a trim is due."""

CHANGE = 0.05
"""Part of the trims, or of the quota, after which the price is set anew."""

CHEAPEST, DEAREST, PRICE_STEP = 0.05, 1e4, 1.1
"""Seconds between which prices lie, and how closely one is set."""

_Queue = list[tuple[float, int, str]]


@dataclass(slots=True)
class _Entry:
    since: float
    interval: float
    not_before: float
    deadline: float
    age: float = 0.0
    """At the last look."""
    asked: float = -math.inf
    """When it was last asked."""
    place: int = -1
    """Number of its place in the queue; -1 while it is being asked."""
    last_look: float = math.inf
    """When it is to have its last look, as it stands among the last looks; infinite while it does not."""
    hurried: float = math.inf
    """When it is to be asked ahead of others, as if it were for the last time; infinite while it need not."""


class Schedule:
    """All trims of a poller, and who is next.

    :param durations: what is known of how long trims take
    """

    def __init__(self, durations: DurationModel | None = None) -> None:
        self._durations = durations or DurationModel()
        self._calls: int | None = None
        self._window = 0.0
        self._entries: dict[str, _Entry] = {}
        self._queue: _Queue = []
        self._last_looks: _Queue = []
        self._places = 0
        self._demand = 0.0
        self._scarce = False
        self._price: float | None = None
        self._priced_for = 0
        self._asked_since_priced = 0
        self._asked: deque[float] = deque()
        self._due_ages: list[float] = []
        self._ripe_ages: list[float] = []

    def __len__(self) -> int:
        return len(self._entries)

    def set_quota(self, calls: int | None, window: float) -> None:
        """Tell how many calls are allowed in how many seconds; None for any number."""
        if (calls, window) != (self._calls, self._window):
            self._calls, self._window = calls, window
            self._priced_for = 0

    def put(self, key: str, *, since: float, interval: float, not_before: float, deadline: float | None = None) -> None:
        """Have a trim asked about, or change when.

        :param since: when it was submitted, or first seen
        :param interval: least pause between two looks, in seconds
        :param not_before: the earliest time of its next look
        :param deadline: when it has its last look, in any case
        """
        limit = math.inf if deadline is None else deadline
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(since, interval, not_before, limit)
        else:
            self._demand -= 1.0 / entry.interval
            entry.since, entry.interval = min(since, entry.since), interval
            entry.not_before, entry.deadline = not_before, limit
        self._demand += 1.0 / interval
        self._line_up(key, entry)

    def hurry(self, key: str, now: float) -> None:
        """Have a trim that waits for its turn asked at once, ahead of all whose last look it is not."""
        entry = self._entries.get(key)
        if entry is not None and entry.place >= 0:
            entry.hurried = now
            self._line_up(key, entry)

    def discard(self, key: str) -> None:
        """Forget a trim, if it is known."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._demand -= 1.0 / entry.interval

    def looked(self, key: str, now: float, *, finished: bool) -> None:
        """Learn from the answer to a look; :meth:`put` has the trim asked again.

        :param finished: whether the trim was done; an answer that does not tell is not to be told
        """
        entry = self._entries.get(key)
        if entry is not None and self._calls is not None:
            age = max(0.0, now - entry.since)
            self._durations.learn(entry.age, age, finished)
            entry.age = age

    def due(self, key: str) -> float | None:
        """Return when a trim is to be asked, as things stand; the quota may put it off. None where it is not known."""
        entry = self._entries.get(key)
        return None if entry is None else min(self._due(entry, self._due_ages), max(entry.deadline, entry.not_before))

    def next_time(self) -> float | None:
        """Return when :meth:`pick` has somebody, or None for never as things stand."""
        self._set_price()
        first = min(self._next_last_look(), self._next_due(), self._early())
        return None if math.isinf(first) else first

    def pick(self, now: float) -> str | None:
        """Take out whom to ask now, or return None; to be called when the quota has a call."""
        while self._asked and self._asked[0] <= now - self._window * (1.0 - HORIZON):
            self._asked.popleft()
        self._set_price()
        if self._next_last_look() <= now:
            _, _, key = heapq.heappop(self._last_looks)
            self._entries[key].last_look = math.inf
        elif self._next_due() <= now or self._early() <= now:
            _, _, key = heapq.heappop(self._queue)
        else:
            return None
        entry = self._entries[key]
        entry.asked, entry.place, entry.hurried = now, -1, math.inf
        if self._calls is not None:
            self._asked.append(now)
            self._asked_since_priced += 1
        return key

    def _line_up(self, key: str, entry: _Entry) -> None:
        self._places += 1
        entry.place = self._places
        heapq.heappush(self._queue, (self._due(entry, self._due_ages), entry.place, key))
        last_look = min(entry.hurried, entry.deadline if entry.asked < entry.deadline else entry.not_before)
        if last_look != entry.last_look:
            entry.last_look = last_look
            heapq.heappush(self._last_looks, (last_look, entry.place, key))
            if len(self._last_looks) > 2 * len(self._entries) + 16:
                self._drop_outdated_last_looks()

    def _drop_outdated_last_looks(self) -> None:
        """Forget those of trims that are gone: they may be far ahead, and many trims come and go until then."""
        self._last_looks = [
            (entry.last_look, entry.place, key)
            for key, entry in self._entries.items()
            if math.isfinite(entry.last_look)
        ]
        heapq.heapify(self._last_looks)

    def _next_due(self) -> float:
        """Return when the first in the queue is due, without those that have left it."""
        while self._queue:
            due, place, key = self._queue[0]
            entry = self._entries.get(key)
            if entry is not None and entry.place == place:
                return due
            heapq.heappop(self._queue)
        return math.inf

    def _next_last_look(self) -> float:
        """Return when the next last look is; a place in the queue is no part of it, so that no look has to move it."""
        while self._last_looks:
            time, _, key = self._last_looks[0]
            entry = self._entries.get(key)
            if entry is not None and entry.last_look == time:
                if entry.place >= 0:
                    return time
                entry.last_look = math.inf  # it is being asked, and comes back here with its place in the queue
            heapq.heappop(self._last_looks)
        return math.inf

    def _early(self) -> float:
        """Return when the next that comes due may be asked early."""
        if not self._scarce or math.isinf(self._next_due()):
            return math.inf
        _, _, key = self._queue[0]
        pace = PACE * self._window / max((self._calls or 0) - len(self._asked), 1)
        not_before = self._asked[-1] + pace if self._asked else -math.inf
        return max(self._due(self._entries[key], self._ripe_ages), not_before)

    def _due(self, entry: _Entry, due_ages: list[float]) -> float:
        """Return when a trim is due, by a table of ages at the next look for ages at the last."""
        if not self._scarce:
            return max(entry.not_before, entry.asked + self._share())
        ages, age = self._durations.ages, self._known_age(entry)
        cell = self._durations.cell(age)
        pause, following = due_ages[cell] - age, due_ages[cell + 1] - age
        pause += (following - pause) * (age - ages[cell]) / (ages[cell + 1] - ages[cell])
        return max(entry.not_before, min(entry.since + entry.age + pause, entry.not_before + LONGEST_PAUSE))

    def _mean_interval(self) -> float:
        return len(self._entries) / max(self._demand, 1e-9)

    def _share(self) -> float:
        """Return the pause that few trims of a short interval keep, so that they don't use the quota up at once."""
        if self._calls is None or self._demand * self._window <= self._calls:
            return 0.0
        return len(self._entries) * self._window * 2.0 * len(self._asked) / self._calls**2

    def _known_age(self, entry: _Entry) -> float:
        """Return a trim's age at its last look; beyond half of the ages told apart, all go on as from there."""
        return min(entry.age, self._durations.ages[-1] / 2)

    def _set_price(self) -> None:
        """Set the price anew where enough has changed, and line all up by it."""
        count, calls = len(self._entries), self._calls
        scarce = calls is not None and count * self._window > max(SHORT_SHARE, self._mean_interval()) * calls
        if scarce == self._scarce:
            same = abs(count - self._priced_for) <= CHANGE * self._priced_for
            if not scarce or (same and self._asked_since_priced < max(CHANGE * (calls or 0), 1.0)):
                return
        self._scarce = scarce
        self._priced_for, self._asked_since_priced = count, 0
        if scarce:
            fitting = self._fitting_price(calls or 1)
            self._price = math.sqrt(fitting * (self._price or fitting))
            self._due_ages = self._durations.optimal_poll_ages(self._price, LATEST * self._window)
            self._ripe_ages = self._durations.optimal_poll_ages(self._price, RIPE * self._window)
        else:
            self._price = None
        self._queue = [
            (self._due(entry, self._due_ages), entry.place, key)
            for key, entry in self._entries.items()
            if entry.place >= 0
        ]
        heapq.heapify(self._queue)

    def _fitting_price(self, calls: int) -> float:
        """Return the price at which the trims ask for as many calls as there are."""
        model = self._durations
        model.refresh()
        rate = max(calls - len(self._asked), 1) / (HORIZON * self._window)
        interval = self._mean_interval()
        cells = Counter(model.cell(self._known_age(entry)) for entry in self._entries.values())
        low, high = CHEAPEST, DEAREST
        while high > low * PRICE_STEP:
            price = math.sqrt(low * high)
            ages = model.optimal_poll_ages(price, LATEST * self._window)
            wanted = sum(count / max(ages[cell] - model.ages[cell], interval) for cell, count in cells.items())
            low, high = (price, high) if wanted > rate else (low, price)
        # Rather too low than too high: the quota itself puts the one right, and the other wastes calls.
        return low
