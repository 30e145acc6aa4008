# SPDX-License-Identifier: Apache-2.0
"""A clock for tests to move."""

from __future__ import annotations

from collections.abc import Callable


class Clock:
    """A clock that moves only when a test moves it.

    :param now: what it shows at first, in seconds
    :param base: another clock, to whose time this one's is added: ``Clock(0, time.time)`` is the system's, put forward
    """

    def __init__(self, now: float = 1000.0, base: Callable[[], float] = lambda: 0.0) -> None:
        self.now = now
        self._base = base

    def __call__(self) -> float:
        return self._base() + self.now

    def advance(self, seconds: float) -> None:
        """Move it on; may stand in for ``time.sleep``."""
        assert seconds >= 0
        self.now += seconds


def no_jitter() -> float:
    """Stand in for a random number, where a test needs exact waits."""
    return 0.0
