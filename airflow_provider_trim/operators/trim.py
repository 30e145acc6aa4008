# SPDX-License-Identifier: Apache-2.0
"""The operators: what came out of a trim, for the tasks downstream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_trim.operators.waiting import TrimWaitingMixin, seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_trim.polling.watch import Verdict


class TrimVideoInfoOperator(TrimWaitingMixin):
    """Pushes ``videoInfo`` of a trim to XCom, after waiting for the trim if need be.

    ``return_value`` is ``videoInfo`` as the service sent it; ``trans_no``, ``trim_task_id`` and ``video_id`` are pushed
    under those keys. What an answer means is the same as for
    :class:`~airflow_provider_trim.sensors.trim.TrimTaskStatusSensor`.

    :param trans_no: the transNo under which the trim was submitted, at most 32 characters (templated)
    :param trim_conn_id: Airflow connection of type ``trim`` (templated)
    :param wait_for_completion: wait for the trim; without it, an unfinished trim is an error
    :param deferrable: wait in the triggerer and hold no worker; by default ``[operators] default_deferrable``
    :param poll_interval: least pause between two looks, in seconds or as timedelta
    :param first_poll_after: seconds or timedelta before the first look, for a trim that can't be done yet
    :param timeout: seconds or timedelta for the whole wait; by default ``[sensors] default_timeout``
    :param max_consecutive_failures: looks in a row that may fail for a passing reason
    """

    template_fields: Sequence[str] = ("trans_no", "trim_conn_id")
    ui_color = "#e6f1f2"

    def __init__(
        self,
        *,
        trans_no: str,
        trim_conn_id: str = "trim_default",
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: timedelta | float = 10.0,
        first_poll_after: timedelta | float | None = None,
        timeout: timedelta | float | None = None,
        max_consecutive_failures: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.trans_no = trans_no
        self.trim_conn_id = trim_conn_id
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = seconds(poll_interval)
        self.first_poll_after = seconds(first_poll_after)
        self.timeout = conf.getfloat("sensors", "default_timeout") if timeout is None else seconds(timeout)
        self.max_consecutive_failures = max_consecutive_failures

    def execute(self, context: Context) -> Any:
        """Return ``videoInfo``, now or when the trim is done."""
        from airflow_provider_trim.polling.blocking import wait
        from airflow_provider_trim.polling.watch import LookAgain

        if not self.wait_for_completion:
            return self._push(self._now(), context)
        watch = self._watch(interval=self.poll_interval, timeout=self.timeout)
        if not self.deferrable:
            with self._hook() as hook:
                return self._push(wait(watch, hook, self.log), context)
        decision = self._first_look(watch)
        if decision is not None and not isinstance(decision, LookAgain):
            return self._push(decision, context)
        self._defer_until_done(watch)

    def execute_complete(self, context: Context, event: Any = None) -> Any:
        """Go on in a worker when the triggerer's wait has ended."""
        return self._push(self._verdict_of(event), context)

    def _now(self) -> Verdict:
        from airflow_provider_trim.polling.watch import Failure, Success
        from airflow_provider_trim.vod.errors import TrimError, VideoProcessingError
        from airflow_provider_trim.vod.models import TrimStatus

        with self._hook() as hook:
            try:
                task = hook.get_task(self.trans_no)
            except TrimError as error:
                return Failure(error, worth_retrying=error.retryable)
        if task.status is TrimStatus.SUCCESSFUL:
            return Success(task)
        unfinished = VideoProcessingError(
            f"trim {self.trans_no} is not done yet; leave wait_for_completion on to wait for it",
            request_id=task.request_id,
        )
        return Failure(unfinished, worth_retrying=True)

    def _push(self, verdict: Verdict, context: Context) -> dict[str, Any] | None:
        task = self._finished(verdict)
        info = task.video_info
        ti = context["ti"]
        ti.xcom_push(key="trans_no", value=self.trans_no)
        ti.xcom_push(key="trim_task_id", value=task.task_id)
        ti.xcom_push(key="video_id", value=info.video_id if info else None)
        return info.raw if info else None
