# SPDX-License-Identifier: Apache-2.0
"""The calls an account may make in a moving window."""

from __future__ import annotations

import math
from collections import deque


class MovingWindow:
    """At most ``calls`` calls in any ``seconds`` seconds, for each account by itself. Refused calls don't count."""

    def __init__(self, calls: int, seconds: float) -> None:
        if calls < 1 or not seconds > 0:
            raise ValueError(f"a quota takes at least 1 call and more than 0 seconds, not ({calls}, {seconds})")
        self.calls = calls
        self.seconds = seconds
        self._accepted: dict[str, deque[float]] = {}

    def refusal(self, account: str, now: float) -> int | None:
        """None if the call is accepted, and counted; else the whole seconds after which the next one will be."""
        accepted = self._accepted.setdefault(account, deque())
        while accepted and accepted[0] <= now - self.seconds:
            accepted.popleft()
        if len(accepted) < self.calls:
            accepted.append(now)
            return None
        return max(1, math.ceil(accepted[0] + self.seconds - now))
