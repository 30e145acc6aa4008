# SPDX-License-Identifier: Apache-2.0
"""What the sensor and the operators share: from parameters to a wait, and from its verdict to Airflow's words."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, overload

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, BaseOperator

if TYPE_CHECKING:
    from airflow_provider_trim.hooks.trim import TrimApiHook
    from airflow_provider_trim.polling.watch import Decision, Verdict, Watch
    from airflow_provider_trim.vod.models import TrimTask

DEFERRAL_TIMEOUT_MARGIN = 600.0
"""Seconds that Airflow's own limit of a deferral lies behind the trigger's deadline, which is the one that counts."""


@overload
def seconds(value: timedelta | float) -> float: ...
@overload
def seconds(value: None) -> None: ...
def seconds(value: timedelta | float | None) -> float | None:
    """Return a duration in seconds, as operators take them."""
    return value.total_seconds() if isinstance(value, timedelta) else value


class TrimWaitingMixin(BaseOperator):
    """Waits for the trim ``trans_no``. Used beside Airflow's own base classes."""

    trans_no: str
    trim_conn_id: str
    first_poll_after: float | None
    max_consecutive_failures: int | None

    def _hook(self) -> TrimApiHook:
        from airflow_provider_trim.hooks.trim import TrimApiHook

        return TrimApiHook(self.trim_conn_id)

    def _watch(self, *, interval: float, timeout: float, started_at: float | None = None) -> Watch:
        """Begin a wait.

        :param timeout: seconds from its beginning to its deadline
        :param started_at: Unix seconds when it began, if that was in another process
        :raises AirflowFailException: the service can't know such a transNo
        """
        from airflow_provider_trim.polling.watch import Watch
        from airflow_provider_trim.vod.errors import TrimError
        from airflow_provider_trim.vod.protocol import check_trans_no

        now = time.time()
        try:
            trans_no = check_trans_no(self.trans_no)
        except TrimError as error:
            raise AirflowFailException(str(error)) from error
        return Watch(
            trans_no,
            now=now,
            interval=interval,
            deadline=(now if started_at is None else started_at) + timeout,
            first_poll_after=self.first_poll_after,
            started_at=started_at,
            max_consecutive_failures=self.max_consecutive_failures,
        )

    def _first_look(self, watch: Watch) -> Decision | None:
        """Look once, unless the trim can't be done yet: what is done already needs no deferral."""
        from airflow_provider_trim.polling.blocking import look

        if watch.next_look > time.time():
            return None
        with self._hook() as hook:
            return look(watch, hook, self.log)

    def _defer_until_done(self, watch: Watch, **backoff: Any) -> None:
        """Give the worker back and go on in the triggerer; the wait's settings go with it."""
        from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger

        trigger = TrimTaskStatusTrigger(
            trans_no=watch.trans_no,
            trim_conn_id=self.trim_conn_id,
            poll_interval=watch.interval,
            deadline=watch.deadline,
            first_poll_after=max(0.0, watch.next_look - watch.started_at),
            max_consecutive_failures=self.max_consecutive_failures,
            started_at=watch.started_at,
            **backoff,
        )
        left = 0.0 if watch.deadline is None else max(0.0, watch.deadline - time.time())
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            timeout=timedelta(seconds=left + DEFERRAL_TIMEOUT_MARGIN),
        )

    def _verdict_of(self, event: Any) -> Verdict:
        from airflow_provider_trim.triggers.events import decode

        return decode(event, self.trans_no)

    def _finished(self, verdict: Verdict) -> TrimTask:
        """Return the finished trim, or raise what the verdict means to Airflow.

        What a retry can't mend is an :class:`AirflowFailException`. What it can is the :class:`TrimError` itself,
        since ``soft_fail`` would turn any ``AirflowException`` of a resumed task into a skip.
        """
        from airflow_provider_trim.polling.watch import Failure, Success

        match verdict:
            case Success(task):
                self.log.info("Trim %s is done: %s", self.trans_no, _summary(task))
                return task
            case Failure(error, worth_retrying):
                if worth_retrying:
                    raise error
                raise AirflowFailException(f"trim {self.trans_no}: {error}") from error
        reason = f"; the last look failed: {verdict.last_error}" if verdict.last_error else ""
        raise AirflowSensorTimeout(f"trim {self.trans_no} was not done when the timeout was reached{reason}")


def _summary(task: TrimTask) -> str:
    info = task.video_info
    if info is None:
        return "no videoInfo"
    size = "unknown size" if info.video_size is None else f"{info.video_size / 1e6:.1f} MB"
    length = "unknown duration" if info.duration is None else f"{info.duration.total_seconds():.0f} s"
    return f"video {info.video_id} {info.video_name!r}, {length}, {len(info.video_resolutions)} renditions, {size}"
