# SPDX-License-Identifier: Apache-2.0
"""An operator's arguments, checked when the DAG is read: a wrong one must not be found after a trim was paid for."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterator, Mapping, Set
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

DEFERRAL_TIMEOUT_MARGIN = 600.0
"""Seconds that Airflow's own limit of a deferral lies behind the trigger's deadline, which is the one that counts."""

MAX_SECONDS = 10 * 365 * 86400.0
"""Ten years: more is a slip, and far beyond it no date can be computed."""

OnFailure = Literal["fail", "collect", "ignore"]
"""What a failed trim among several does: end the wait for all, fail the task when all are done, or leave a None."""


def to_seconds(name: str, value: object) -> float:
    """Return a duration in seconds.

    :param name: the argument's name, for the message
    :param value: seconds as any finite number, or a ``timedelta``
    :raises ValueError: it is neither, or negative, or more than :data:`MAX_SECONDS`
    """
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool):
        seconds = float(value)
    else:
        raise ValueError(f"{name} must be a number of seconds or a timedelta, not {value!r}")
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"{name} must be between 0 and {MAX_SECONDS:.0f} seconds, not {value!r}")
    return seconds


def to_optional_seconds(name: str, value: object) -> float | None:
    """Return a duration in seconds, or None for None; otherwise as :func:`to_seconds`."""
    return None if value is None else to_seconds(name, value)


def to_flag(name: str, value: object) -> bool:
    """Return a switch: a text such as "false", or a template, would count as True.

    :param name: the argument's name, for the message
    :raises ValueError: it is neither True nor False
    """
    if isinstance(value, bool | int) and value in (0, 1):
        return bool(value)
    raise ValueError(f"{name} must be True or False, not {value!r}; it can't be a template")


def to_failure_limit(value: object) -> int | None:
    """Return ``max_consecutive_failures``.

    :raises ValueError: it is neither None nor an integer of at least 1
    """
    if value is None:
        return None
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(
            f"max_consecutive_failures must be an integer of at least 1, or None for no limit, not {value!r}"
        )
    return int(value)


def to_on_failure(value: object) -> OnFailure:
    """Return what to do about a failed trim.

    :raises ValueError: it is none of the three
    """
    match value:
        case "fail" | "collect" | "ignore":
            return value
    raise ValueError(f"on_failure must be 'fail', 'collect' or 'ignore', not {value!r}")


_CHECKS: dict[str, Callable[[str, Any], object]] = {
    **dict.fromkeys(("deferrable", "wait_for_completion", "reuse_finished", "use_callback"), to_flag),
    **dict.fromkeys(("start_from_trigger", "finish_in_triggerer"), to_flag),
    **dict.fromkeys(("poke_interval", "poll_interval"), to_seconds),
    **dict.fromkeys(("timeout", "first_poll_after", "max_wait"), to_optional_seconds),
    "max_consecutive_failures": lambda _, value: to_failure_limit(value),
    "on_failure": lambda _, value: to_on_failure(value),
}
"""By argument, what checks it."""


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Check those arguments of an operator that are not templated.

    :raises ValueError: one is wrong, by its name
    """
    for name in arguments.keys() & _CHECKS.keys():
        _CHECKS[name](name, arguments[name])


def to_reusable(trans_no: Any) -> Any:
    """Return an argument that can be read more than once, and in the same order each time."""
    if isinstance(trans_no, Set):
        return sorted(trans_no, key=str)
    return list(trans_no) if isinstance(trans_no, Iterator) else trans_no
