# SPDX-License-Identifier: Apache-2.0
"""What a polling policy plans with: the waiting trims, and the calls that the quota leaves. Pure: time is passed in."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class WaitingTrim:
    """What a policy knows of a trim.

    :param started_at: when it was submitted, or first seen
    :param interval: minimum seconds between two polls
    :param not_before: the earliest time of its next poll
    :param age: seconds from ``started_at`` to the last poll that showed a trim that was not done
    :param polled_at: when it was last polled
    :param kind: trims of one kind are expected to take about as long; None for one of which no more is known
    """

    started_at: float
    interval: float
    not_before: float
    age: float = 0.0
    polled_at: float = -math.inf
    kind: str | None = None
    rank: int = 0
    """How many trims of its kind were waiting when it came."""
    finished: bool = False
    """Whether a poll has shown that it is done."""


class CallBudget:
    """The calls that can be planned with, those that were made, and those that the trims would make."""

    def __init__(self) -> None:
        self.calls: int | None = None
        """In each window; None for any number."""
        self.window = 0.0
        """Seconds."""
        self.version = 0
        """Changes with the quota."""
        self.now = -math.inf
        """The latest time that is known."""
        self.made = 0
        """Calls, ever."""
        self.demand = 0.0
        """Calls per second, if each trim were polled at its interval."""
        self.waiting: dict[str | None, int] = {}
        """Trims of each kind."""
        self.departed: dict[str | None, int] = {}
        """Trims of each kind that have finished, until a policy takes note of them."""
        self.changes = 0
        """Changes with the trims that wait."""
        self._recent: deque[float] = deque()

    def set(self, calls: int | None, window: float) -> bool:
        """Set the quota, and return whether it is another one."""
        if (calls, window) == (self.calls, self.window):
            return False
        self.calls, self.window = calls, window
        self.version += 1
        return True

    def add(self, trim: WaitingTrim) -> None:
        """Count in a trim."""
        self.demand += 1.0 / trim.interval
        trim.rank = self.waiting.get(trim.kind, 0)
        self.waiting[trim.kind] = trim.rank + 1
        self.changes += 1

    def remove(self, trim: WaitingTrim) -> None:
        """Count out a trim."""
        self.demand -= 1.0 / trim.interval
        self.changes += 1
        if trim.finished:  # not before: a finished trim that still waits for its verdict has not been replaced
            self.departed[trim.kind] = self.departed.get(trim.kind, 0) + 1
        left = self.waiting.pop(trim.kind) - 1
        if left:
            self.waiting[trim.kind] = left

    def change_interval(self, trim: WaitingTrim, interval: float) -> None:
        """Change the interval, in seconds, of a trim that is counted."""
        if interval != trim.interval:
            self.demand += 1.0 / interval - 1.0 / trim.interval
            trim.interval = interval

    def spend(self, now: float) -> None:
        """Count a call."""
        if self.calls is not None:
            self._recent.append(now)
            self.made += 1

    def advance(self, now: float) -> None:
        """Forget the calls that have left the window."""
        self.now = max(self.now, now)
        while self._recent and self._recent[0] <= self.now - self.window:
            self._recent.popleft()

    @property
    def left(self) -> int:
        """Calls that are left now; at least one."""
        return max((self.calls or 0) - len(self._recent), 1)

    def supply(self, seconds: float) -> int:
        """Return how many calls can be made within a number of seconds, at most a window; at least one."""
        returned = bisect_right(self._recent, self.now - self.window + seconds)
        return max((self.calls or 0) - len(self._recent) + returned, 1)

    @property
    def last_call(self) -> float:
        """When the last call was made."""
        return self._recent[-1] if self._recent else -math.inf

    def mean_interval(self, trims: int) -> float:
        """Return the mean interval of the trims, in seconds."""
        return trims / max(self.demand, 1e-9)
