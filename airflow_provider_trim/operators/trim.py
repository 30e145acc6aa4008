# SPDX-License-Identifier: Apache-2.0
"""The operators: start trims, wait for them, and hand on what came out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_trim.operators.waiting import OnFailure, TrimWaitingMixin, is_many, seconds

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_trim.polling.many import Verdicts
    from airflow_provider_trim.polling.watch import Verdict
    from airflow_provider_trim.vod.models import TrimTask


class TrimVideoInfoOperator(TrimWaitingMixin):
    """Pushes ``videoInfo`` of a trim, or of several, to XCom, after waiting for them if need be.

    ``return_value`` is ``videoInfo`` as the service sent it; ``trans_no``, ``trim_task_id`` and ``video_id`` are pushed
    under those keys. Of several trims, each of the four is a list in the order asked. What an answer means is the same
    as for :class:`~airflow_provider_trim.sensors.trim.TrimTaskStatusSensor`.

    :param trans_no: under which the trim was submitted, at most 32 characters, or a list of such (templated)
    :param trim_conn_id: Airflow connection of type ``trim`` (templated)
    :param wait_for_completion: wait for the trim; without it, an unfinished trim is an error
    :param deferrable: wait in the triggerer and hold no worker; by default ``[operators] default_deferrable``
    :param poll_interval: least pause between two looks at one trim, in seconds or as timedelta
    :param first_poll_after: seconds or timedelta before the first look, for a trim that can't be done yet
    :param timeout: seconds or timedelta for the whole wait; by default ``[sensors] default_timeout``
    :param max_consecutive_failures: looks in a row that may fail for a passing reason
    :param on_failure: of several trims, ``"fail"`` fails at the first that fails, naming all that have; ``"collect"``
        waits for all, then fails with a table of what failed; ``"ignore"`` leaves None in the place of a failed one
    """

    template_fields: Sequence[str] = ("trans_no", "trim_conn_id")
    ui_color = "#e6f1f2"

    def __init__(
        self,
        *,
        trans_no: str | Sequence[str],
        trim_conn_id: str = "trim_default",
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: timedelta | float = 10.0,
        first_poll_after: timedelta | float | None = None,
        timeout: timedelta | float | None = None,
        max_consecutive_failures: int = 10,
        on_failure: OnFailure = "fail",
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
        self.on_failure = on_failure
        self._check_on_failure()

    def execute(self, context: Context) -> Any:
        """Return ``videoInfo``, now or when the trim is done."""
        if self.wait_for_completion:
            return self._push(self._wait(self.trans_no), context)
        trans_nos: Any = self.trans_no if is_many(self.trans_no) else [self.trans_no]
        verdicts: Verdicts = [self._now(trans_no) for trans_no in trans_nos]
        return self._push(self._tasks(self.trans_no, verdicts), context)

    def execute_complete(self, context: Context, event: Any = None, trans_no: Any = None) -> Any:
        """Go on in a worker when the triggerer's wait has ended."""
        return self._push(self._tasks_of_event(event, self.trans_no if trans_no is None else trans_no), context)

    def _now(self, trans_no: str) -> Verdict:
        from airflow_provider_trim.polling.watch import Failure, Success
        from airflow_provider_trim.vod.errors import TrimError, VideoProcessingError
        from airflow_provider_trim.vod.models import TrimStatus

        with self._hook() as hook:
            try:
                task = hook.get_task(trans_no)
            except TrimError as error:
                return Failure(error, worth_retrying=error.retryable)
        if task.status is TrimStatus.SUCCESSFUL:
            return Success(task)
        unfinished = VideoProcessingError(
            f"trim {trans_no} is not done yet; leave wait_for_completion on to wait for it", request_id=task.request_id
        )
        return Failure(unfinished, worth_retrying=True)

    def _push(self, tasks: list[TrimTask | None], context: Context) -> Any:
        ti = context["ti"]
        many = is_many(self.trans_no)
        infos = [task.video_info if task else None for task in tasks]
        columns = {
            "trans_no": list(self.trans_no) if many else [self.trans_no],
            "trim_task_id": [task.task_id if task else None for task in tasks],
            "video_id": [info.video_id if info else None for info in infos],
        }
        for key, values in columns.items():
            ti.xcom_push(key=key, value=values if many else values[0])
        raw = [info.raw if info else None for info in infos]
        return raw if many else raw[0]
