# SPDX-License-Identifier: Apache-2.0
"""What the sensor and the operators share: arguments in, a wait, its results out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_trim.compat import AirflowFailException, AirflowSensorTimeout, AirflowTaskTimeout, BaseOperator
from airflow_provider_trim.links.trim import URL_KEY, TrimVideoLink
from airflow_provider_trim.waiting import lazy
from airflow_provider_trim.waiting.lineage import lineage_of
from airflow_provider_trim.waiting.mapped import (
    checkable,
    checked_partial,
    mapped_arguments,
    reusable,
    with_default_args,
)
from airflow_provider_trim.waiting.options import (
    DEFERRAL_TIMEOUT_MARGIN,
    LIST_WITHOUT_KEYS,
    OnFailure,
    check_arguments,
    check_multiple_outputs,
    check_output,
)

if TYPE_CHECKING:
    from airflow_provider_trim.compat import Context
    from airflow_provider_trim.hooks.trim import TrimApiHook
    from airflow_provider_trim.polling.group import Verdicts, WaitGroup
    from airflow_provider_trim.polling.options import WaitOptions
    from airflow_provider_trim.waiting.protocols import RunningTaskInstance
    from airflow_provider_trim.waiting.results import TrimResults
    from airflow_provider_trim.waiting.trans_nos import TransNos

FIRST_POLL_FRACTION = 0.25
"""Part of the quota that first polls of deferrable waits, in their workers, may use up.

The triggerer plans the others: a thousand tasks that start at once must not leave it without calls for a whole window.
"""

TRIGGER_FAILED = "__fail__"
DEFERRAL_TIMED_OUT = "Deferral timed out: no triggerer has ended the wait in time; check that one is running"
TRIGGER_TIMED_OUT = "Trigger timeout"
"""Airflow's words to a resumed task whose trigger crashed or ran out of time (the same in 2.11 and 3.3)."""


