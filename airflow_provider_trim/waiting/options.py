# SPDX-License-Identifier: Apache-2.0
"""An operator's arguments, checked when the DAG is read: a wrong one must not be found after a trim was paid for."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Mapping, MappingView, Set
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from airflow_provider_trim.compat import conf

DEFERRAL_TIMEOUT_MARGIN = 600.0
"""Seconds that Airflow's own limit of a deferral lies behind the trigger's deadline, which is the one that counts."""

MAX_SECONDS = 10 * 365 * 86400.0
"""Ten years: more is a slip, and far beyond it no date can be computed."""

MAX_FAILURES = 2**31 - 1
"""What every store of a trigger's arguments can hold."""

TEXTS = (str, bytes, bytearray, memoryview)
"""What can be iterated over and is one value all the same."""

OnFailure = Literal["fail", "collect", "ignore"]
"""What a failed trim among several does: end the wait for all, fail the task when all are done, or leave a None."""


def shown(value: object) -> str:
    """Return a value for a message: one short line, whatever it is."""
    from airflow_provider_trim.vod.redaction import truncate

    try:
        text = repr(value)
    except Exception:  # of any class; or an integer of more digits than Python writes
        text = f"a value of type {type(value).__name__}"
    return truncate(text)


def _given(value: object) -> str:
    """Return what was given instead, and what to write for what is known only when the task runs."""
    if hasattr(value, "resolve"):
        return "what is known only when the task runs; write a value, or map it with expand()"
    return f"{shown(value)}; it can't be a template" if isinstance(value, str) and "{" in value else shown(value)


def to_seconds(name: str, value: object) -> float:
    """Return a duration in seconds.

    :param name: the argument's name, for the message
    :param value: seconds as any finite number, or a ``timedelta``
    :raises ValueError: it is neither, or negative, or more than :data:`MAX_SECONDS`
    """
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool):
        try:
            seconds = float(value)
        except (OverflowError, ValueError):  # beyond all floats, or a signaling NaN
            seconds = math.nan
    else:
        raise ValueError(f"{name} must be a number of seconds or a timedelta, not {_given(value)}")
    if not 0 <= seconds <= MAX_SECONDS:
        raise ValueError(f"{name} must be between 0 and {MAX_SECONDS:.0f} seconds, not {shown(value)}")
    return seconds


def to_optional_seconds(name: str, value: object) -> float | None:
    """Return a duration in seconds, or None for None; otherwise as :func:`to_seconds`."""
    return None if value is None else to_seconds(name, value)


def to_timeout(value: object) -> float:
    """Return the seconds for a whole wait; None is ``[sensors] default_timeout``. Otherwise as :func:`to_seconds`."""
    return to_seconds("timeout", conf.getfloat("sensors", "default_timeout") if value is None else value)


def to_flag(name: str, value: object) -> bool:
    """Return a switch: a text such as "false", or a template, would count as True.

    :param name: the argument's name, for the message
    :raises ValueError: it is neither True nor False
    """
    if isinstance(value, bool | int) and value in (0, 1):
        return bool(value)
    given = _given(value) if hasattr(value, "resolve") else f"{shown(value)}; it can't be a template"
    raise ValueError(f"{name} must be True or False, not {given}")


def to_failure_limit(value: object) -> int | None:
    """Return ``max_consecutive_failures``.

    :raises ValueError: it is neither None nor an integer from 1 to :data:`MAX_FAILURES`
    """
    if value is None:
        return None
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or not 1 <= int(value) <= MAX_FAILURES:
        raise ValueError(
            f"max_consecutive_failures must be an integer of at least 1, or None for no limit, not {_given(value)}"
        )
    return int(value)


def to_on_failure(value: object) -> OnFailure:
    """Return what to do about a failed trim.

    :raises ValueError: it is none of the three
    """
    match value:
        case "fail" | "collect" | "ignore":
            return value
    raise ValueError(f"on_failure must be 'fail', 'collect' or 'ignore', not {shown(value)}")


def check_execution_timeout(_: str, value: object) -> None:
    """Check Airflow's own limit of a mapped task, which Airflow checks when the task runs.

    :raises ValueError: it is neither None nor a ``timedelta``
    """
    if not (value is None or isinstance(value, timedelta)):
        raise ValueError(f"execution_timeout must be a timedelta, not {_given(value)}")


def check_output(name: str, value: object) -> None:
    """Refuse a task, or a function that makes one, in the place of what it returns: its text would be a value.

    :param name: the argument's name, for the message
    :raises ValueError: it is that, or a list that has one
    """
    for part in value if isinstance(value, list | tuple) else (value,):
        if hasattr(part, "task_id") and hasattr(part, "output"):
            raise ValueError(f"{name} must be what the task {part.task_id!r} returns, not the task; write its .output")
        if callable(part) and hasattr(part, "operator_class"):
            raise ValueError(f"{name} must be what a @task function returns, not the function; call it")


LIST_WITHOUT_KEYS = "multiple_outputs cannot be combined with a list of transNos: the result is a list. Remove it"


def check_multiple_outputs(arguments: Mapping[str, Any]) -> None:
    """Check that what is to be split into XComs by its keys has keys; Airflow finds out when the trim is done.

    :raises ValueError: it is known to have none
    """
    if not arguments.get("multiple_outputs"):
        return
    if isinstance(arguments.get("trans_no"), list | tuple | Set):
        raise ValueError(LIST_WITHOUT_KEYS)
    if "video_id" in arguments and not arguments.get("wait_for_completion", True):
        raise ValueError(
            "multiple_outputs cannot be combined with wait_for_completion=False: the result is the transNo. Remove it"
        )


def check_sensor_flag(name: str, value: object) -> None:
    """Check a switch of Airflow's sensors, for which None is False; otherwise as :func:`to_flag`."""
    if value is not None:
        to_flag(name, value)


SENSOR_FLAGS = ("soft_fail", "never_fail", "silent_fail", "exponential_backoff")
"""Switches of Airflow's sensors, which Airflow does not check."""

_CHECKS: dict[str, Callable[[str, Any], object]] = {
    **dict.fromkeys(("deferrable", "wait_for_completion", "reuse_finished", "use_callback"), to_flag),
    **dict.fromkeys(("start_from_trigger", "finish_in_triggerer"), to_flag),
    **dict.fromkeys(SENSOR_FLAGS, check_sensor_flag),
    **dict.fromkeys(("poke_interval", "poll_interval"), to_seconds),
    **dict.fromkeys(("timeout", "first_poll_after", "max_wait"), to_optional_seconds),
    "max_consecutive_failures": lambda _, value: to_failure_limit(value),
    "execution_timeout": check_execution_timeout,
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
    """Return an argument that can be read more than once, in the same order each time: a collection as a list.

    Only in lists, tuples, sets and dicts does Airflow find other tasks' outputs and templates (2.11.2, 3.3.2).
    """
    if isinstance(trans_no, Set) and not isinstance(trans_no, MappingView):
        return sorted(trans_no, key=str)
    if isinstance(trans_no, (list, tuple, Mapping, *TEXTS)) or not isinstance(trans_no, Iterable):
        return trans_no
    # Other tasks' outputs have an __iter__, which raises an error; and Airflow calls what can be called.
    return trans_no if hasattr(trans_no, "resolve") or callable(trans_no) else list(trans_no)
