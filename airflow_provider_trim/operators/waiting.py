# SPDX-License-Identifier: Apache-2.0
"""What the sensor and the operators share: from parameters to waits, and from verdicts to Airflow's words."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, overload

from airflow_provider_trim.compat import AirflowFailException, BaseOperator

if TYPE_CHECKING:
    from airflow_provider_trim.compat import Context
    from airflow_provider_trim.hooks.trim import TrimApiHook
    from airflow_provider_trim.polling.many import Tally, Verdicts
    from airflow_provider_trim.polling.watch import Watch
    from airflow_provider_trim.vod.models import TrimTask

DEFERRAL_TIMEOUT_MARGIN = 600.0
"""Seconds that Airflow's own limit of a deferral lies behind the trigger's deadline, which is the one that counts."""

OnFailure = Literal["fail", "collect", "ignore"]
"""What a failed trim among several does: end the wait for all, fail the task when all are done, or leave a None."""


@overload
def seconds(value: timedelta | float) -> float: ...
@overload
def seconds(value: None) -> None: ...
def seconds(value: timedelta | float | None) -> float | None:
    """Return a duration in seconds, as operators take them."""
    return value.total_seconds() if isinstance(value, timedelta) else value


def is_many(trans_no: object) -> bool:
    """Return whether an argument stands for several trims, each of which gives one element of the result."""
    return isinstance(trans_no, Iterable) and not isinstance(trans_no, str | bytes)


class TrimWaitingMixin(BaseOperator):
    """Waits for trims. Used beside Airflow's own base classes."""

    trim_conn_id: str
    first_poll_after: float | None
    max_consecutive_failures: int | None
    on_failure: OnFailure = "fail"
    _video_ids: Sequence[str] = ()
    """Of what came out, once the task has ended."""
    known_video_url: str | None = None
    """Where the task's link leads, as far as this process has come; None where it does not run the task."""
    deferrable: bool
    poll_interval: float
    timeout: float

    def _check_on_failure(self) -> None:
        if self.on_failure not in ("fail", "collect", "ignore"):
            raise ValueError(f"on_failure should be 'fail', 'collect' or 'ignore', not {self.on_failure!r}")

    def _hook(self, patience: float | None = None) -> TrimApiHook:
        from airflow_provider_trim.hooks.trim import TrimApiHook

        return TrimApiHook(self.trim_conn_id, patience=patience)

    def pre_execute(self, context: Any) -> None:
        """Do what Airflow does, and note that this process runs the task."""
        super().pre_execute(context)
        self.known_video_url = ""

    def _tally(self, trans_no: Any, *, interval: float, timeout: float, started_at: float | None = None) -> Tally:
        """Begin to wait.

        :param trans_no: one or several
        :param timeout: seconds from the beginning to the deadline
        :param started_at: Unix seconds when it began, if that was in another process
        :raises AirflowFailException: the service can't know such a transNo
        """
        from airflow_provider_trim.polling.many import Tally
        from airflow_provider_trim.polling.watch import Watch
        from airflow_provider_trim.vod.errors import TrimError
        from airflow_provider_trim.vod.protocol import check_trans_no

        now = time.time()
        try:
            trans_nos = [check_trans_no(name) for name in (trans_no if is_many(trans_no) else [trans_no])]
        except TrimError as error:
            raise AirflowFailException(str(error)) from error
        watches = [
            Watch(
                name,
                now=now,
                interval=interval,
                deadline=(now if started_at is None else started_at) + timeout,
                first_poll_after=self.first_poll_after,
                started_at=started_at,
                max_consecutive_failures=self.max_consecutive_failures,
            )
            for name in trans_nos
        ]
        return Tally(watches, stop_at_failure=self.on_failure == "fail")

    def _wait(self, trans_no: Any, **more: Any) -> list[TrimTask | None]:
        """Wait as an operator does: deferred, or holding the worker.

        :param more: arguments of the trigger
        """
        from airflow_provider_trim.polling.blocking import wait

        tally = self._tally(trans_no, interval=self.poll_interval, timeout=self.timeout)
        if self.deferrable:
            return self._tasks(trans_no, self._wait_deferred(tally, trans_no, **more))
        with self._hook() as hook:
            return self._tasks(trans_no, wait(tally, hook, self.log))

    def _wait_deferred(self, tally: Tally, trans_no: Any, **more: Any) -> Verdicts:
        """Return the verdicts if they are there at once; otherwise defer, which does not return."""
        from airflow_provider_trim.polling.blocking import look_at_due

        if not is_many(trans_no):  # looks at several would hold the worker for as long as the quota wants
            with self._hook() as hook:
                look_at_due(tally, hook, self.log)
        if not tally.over:
            self._defer(list(tally.watches), is_many(trans_no), more)
        return tally.verdicts

    def _trigger_arguments(self) -> dict[str, Any]:
        """Return those arguments of the trigger that are the same for every wait of this task."""
        return {
            "trim_conn_id": self.trim_conn_id,
            "max_consecutive_failures": self.max_consecutive_failures,
            "stop_at_failure": self.on_failure == "fail",
        }

    def _defer(self, watches: Sequence[Watch], many: bool, more: dict[str, Any]) -> None:
        """Give the worker back and go on in the triggerer; the wait's settings go with it."""
        from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger

        first = watches[0]
        arguments = {
            **self._trigger_arguments(),
            "trans_no": [watch.trans_no for watch in watches] if many else first.trans_no,
            "poll_interval": first.interval,
            "deadline": first.deadline,
            "first_poll_after": max(0.0, first.next_look - first.started_at),
            "started_at": first.started_at,
            **more,
        }
        trigger = TrimTaskStatusTrigger(**arguments)
        left = 0.0 if first.deadline is None else max(0.0, first.deadline - time.time())
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            kwargs={"trans_no": trigger.trans_no},
            timeout=timedelta(seconds=left + DEFERRAL_TIMEOUT_MARGIN),
        )

    def _tasks_of_event(self, event: Any, trans_no: Any) -> list[TrimTask | None]:
        """Read what the trigger tells, as :meth:`_tasks`."""
        from airflow_provider_trim.triggers.events import decode, decode_many

        if is_many(trans_no):
            return self._tasks(trans_no, decode_many(event, trans_no))
        return self._tasks(trans_no, [decode(event, trans_no)])

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return which video came out of which, for the OpenLineage provider."""
        from airflow_provider_trim.operators.lineage import lineage_of

        return lineage_of(self._source_video_ids(), self._video_ids)

    def _source_video_ids(self) -> list[str]:
        return []

    def _describe_outlets(self, tasks: list[TrimTask | None], trans_no: Any, context: Context) -> None:
        """Have the events of this task's asset outlets say which videos they are about, and link to the first."""
        from airflow_provider_trim.links.trim import URL_KEY, video_url

        videos: list[Any] = [
            {
                "video_id": task.video_info.video_id,
                "trans_no": name,
                "video_name": task.video_info.video_name,
                "duration": task.video_info.duration.total_seconds() if task.video_info.duration else None,
            }
            for name, task in zip(trans_no if is_many(trans_no) else [trans_no], tasks, strict=True)
            if task and task.video_info
        ]
        self._video_ids = [video["video_id"] for video in videos]
        for outlet in self.outlets:
            if videos and getattr(outlet, "uri", None):
                context["outlet_events"][outlet].extra = {"videos": videos} if is_many(trans_no) else videos[0]
        urls = [video_url(task.video_info) for task in tasks if task and task.video_info]
        if urls and urls[0]:
            self.known_video_url = urls[0]
            context["ti"].xcom_push(key=URL_KEY, value=urls[0])

    def _tasks(self, trans_no: Any, verdicts: Verdicts) -> list[TrimTask | None]:
        """Return the finished trims in the order asked, with None for those that ``on_failure`` ignores."""
        from airflow_provider_trim.triggers.verdicts import tasks_of

        return tasks_of(trans_no if is_many(trans_no) else [trans_no], verdicts, self.on_failure, self.log)

    def _push(self, tasks: list[TrimTask | None], trans_no: Any, context: Context) -> Any:
        """Push the ids of finished trims under keys of their own, and return ``videoInfo``."""
        ti = context["ti"]
        many = is_many(trans_no)
        infos = [task.video_info if task else None for task in tasks]
        columns = {
            "trans_no": list(trans_no) if many else [trans_no],
            "trim_task_id": [task.task_id if task else None for task in tasks],
            "video_id": [info.video_id if info else None for info in infos],
        }
        for key, values in columns.items():
            ti.xcom_push(key=key, value=values if many else values[0])
        self._describe_outlets(tasks, trans_no, context)
        raw = [info.raw if info else None for info in infos]
        return raw if many else raw[0]
