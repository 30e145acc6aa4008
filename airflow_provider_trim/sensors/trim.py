# SPDX-License-Identifier: Apache-2.0
"""The sensor: waits until a trim has finished, in poke, reschedule or deferrable mode."""

from __future__ import annotations

import contextlib
import datetime
import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_trim.compat import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseOperator,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)
from airflow_provider_trim.links.trim import TrimVideoLink
from airflow_provider_trim.operators.waiting import OnFailure, TrimWaitingMixin, is_many, seconds
from airflow_provider_trim.sensors.from_trigger import check_finish, start_trigger_args

if TYPE_CHECKING:
    from airflow_provider_trim.compat import Context
    from airflow_provider_trim.hooks.trim import TrimApiHook
    from airflow_provider_trim.polling.many import Tally
    from airflow_provider_trim.vod.models import TrimTask

_TRIGGER_FAILED = "__fail__"
_TRIGGER_TIMED_OUT = "Trigger timeout"
"""Airflow's words to a resumed task whose trigger crashed or ran out of time (the same in 2.11 and 3.3)."""


class TrimTaskStatusSensor(TrimWaitingMixin, BaseSensorOperator):
    """Waits until a trim has finished, or several have.

    Its XCom ``return_value`` is ``videoInfo`` as the service sent it; of several, a list in the order asked.

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

    :param trans_no: under which the trim was submitted, at most 32 characters, or a list of such (templated)
    :param trim_conn_id: Airflow connection of type ``trim`` (templated)
    :param deferrable: wait in the triggerer and hold no worker; by default ``[operators] default_deferrable``
    :param poke_interval: least pause between two looks, in seconds or as timedelta; 10 s by default, since the quota
        of the account protects the service
    :param first_poll_after: seconds or timedelta before the first look, for a trim that can't be done yet
    :param max_consecutive_failures: looks in a row that may fail for a passing reason
    :param on_failure: of several trims, ``"fail"`` fails at the first that fails, naming all that have; ``"collect"``
        waits for all, then fails with a table of what failed; ``"ignore"`` leaves None in the place of a failed one
    :param start_from_trigger: begin to wait in the triggerer, without a worker; implies ``deferrable``. On Airflow 2
        arguments can't be templates then. Mapped tasks begin in a worker all the same
    :param finish_in_triggerer: end there too where the trim was successful, without a worker; implies ``deferrable``.
        There are no success callbacks, asset events and OpenLineage facets then
    :raises ValueError: ``on_failure`` is none of these, or what is asked for can't be done without a worker
    """

    template_fields: Sequence[str] = ("trans_no", "trim_conn_id")
    operator_extra_links = (TrimVideoLink(),)

    def __init__(
        self,
        *,
        trans_no: str | Sequence[str],
        trim_conn_id: str = "trim_default",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 10.0,
        first_poll_after: timedelta | float | None = None,
        max_consecutive_failures: int = 10,
        on_failure: OnFailure = "fail",
        start_from_trigger: bool = False,
        finish_in_triggerer: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.trans_no = trans_no
        self.trim_conn_id = trim_conn_id
        self.deferrable = deferrable or start_from_trigger or finish_in_triggerer
        self.first_poll_after = seconds(first_poll_after)
        self.max_consecutive_failures = None if self.silent_fail else max_consecutive_failures
        self.on_failure = on_failure
        self._check_on_failure()
        self.finish_in_triggerer = finish_in_triggerer
        if finish_in_triggerer:
            check_finish(self)
        self.start_from_trigger = start_from_trigger
        if start_from_trigger:
            self.start_trigger_args = start_trigger_args(self, self._trigger_arguments())
        self._began_at: float | None = None
        self._current_tally: Tally | None = None
        self._current_hook: TrimApiHook | None = None

    def execute(self, context: Context) -> Any:
        """Wait, in the mode that was asked for, and return ``videoInfo``."""
        if self.deferrable:
            with self._failures_as_skips():
                return self._execute_deferrable(context)
        self._began_at = time.time()
        try:
            return super().execute(context)
        except AirflowSensorTimeout:
            if self._current_tally is None or self._current_tally.over:
                raise
            # Airflow's own clock has run out, between two looks; it knows neither what they showed nor on_failure.
            self._current_tally.time_out()
            tasks = self._tasks(self.trans_no, self._current_tally.verdicts)
            return self._video_info(tasks, self.trans_no, context)
        finally:
            self._current_tally = None
            if self._current_hook is not None:
                self._current_hook.close()
                self._current_hook = None

    def poke(self, context: Context) -> PokeReturnValue | bool:
        """Look once at every trim whose look is due."""
        from airflow_provider_trim.polling.blocking import look_at_due

        if self._current_tally is None:
            self._current_tally = self._tally(
                self.trans_no, interval=self.poke_interval, timeout=self.timeout, started_at=self._started_at(context)
            )
        try:
            if self._current_hook is None:
                self._current_hook = self._hook()
                if self.reschedule:
                    # Nothing counts failed looks there, and a mistyped trim_conn_id is not to last until the timeout.
                    self._current_hook.check_exists()
            # A rescheduled sensor forgets what it has seen, so it does not look beyond the first trim that is not done.
            look_at_due(self._current_tally, self._current_hook, self.log, in_order=self.reschedule)
        except Exception:
            for _, watch in self._current_tally.open():
                watch.put_off(time.time())  # silent_fail has Airflow go on
            raise
        if not self._current_tally.over:
            return False
        tasks = self._tasks(self.trans_no, self._current_tally.verdicts)
        return PokeReturnValue(True, self._video_info(tasks, self.trans_no, context))

    def execute_complete(self, context: Context, event: Any = None, trans_no: Any = None) -> Any:
        """Go on in a worker when the triggerer's wait has ended."""
        with self._failures_as_skips():
            trans_no = self.trans_no if trans_no is None else trans_no
            return self._video_info(self._tasks_of_event(event, trans_no), trans_no, context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume: a deferral that ran out of time is a sensor's timeout, a crashed trigger no skip for ``soft_fail``.

        Airflow 3 makes such a skip of it, and Airflow 2.11 no timeout of the other.
        """
        if next_method != _TRIGGER_FAILED:
            return super().resume_execution(next_method, next_kwargs, context)
        with self._failures_as_skips():
            if (next_kwargs or {}).get("error") == _TRIGGER_TIMED_OUT:
                raise AirflowSensorTimeout("The deferral has run out of time")
            return BaseOperator.resume_execution(self, next_method, next_kwargs, context)

    def _execute_deferrable(self, context: Context) -> Any:
        tally = self._tally(self.trans_no, interval=self.poke_interval, timeout=self.timeout)
        tasks = self._tasks(self.trans_no, self._wait_deferred(tally, self.trans_no))
        return self._video_info(tasks, self.trans_no, context)

    def _trigger_arguments(self) -> dict[str, Any]:
        return {
            **super()._trigger_arguments(),
            "trans_no": self.trans_no,
            "poll_interval": self.poke_interval,
            "first_poll_after": self.first_poll_after,
            "exponential_backoff": self.exponential_backoff,
            "max_interval": seconds(self.max_wait),
            "finish": self.finish_in_triggerer,
        }

    def _video_info(self, tasks: list[TrimTask | None], trans_no: Any, context: Context) -> Any:
        self._describe_outlets(tasks, trans_no, context)
        infos = [task.video_info.raw if task and task.video_info else None for task in tasks]
        return infos if is_many(trans_no) else infos[0]

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
        """Return when the wait began, in Unix seconds; of a wait in reschedule mode, an earlier process may have."""
        started = self._first_start(context) if self.reschedule else None
        return started.timestamp() if started else self._began_at

    def _first_start(self, context: Context) -> datetime.datetime | None:
        ti: Any = context["ti"]
        if hasattr(ti, "get_first_reschedule_date"):
            date = ti.get_first_reschedule_date(context)
            return date if isinstance(date, datetime.datetime) else None
        # Airflow 2.11 knows no other way, and goes it itself in the class above.
        base: Any = importlib.import_module("airflow.sensors.base")
        date = base._orig_start_date(
            dag_id=ti.dag_id,
            task_id=ti.task_id,
            run_id=ti.run_id,
            map_index=ti.map_index,
            try_number=(ti.max_tries or 0) - (self.retries or 0) + 1,
        )
        return date if isinstance(date, datetime.datetime) else None

    def _get_next_poke_interval(self, started_at: Any, run_duration: Callable[[], float], poke_count: int) -> float:
        """Return the pause to the next look, which is at the timeout at the latest."""
        watches = [watch for _, watch in self._current_tally.open()] if self._current_tally else []
        # In reschedule mode only the first was looked at.
        looks = [watch.next_look for watch in (watches[:1] if self.reschedule else watches)]
        pause = min(looks, default=0.0) - time.time()
        if self.exponential_backoff:
            pause = max(pause, super()._get_next_poke_interval(started_at, run_duration, poke_count))
        return max(0.0, min(pause, self.timeout - run_duration()))
