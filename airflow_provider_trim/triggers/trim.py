# SPDX-License-Identifier: Apache-2.0
"""The trigger: a wait for trims in the triggerer."""

from __future__ import annotations

import contextlib
import inspect
import numbers
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.triggers.kinds import kind_of
from airflow_provider_trim.vod.times import MAX_SECONDS as MAX_CLIP_SECONDS
from airflow_provider_trim.waiting.options import (
    DEFERRAL_TIMEOUT_MARGIN,
    MAX_SECONDS,
    to_failure_limit,
    to_flag,
    to_optional_seconds,
    to_seconds,
)

MAX_UNIX_SECONDS = 10**11
"""In the year 5138; today's time in milliseconds is greater."""


class TriggerArgumentError(ValueError, TypeError):
    """A trigger's argument has a wrong value.

    It is a TypeError because that is the only error of a trigger's constructor that a triggerer survives
    (``create_triggers`` in Airflow's ``triggerer_job_runner.py``), should it come from a stored trigger.
    """


def _unix_seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, numbers.Real | Decimal) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError, ValueError):
            if 0 <= (seconds := float(value)) <= MAX_UNIX_SECONDS:
                return seconds
    instead = "; write its .timestamp()" if isinstance(value, datetime) else ""
    raise ValueError(f"{name} must be Unix seconds, from 0 to {MAX_UNIX_SECONDS}, not {value!r}{instead}")


def _long_seconds(name: str, value: Any, longest: float) -> float | None:
    """Return a duration that may be longer than those that an author writes, or None for None."""
    if isinstance(value, int | float) and MAX_SECONDS < value <= longest:
        return float(value)
    return to_optional_seconds(name, value)


def _conn_id(value: Any) -> str:
    """Return a connection's id, or the template of one, which Airflow renders before the wait begins."""
    if isinstance(value, str) or type(value) is int:
        return str(value)
    raise ValueError(f"trim_conn_id must be the id of a connection, such as 'trim_default', not {value!r}")


class TrimTaskStatusTrigger(BaseTrigger):
    """Waits until a trim has finished, or several have, and yields one event.

    All waits of a connection in a triggerer share one poller. A triggerer that takes over from a killed one begins
    again from these arguments, so times that must not move are absolute.

    What the event holds is private. The sensor and the operators read it in their ``execute_complete``; an operator of
    your own that defers to this trigger queries the trims again afterwards, with
    :meth:`~airflow_provider_trim.hooks.trim.TrimApiHook.get_task`.

    :param trans_no: the transNo under which the trim was submitted, or a list of them
    :param trim_conn_id: Airflow connection of type ``trim``
    :param poll_interval: minimum time between two polls of one trim, in seconds or as timedelta
    :param deadline: Unix seconds of the last poll, or None to wait without limit
    :param first_poll_after: seconds or timedelta from ``started_at`` before which the trim is not polled, or None
    :param max_consecutive_failures: polls in a row that may fail; None for any number
    :param started_at: Unix seconds when the wait began; by default when it first runs
    :param exponential_backoff: double the interval with every poll
    :param max_interval: seconds; where the doubling ends, or None
    :param stop_at_failure: of several trims, the first that ends without success ends the wait for all
    :param timeout: seconds from the beginning of the wait to its deadline, for a wait whose ``deadline`` is not given,
        because no worker knows when it begins
    :param deferral_timeout: seconds after which Airflow itself ends the deferral; shows when such a wait began
    :param finish: end the task in the triggerer where all trims were successful; otherwise a worker does it
    :param expects_callback: whether the service calls this triggerer when a trim is finished, so that it is polled less
        often
    :param clip_seconds: how long the clip is that the trim makes, or None where that is not known
    :raises TriggerArgumentError: an argument other than ``trans_no`` is of another type, or out of range; the message
        names it. What ``trans_no`` and templates are is known when the wait begins, and an event tells
    """

    # Longer than other functions: each argument takes a line.
    def __init__(
        self,
        trans_no: str | list[str],
        trim_conn_id: str = "trim_default",
        poll_interval: timedelta | float = 10.0,
        deadline: float | None = None,
        first_poll_after: timedelta | float | None = None,
        max_consecutive_failures: int | None = 10,
        started_at: float | None = None,
        exponential_backoff: bool = False,
        max_interval: float | None = None,
        stop_at_failure: bool = True,
        timeout: float | None = None,
        deferral_timeout: float | None = None,
        finish: bool = False,
        expects_callback: bool = False,
        clip_seconds: float | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own is not annotated
        self.trans_no = trans_no
        try:
            self.trim_conn_id = _conn_id(trim_conn_id)
            self.poll_interval = to_seconds("poll_interval", poll_interval)
            self.deadline = _unix_seconds("deadline", deadline)
            self.first_poll_after = to_optional_seconds("first_poll_after", first_poll_after)
            self.started_at = _unix_seconds("started_at", started_at)
            self.max_interval = to_optional_seconds("max_interval", max_interval)
            self.timeout = to_optional_seconds("timeout", timeout)
            longest = MAX_SECONDS + DEFERRAL_TIMEOUT_MARGIN
            self.deferral_timeout = _long_seconds("deferral_timeout", deferral_timeout, longest)
            self.clip_seconds = _long_seconds("clip_seconds", clip_seconds, MAX_CLIP_SECONDS)
            self.max_consecutive_failures = to_failure_limit(max_consecutive_failures)
            # Airflow's sensors take None for False.
            doubles = False if exponential_backoff is None else exponential_backoff
            self.exponential_backoff = to_flag("exponential_backoff", doubles)
            self.stop_at_failure = to_flag("stop_at_failure", stop_at_failure)
            self.finish = to_flag("finish", finish)
            self.expects_callback = to_flag("expects_callback", expects_callback)
        except ValueError as error:
            raise TriggerArgumentError(str(error)) from None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class's path and its arguments, which are plain JSON values without secrets."""
        names = inspect.signature(TrimTaskStatusTrigger).parameters
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait for the trims' verdicts and yield them, in one event."""
        from airflow_provider_trim.triggers.run import TriggerRun  # so that a worker that defers does not load it

        run = TriggerRun(
            trans_no=self.trans_no,
            trim_conn_id=self.trim_conn_id,
            options=self._wait_options(),
            stop_at_failure=self.stop_at_failure,
            finish=self.finish,
            task_instance=self.task_instance,
            log=self.log,
        )
        yield await run.event()

    def _wait_options(self) -> WaitOptions:
        started_at, deadline = self._effective_start(), self.deadline
        if deadline is None and self.timeout is not None:
            deadline = (time.time() if started_at is None else started_at) + self.timeout
        return WaitOptions(
            interval=self.poll_interval,
            deadline=deadline,
            first_poll_after=self.first_poll_after,
            started_at=started_at,
            max_consecutive_failures=self.max_consecutive_failures,
            exponential_backoff=self.exponential_backoff,
            max_interval=self.max_interval,
            expects_callback=self.expects_callback,
            kind=kind_of(self.task_instance, self.clip_seconds),
        )

    def _effective_start(self) -> float | None:
        """Return when the wait began, in Unix seconds, or None for now; a triggerer may have been killed since then."""
        ends_at = getattr(self, "timeout_after", None) or getattr(self.task_instance, "trigger_timeout", None)
        if self.started_at is not None or self.deferral_timeout is None or ends_at is None:
            return self.started_at
        aware = ends_at if ends_at.tzinfo else ends_at.replace(tzinfo=UTC)
        return float(aware.timestamp()) - self.deferral_timeout
