# SPDX-License-Identifier: Apache-2.0
"""Numbers of a test, checked where they are given: later, they would fail in the emulator's own thread."""

from __future__ import annotations


def require_seconds(name: str, value: float) -> float:
    """Return a number of seconds, which may be infinite.

    :param name: for the message
    :raises ValueError: if it is no number, or negative
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError(f"{name} must be a number of 0 seconds or more, not {value!r}")
    return value


def require_integer(name: str, value: int, low: int, high: int | None = None) -> int:
    """Return an integer from ``low`` on, up to ``high``.

    :param name: for the message
    :raises ValueError: if it is none
    """
    if type(value) is not int or value < low or (high is not None and value > high):
        bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be an integer {bounds}, not {value!r}")
    return value
