# SPDX-License-Identifier: Apache-2.0
"""The call quota of an account, counted in a sliding window."""

from __future__ import annotations

import math
from collections import deque

from airflow_provider_trim.emulator.numbers import require_integer, require_seconds


class SlidingWindow:
    """Accepts at most ``calls`` calls in any ``seconds`` seconds for each account. Rejected calls do not count.

    :raises ValueError: if ``calls`` is less than 1, or ``seconds`` is not above 0
    """

    def __init__(self, calls: int, seconds: float) -> None:
        require_integer("quota's calls", calls, 1)
        if not require_seconds("quota's time", seconds) > 0:
            raise ValueError(f"quota must be at least 1 call in more than 0 seconds, not ({calls}, {seconds})")
        self.calls = calls
        self.seconds = seconds
        self._accepted: dict[str, deque[float]] = {}

    def acquire(self, account: str, now: float) -> int | None:
        """Count a call if the quota allows it.

        :param now: seconds of any clock that does not go back
        :return: None if the call is accepted, else the whole seconds until the next call will be
        """
        accepted = self._accepted.setdefault(account, deque())
        while accepted and accepted[0] <= now - self.seconds:
            accepted.popleft()
        if len(accepted) < self.calls:
            accepted.append(now)
            return None
        return max(1, math.ceil(accepted[0] + self.seconds - now))
