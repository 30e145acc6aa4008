# SPDX-License-Identifier: Apache-2.0
"""What received and missed callbacks show: which trims may be done, and whether callbacks arrive at all.

Pure: time is passed in.
"""

from __future__ import annotations

from collections import OrderedDict, deque

TTL = 600.0
"""Seconds for which a callback is remembered, since the wait for a fast trim may begin after it."""

MAX_ENTRIES = 10_000
"""Callbacks. All of them are authenticated, so only the service can fill this."""

HEALTH_WINDOW = 8
"""Finished trims, with or without a callback, by which callbacks are judged."""

TRIP_BELOW, RECOVER_FROM = 0.5, 0.75
"""Parts of the window that have had a callback: where the circuit opens, and where it closes again."""


class RecentCallbacks:
    """The callbacks of the last minutes."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, float] = OrderedDict()
        self._evicted_at = float("-inf")

    def add(self, trans_no: str, now: float) -> bool:
        """Remember a callback, and return whether it is the first one of its trim."""
        if self.contains(trans_no, now):
            return False
        self._times[trans_no] = now
        self._times.move_to_end(trans_no)
        if len(self._times) > MAX_ENTRIES:
            _, self._evicted_at = self._times.popitem(last=False)
        return True

    def contains(self, trans_no: str, now: float) -> bool:
        """Return whether a trim has had a callback lately."""
        return now < self._times.get(trans_no, float("-inf")) + TTL

    def complete_since(self, now: float) -> float:
        """Return since when no callback was forgotten."""
        return max(self._evicted_at, now - TTL)


class CallbackHealth:
    """A circuit breaker: whether callbacks arrive, by the last trims of which one was expected."""

    def __init__(self) -> None:
        self.healthy = True
        self._delivered: deque[bool] = deque(maxlen=HEALTH_WINDOW)

    def record(self, delivered: bool) -> bool:
        """Record a finished trim.

        :param delivered: whether its callback came before a poll found it done
        :returns: whether :attr:`healthy` has changed
        """
        self._delivered.append(delivered)
        part, before = sum(self._delivered) / len(self._delivered), self.healthy
        self.healthy = part >= (TRIP_BELOW if self.healthy else RECOVER_FROM)
        return self.healthy != before