class TrimWaitingMixin(BaseOperator):
    """Waits for trims. A mixin for Airflow's own base classes."""

    template_fields: Sequence[str] = ("trans_no", "trim_conn_id")
    operator_extra_links = (TrimVideoLink(),)

    trans_no: Any
    trim_conn_id: str
    deferrable: bool
    timeout: float
    first_poll_after: float | None
    max_consecutive_failures: int | None
    on_failure: OnFailure = "fail"
    _video_ids: Sequence[str] = ()
    """Of the videos that came out, once the task has ended."""
    _video_url: str | None = None
    """Where the task's link leads, as far as this process has come; None where it does not run the task."""

    def pre_execute(self, context: Any) -> None:
        """Do what Airflow does, and note that this process runs the task."""
        super().pre_execute(context)
        self._video_url = ""

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return which video came out of which, for the OpenLineage provider."""
        return lineage_of(self._source_video_ids(), self._video_ids)

    def _source_video_ids(self) -> Sequence[str]:
        return ()

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Return what is to be mapped; its arguments are checked when the DAG is read, as unmapped ones are.

        :raises ValueError: one is wrong, by its name, or can't be combined with another
        """
        arguments = reusable(with_default_args(cls, kwargs))
        partial = checked_partial(super().partial(**arguments), kwargs, cls._check_mapped)
        try:
            cls._check_mapped(checkable(cls, mapped_arguments(cls, partial)))
        except ValueError:
            partial._expand_called = True  # Airflow would warn that it never was
            raise
        return partial

    @classmethod
    def _check_mapped(cls, arguments: Mapping[str, Any]) -> None:
        """Check what is known of a task that is to be mapped."""
        check_arguments(arguments)
        cls._check_values(arguments)

    @classmethod
    def _check_values(cls, arguments: Mapping[str, Any]) -> None:
        """Check what templates don't change, however the task is made."""
        check_multiple_outputs(arguments)
        for name in arguments.keys() & set(cls.template_fields):
            check_output(name, arguments[name])

    def _check_own_values(self) -> None:
        names = (*self.template_fields, "multiple_outputs", "wait_for_completion")
        self._check_values({name: getattr(self, name) for name in names if hasattr(self, name)})

    def _hook(self, quota_timeout: float | None = None, quota_fraction: float = 1.0) -> TrimApiHook:
        """Return a hook.

        :raises AirflowFailException: ``trim_conn_id`` was rendered to nothing, or to no text
        """
        return lazy.TrimApiHook(self._connection_id(), quota_timeout=quota_timeout, quota_fraction=quota_fraction)

    def _connection_id(self) -> str:
        try:
            return lazy.connection_id(self.trim_conn_id)
        except lazy.TrimParameterError as error:
            raise AirflowFailException(str(error)) from error

    def _parse_trans_nos(self, trans_no: object) -> TransNos:
        """Read one transNo or several.

        :raises AirflowFailException: the service can't know such a transNo, or there are several and the task can't
            have that
        """
        try:
            trans_nos = lazy.TransNos.parse(trans_no)
        except lazy.TrimError as error:
            raise AirflowFailException(str(error)) from error
        self._check_shape(trans_nos)
        return trans_nos

    def _check_shape(self, trans_nos: TransNos) -> None:
        """Refuse a list that is known only now, as :func:`~.options.check_multiple_outputs` does when a DAG is read."""
        if trans_nos.is_list and self.multiple_outputs:
            raise AirflowFailException(LIST_WITHOUT_KEYS)

    def _wait_options(self, interval: float, started_at: float | None = None) -> WaitOptions:
        """Return how to wait, from now or from when the wait began in another process.

        :param interval: seconds
        :param started_at: Unix seconds
        """
        return lazy.WaitOptions(
            interval=interval,
            deadline=(time.time() if started_at is None else started_at) + self._time_limit(),
            first_poll_after=self.first_poll_after,
            started_at=started_at,
            max_consecutive_failures=self.max_consecutive_failures,
        )

    def _wait(self, trans_nos: TransNos, options: WaitOptions, **trigger_kwargs: Any) -> TrimResults:
        """Wait as an operator does: deferred, which does not return, or holding the worker.

        :param trigger_kwargs: arguments of the trigger, other than the wait's options
        """
        group = lazy.WaitGroup.begin(trans_nos, options, stop_at_failure=self.on_failure == "fail")
        if not self.deferrable:
            with self._hook() as hook:
                return self._results(trans_nos, lazy.SyncPoller(hook, self.log, metrics=hook.metrics).wait(group))
        if not trans_nos.is_list:  # to poll several would hold the worker for as long as the quota wants
            with self._hook(quota_fraction=FIRST_POLL_FRACTION) as hook:
                lazy.SyncPoller(hook, self.log, metrics=hook.metrics, optional=True).poll_due(group)
        if not group.finished:
            self._defer(group, trans_nos, options, **trigger_kwargs)
        return self._results(trans_nos, group.verdicts)

    def _defer(self, group: WaitGroup, trans_nos: TransNos, options: WaitOptions, **trigger_kwargs: Any) -> None:
        """Go on with a wait in the triggerer, whose first poll is when the next one is due here; does not return."""
        first = group.states[0]
        trigger = lazy.TrimTaskStatusTrigger(
            trans_nos.argument,
            self._connection_id(),
            poll_interval=options.interval,
            deadline=options.deadline,
            first_poll_after=max(0.0, first.next_poll_at - first.started_at),
            max_consecutive_failures=options.max_consecutive_failures,
            started_at=first.started_at + time.time() - time.monotonic(),
            exponential_backoff=options.exponential_backoff,
            max_interval=options.max_interval,
            stop_at_failure=self.on_failure == "fail",
            expects_callback=options.expects_callback,
            **trigger_kwargs,
        )
        left = 0.0 if options.deadline is None else max(0.0, options.deadline - time.time())
        # A triggerer that was not restarted after an upgrade sends events that don't say what they are about.
        kwargs = {"trans_no": trans_nos.argument}
        limit = timedelta(seconds=left + DEFERRAL_TIMEOUT_MARGIN)
        self.defer(trigger=trigger, method_name="execute_complete", kwargs=kwargs, timeout=limit)

    def _time_limit(self) -> float:
        """Return the seconds for the whole wait: ``timeout``, or ``execution_timeout`` where that is shorter.

        Airflow does not count ``execution_timeout`` while a task is deferred (3.3.2), or between two processes of it.
        """
        own = self.execution_timeout
        return self.timeout if own is None else min(self.timeout, own.total_seconds())

    def _timeout_error(self, text: str) -> AirflowSensorTimeout | AirflowTaskTimeout:
        """Return what a wait without result raises at its deadline; Airflow retries the latter only."""
        limit = self._time_limit()
        if limit < self.timeout:
            return AirflowTaskTimeout(f"{text} (execution_timeout: {limit:g} s)")
        return AirflowSensorTimeout(f"{text} (timeout: {limit:g} s)")

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after a deferral; one that Airflow itself has ended is a timeout like any other."""
        if next_method == TRIGGER_FAILED and (next_kwargs or {}).get("error") == TRIGGER_TIMED_OUT:
            raise self._timeout_error(DEFERRAL_TIMED_OUT)
        return super().resume_execution(next_method, next_kwargs, context)

    def _results(self, trans_nos: TransNos, verdicts: Verdicts) -> TrimResults:
        """Return the finished trims, or raise what failed ones mean to Airflow."""
        try:
            tasks = lazy.unwrap_verdicts(trans_nos, verdicts, self.on_failure, self.log)
        except AirflowSensorTimeout as error:
            raise self._timeout_error(str(error)) from error.__cause__
        return lazy.TrimResults(trans_nos, tasks)

    def _results_from_event(self, event: Any, deferred: object) -> TrimResults:
        """Read a trigger's event, otherwise as :meth:`_results`.

        :param deferred: the transNos with which this task was deferred; None where it began in the triggerer
        """
        try:
            trans_nos, verdicts = lazy.decode_event(event, deferred=deferred, argument=self.trans_no)
        except (lazy.TransNoEmptyError, lazy.TransNoIllegalError, lazy.TrimParameterError) as error:
            raise AirflowFailException(str(error)) from error
        self._check_shape(trans_nos)  # the triggerer may have rendered them
        return self._results(trans_nos, verdicts)

    def _publish(self, results: TrimResults, context: Context) -> None:
        """Have asset events, the link and OpenLineage say which videos came out."""
        self._video_ids = results.video_ids()
        self._annotate_outlets(results.asset_extra(), context)
        if url := results.url():
            self._video_url = url
            self._xcom_push({URL_KEY: url}, context)

    def _xcom_push(self, values: Mapping[str, Any], context: Context) -> None:
        """Push values under keys of their own, unless the task is to push nothing."""
        ti: RunningTaskInstance = context["ti"]
        for key, value in values.items() if self.do_xcom_push else ():
            ti.xcom_push(key=key, value=value)

    def _annotate_outlets(self, extra: dict[str, Any], context: Context) -> None:
        """Have asset events carry ``extra``; what the DAG's author has put there (in ``pre_execute``, say) stays."""
        for outlet in self.outlets if extra else ():
            # Not an alias, which has no event of its own, nor an entity of Airflow 2's lineage.
            if getattr(outlet, "uri", None) or type(outlet).__name__ == "AssetNameRef":
                accessor = context["outlet_events"][outlet]
                accessor.extra = {**extra, **accessor.extra}

    def execute_complete(self, context: Context, event: Any = None, trans_no: Any = None) -> Any:
        """Go on in a worker when the triggerer's wait has ended."""
        return self._push(self._results_from_event(event, trans_no), context)

    def _push(self, results: TrimResults, context: Context) -> Any:
        """Push the ids of finished trims under keys of their own, and return ``videoInfo``."""
        self._xcom_push(results.ids(), context)
        self._publish(results, context)
        return results.video_info()
