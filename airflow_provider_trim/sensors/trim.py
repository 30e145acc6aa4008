# SPDX-License-Identifier: Apache-2.0
"""The sensor: waits until a trim has finished, in poke, reschedule or deferrable mode."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseOperator,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_trim.operators.waiting import TrimWaitingMixin, seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_trim.hooks.trim import TrimApiHook
    from airflow_provider_trim.polling.watch import Watch

_TRIGGER_FAILED = "__fail__"
_TRIGGER_TIMED_OUT = "Trigger timeout"
"""Airflow's words to a resumed task whose trigger crashed or ran out of time (the same in 2.11 and 3.3)."""


class TrimTaskStatusSensor(TrimWaitingMixin, BaseSensorOperator):
    """Waits until a trim has finished; its XCom ``return_value`` is ``videoInfo`` as the service sent it.

    ====================================================== ==========================================================
    answer of the service                                  verdict
    ====================================================== ==========================================================
    status 1, or code 1560                                 keep waiting
    status 2                                               success
    status 3; codes 1601, 1602, 1603; an unknown status    fail at once, no retries; ``soft_fail`` makes it a skip
    or code
    credentials refused                                    look the connection up afresh once, then fail at once
    HTTP 429                                               keep waiting, slower; counts as no failure
    no answer, HTTP 5xx, not the documented shape          keep waiting; fail at the ``max_consecutive_failures``-th
                                                           in a row, retries apply
    ``timeout`` reached                                    one last look, then ``AirflowSensorTimeout``
    ====================================================== ==========================================================

    In reschedule mode every look has a process of its own, so failures in a row are not counted across looks; the
    ``timeout`` bounds them. Killing the task does not cancel the trim: the service has no such call.

    :param trans_no: the transNo under which the trim was submitted, at most 32 characters (templated)
    :param trim_conn_id: Airflow connection of type ``trim`` (templated)
    :param deferrable: wait in the triggerer and hold no worker; by default ``[operators] default_deferrable``
    :param poke_interval: least pause between two looks, in seconds or as timedelta; 10 s by default, since the quota
        of the account protects the service
    :param first_poll_after: seconds or timedelta before the first look, for a trim that can't be done yet
    :param max_consecutive_failures: looks in a row that may fail for a passing reason
    """

    template_fields: Sequence[str] = ("trans_no", "trim_conn_id")

    def __init__(
        self,
        *,
        trans_no: str,
        trim_conn_id: str = "trim_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 10.0,
        first_poll_after: timedelta | float | None = None,
        max_consecutive_failures: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.trans_no = trans_no
        self.trim_conn_id = trim_conn_id
        self.deferrable = deferrable
        self.first_poll_after = seconds(first_poll_after)
        self.max_consecutive_failures = None if self.silent_fail else max_consecutive_failures
        self._current_watch: Watch | None = None
        self._current_hook: TrimApiHook | None = None

    def execute(self, context: Context) -> Any:
        """Wait, in the mode that was asked for, and return ``videoInfo``."""
        if self.deferrable:
            with self._failures_as_skips():
                return self._execute_deferrable()
        try:
            return super().execute(context)
        finally:
            self._current_watch = None
            if self._current_hook is not None:
                self._current_hook.close()
                self._current_hook = None

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Look once."""
        from airflow_provider_trim.polling.blocking import look
        from airflow_provider_trim.polling.watch import LookAgain

        if self._current_watch is None:
            self._current_watch = self._watch(
                interval=self.poke_interval, timeout=self.timeout, started_at=self._started_at(context)
            )
        if self._current_hook is None:
            self._current_hook = self._hook()
        if self._current_watch.next_look > time.time():
            return False
        decision = look(self._current_watch, self._current_hook, self.log)
        if isinstance(decision, LookAgain):
            return False
        return PokeReturnValue(True, self._video_info(decision))

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Go on in a worker when the triggerer's wait has ended."""
        with self._failures_as_skips():
            return self._video_info(self._verdict_of(event))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume, without Airflow's turning a crashed trigger into a skip under ``soft_fail``."""
        crashed = next_method == _TRIGGER_FAILED and (next_kwargs or {}).get("error") != _TRIGGER_TIMED_OUT
        if crashed and not self.never_fail:
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)
        return super().resume_execution(next_method, next_kwargs, context)

    def _execute_deferrable(self) -> Any:
        from airflow_provider_trim.polling.watch import LookAgain

        watch = self._watch(interval=self.poke_interval, timeout=self.timeout)
        decision = self._first_look(watch)
        if decision is not None and not isinstance(decision, LookAgain):
            return self._video_info(decision)
        self._defer_until_done(watch, exponential_backoff=self.exponential_backoff, max_interval=seconds(self.max_wait))

    def _video_info(self, verdict: Any) -> dict[str, Any] | None:
        info = self._finished(verdict).video_info
        return info.raw if info else None

    @contextlib.contextmanager
    def _failures_as_skips(self) -> Iterator[None]:
        """Apply ``soft_fail`` and ``never_fail`` as Airflow's own loop does around :meth:`poke`."""
        try:
            yield
        except (AirflowSensorTimeout, AirflowFailException) as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped, as soft_fail or never_fail asks for: {error}") from error
            raise
        except Exception as error:
            if self.never_fail:
                raise AirflowSkipException(f"Skipped, as never_fail asks for: {error}") from error
            raise

    def _started_at(self, context: Context) -> float | None:
        """Return when a wait in reschedule mode began, in Unix seconds; its processes know nothing of each other."""
        if not self.reschedule:
            return None
        started: datetime.datetime | None = context["ti"].get_first_reschedule_date(context)
        return started.timestamp() if started else None

    def _get_next_poke_interval(self, started_at: Any, run_duration: Callable[[], float], poke_count: int) -> float:
        """Return the pause to the next look, which is at the timeout at the latest."""
        pause = 0.0 if self._current_watch is None else self._current_watch.next_look - time.time()
        if self.exponential_backoff:
            pause = max(pause, super()._get_next_poke_interval(started_at, run_duration, poke_count))
        return max(0.0, min(pause, self.timeout - run_duration()))
