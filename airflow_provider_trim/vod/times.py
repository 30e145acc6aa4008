# SPDX-License-Identifier: Apache-2.0
"""Times within a video, as people and Python write them."""

from __future__ import annotations

import contextlib
import math
import numbers
import re
from datetime import timedelta
from decimal import Decimal

MAX_SECONDS = 1e9
"""Times within a video are shorter."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_CLOCK_TIME = re.compile(
    r"(?:(?P<days>\d{1,6}) days?, (?=\d{1,2}:\d\d:))?"
    r"(?:(?P<hours>\d{1,6}):)?(?P<minutes>\d{1,4}):(?P<seconds>\d{1,2}(?:\.\d+)?)",
    re.ASCII,
)
"""Of a ``timedelta``, :func:`str` writes the days as well."""


def as_seconds(value: object) -> float:
    """Return a time within a video in seconds, rounded to microseconds.

    A text is read as the value of which it is the :func:`str`, since templates make texts of all values.

    :param value: seconds as a number or its text, a ``timedelta`` (a pendulum duration is one) or its text, such as
        "1 day, 1:00:00", or "HH:MM:SS", "MM:SS", either with a fraction
    :raises ValueError: it is none of these, or negative, or :data:`MAX_SECONDS` or more
    """
    seconds = math.nan
    with contextlib.suppress(OverflowError, ValueError):
        if isinstance(value, timedelta):
            seconds = value.total_seconds()
        elif isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool):
            seconds = float(value)
        elif isinstance(value, str):
            seconds = _parse(value.strip())
    if not (seconds >= 0 and (rounded := round(seconds, 6)) < MAX_SECONDS):
        raise ValueError("must be seconds, a timedelta or 'HH:MM:SS' (or 'MM:SS'), 0 or more")
    return rounded + 0.0  # 0 of -0.0


def _parse(text: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    if match := _CLOCK_TIME.fullmatch(text):
        days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
        is_clock = seconds < 60 and (match["hours"] is None or minutes < 60) and (match["days"] is None or hours < 24)
        if is_clock:
            return ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return math.nan
