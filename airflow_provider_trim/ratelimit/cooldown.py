# SPDX-License-Identifier: Apache-2.0
"""The pause of a whole account after the service has refused a call with HTTP 429."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

INITIAL_COOLDOWN = 1.0
"""Seconds after the first 429; doubled by each further one in a row."""

DEFAULT_MAX_COOLDOWN = 300.0
"""Seconds; the window of the vendor's documented quota, for connections whose quota is off."""

JITTER_FRACTION = 0.1
"""Part of a wait that is added at most."""

MAX_JITTER = 5.0
"""Seconds that are added at most."""

_MAX_DOUBLINGS = 32


def jittered(wait: float, random: Callable[[], float]) -> float:
    """Return a wait that is a little longer, never shorter, so that what began to wait together does not wake together.

    :param wait: seconds
    :param random: returns a number from 0.0 to 1.0
    """
    return wait + random() * min(JITTER_FRACTION * wait, MAX_JITTER)


class Cooldown:
    """No calls for a while after a 429. Thread-safe.

    :param initial_delay: seconds after the first 429 in a row
    :param clock: monotonic seconds
    :param jitter: returns a number from 0.0 to 1.0. Processes that were refused together must not come back together.
    """

    def __init__(
        self,
        *,
        initial_delay: float = INITIAL_COOLDOWN,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._initial_delay = initial_delay
        self._max_delay = DEFAULT_MAX_COOLDOWN
        self._clock = clock
        self._jitter = jitter
        self._lock = threading.Lock()
        self._refusals = 0
        self._until = float("-inf")

    def set_max_delay(self, window: float) -> None:
        """Bound pauses by the quota's window in seconds; 0.0 if the quota is off."""
        self._max_delay = window or DEFAULT_MAX_COOLDOWN

    def bounded(self, retry_after: float) -> float:
        """Return ``Retry-After`` in seconds, at most the quota's window.

        After one window without calls, the account has its whole quota again, so there is nothing left to wait for. A
        larger number is an error of the service or of a proxy, and would stop all waits of the account.
        """
        return min(retry_after, self._max_delay) if retry_after > 0.0 else 0.0  # NaN is not above 0

    def remaining(self) -> float:
        """Return the seconds until calls are allowed again, or 0.0."""
        return max(0.0, self._until - self._clock())

    def on_rate_limited(self, retry_after: float | None) -> float:
        """Pause after a 429.

        Calls that were in flight when the pause began tend to be refused as well; only a call made after it makes the
        next pause longer.

        :param retry_after: seconds of ``Retry-After``, or None
        :returns: seconds until calls are allowed again
        """
        with self._lock:
            now = self._clock()
            delay = 0.0 if retry_after is None else self.bounded(retry_after)
            if now >= self._until:
                if retry_after is None or self._refusals:
                    delay = max(delay, min(self._initial_delay * 2.0**self._refusals, self._max_delay))
                self._refusals = min(self._refusals + 1, _MAX_DOUBLINGS)
            if now + delay <= self._until:
                return self._until - now
            delay = jittered(delay, self._jitter)
            self._until = now + delay
            return delay

    def on_accepted(self) -> None:
        """Note a response that was no 429: the next pause is a short one again."""
        self._refusals = 0
