# SPDX-License-Identifier: Apache-2.0
"""What callbacks teach: which trims may be done, and whether callbacks come at all. Pure: time is passed in."""

from __future__ import annotations

from collections import OrderedDict, deque

TTL = 600.0
"""Seconds for which a callback is remembered, since the wait for a fast trim may begin after it."""

MAX_ENTRIES = 10_000
"""Callbacks; all of them genuine, so that nobody fills this who was not given their addresses."""

HEALTH_WINDOW = 8
"""Trims whose callbacks came or not, by which callbacks are judged."""


class RecentCallbacks:
    """The callbacks of the last minutes."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, float] = OrderedDict()
        self._forgotten_at = float("-inf")

    def note(self, trans_no: str, now: float) -> bool:
        """Remember a callback, and return whether it says something new."""
        if self.knows(trans_no, now):
            return False
        self._times[trans_no] = now
        self._times.move_to_end(trans_no)
        if len(self._times) > MAX_ENTRIES:
            _, self._forgotten_at = self._times.popitem(last=False)
        return True

    def knows(self, trans_no: str, now: float) -> bool:
        """Return whether a trim was called back lately."""
        return now < self._times.get(trans_no, float("-inf")) + TTL

    def complete_since(self, now: float) -> float:
        """Return since when no callback was forgotten."""
        return max(self._forgotten_at, now - TTL)


class CallbackHealth:
    """Whether callbacks come, by those that came or failed to lately.

    They are relied upon from the beginning, until more have failed to come than came; then not before three of four
    come.
    """

    def __init__(self) -> None:
        self.given = True
        self._came: deque[bool] = deque(maxlen=HEALTH_WINDOW)

    def learn(self, came: bool) -> bool:
        """Learn from a trim that is done.

        :param came: whether its callback came before it was found done without
        :returns: whether that has changed :attr:`given`
        """
        self._came.append(came)
        share, before = sum(self._came) / len(self._came), self.given
        self.given = share >= 0.5 if self.given else share >= 0.75
        return self.given != before
