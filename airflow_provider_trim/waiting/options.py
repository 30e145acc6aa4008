# SPDX-License-Identifier: Apache-2.0
"""The numbers of a wait, as operators take them."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, overload

DEFERRAL_TIMEOUT_MARGIN = 600.0
"""Seconds that Airflow's own limit of a deferral lies behind the trigger's deadline, which is the one that counts."""

OnFailure = Literal["fail", "collect", "ignore"]
"""What a failed trim among several does: end the wait for all, fail the task when all are done, or leave a None."""


@overload
def to_seconds(value: timedelta | float) -> float: ...
@overload
def to_seconds(value: None) -> None: ...
def to_seconds(value: timedelta | float | None) -> float | None:
    """Return a duration in seconds, as operators take them."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def check_on_failure(value: str) -> OnFailure:
    """Return what to do about a failed trim.

    :raises ValueError: it is none of the three
    """
    if value not in ("fail", "collect", "ignore"):
        raise ValueError(f"on_failure must be 'fail', 'collect' or 'ignore', not {value!r}")
    return value  # type: ignore[return-value]  # narrowed above, which mypy does not see
