# SPDX-License-Identifier: Apache-2.0
"""A clock that stands still until it is told to go on, for what takes a clock as a parameter."""

from __future__ import annotations


class Clock:
    """Call it for the time; add to :attr:`now` to let time pass."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def no_jitter() -> float:
    """Stand in for a random number, where a test needs exact waits."""
    return 0.0
