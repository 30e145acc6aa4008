# SPDX-License-Identifier: Apache-2.0
"""Sleep that ends early when there is something to do sooner."""

from __future__ import annotations

import asyncio
import contextlib
import math

MIN_SLEEP = 0.05
"""Seconds. Polls that come due meanwhile are made together, because waking up for each costs more than the call."""


class Wakeup:
    """Wakes the one task that waits on it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._asleep_until = -math.inf
        self._for_outcome = False

    def clear(self) -> None:
        """Forget earlier notifications."""
        self._event.clear()

    def notify(self) -> None:
        """Wake the task, or keep it from falling asleep."""
        self._event.set()

    def notify_if_asleep_at(self, time: float) -> None:
        """Wake the task if it would otherwise be asleep at a time."""
        if time < self._asleep_until:
            self.notify()

    def notify_outcome(self) -> None:
        """Wake the task if it waits for the outcome of a poll."""
        if self._for_outcome:
            self.notify()

    async def wait(self, now: float, until: float, *, for_outcome: bool = False) -> None:
        """Sleep until a time, or a notification.

        :param until: on the clock of ``now``; infinite to sleep until a notification
        :param for_outcome: wake up for the outcome of any poll
        """
        self._for_outcome = for_outcome
        pause = None if math.isinf(until) else max(until - now, MIN_SLEEP)
        self._asleep_until = math.inf if pause is None else now + pause - MIN_SLEEP
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._event.wait()
        finally:
            self._asleep_until, self._for_outcome = -math.inf, False
