# SPDX-License-Identifier: Apache-2.0
"""Spreads waits, so that what began to wait together does not wake together."""

from __future__ import annotations

from collections.abc import Callable

JITTER_FRACTION = 0.1
"""Part of a wait that is added at most."""

MAX_JITTER = 5.0
"""Seconds that are added at most."""


def jittered(wait: float, random: Callable[[], float]) -> float:
    """Return a wait that is a little longer, never shorter.

    :param wait: seconds
    :param random: returns a number from 0.0 to 1.0
    """
    return wait + random() * min(JITTER_FRACTION * wait, MAX_JITTER)
