# SPDX-License-Identifier: Apache-2.0
"""One wait, run as Airflow runs it, in a given mode."""

from __future__ import annotations

import asyncio
import datetime
import importlib
import json
import time
from typing import Any

import pytest

from airflow_provider_trim.operators.idempotent_submit import task_trans_no
from airflow_provider_trim.operators.trim import TrimVideoInfoOperator, TrimVideoOperator
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from airflow_provider_trim.triggers.payload import decode_event
from airflow_provider_trim.vod.submission import TrimSubmission
from tests.support import running

try:
    from airflow.sdk.exceptions import AirflowRescheduleException, TaskDeferred
except ImportError:  # before Airflow 3.2
    from airflow.exceptions import AirflowRescheduleException, TaskDeferred

if not running.AIRFLOW_3:
    import airflow.sensors.base

    # Airflow 2.11 asks its database, which knows nothing of tasks that run without it.
    _of_the_database = airflow.sensors.base._orig_start_date

    def _first_rescheduled(dag_id: str, **key: Any) -> Any:
        latest = getattr(TaskInstance, "latest", None)
        if latest is not None and latest.dag_id == dag_id:
            return latest.first_rescheduled
        return _of_the_database(dag_id=dag_id, **key)

    airflow.sensors.base._orig_start_date = _first_rescheduled


class TaskInstance:
    """What a task sees of its task instance: which it is, where it pushes to, and when it was first rescheduled."""

    latest: TaskInstance

    def __init__(
        self, dag_id: str = "dag", task_id: str = "wait", run_id: str = "run", map_index: int = -1, try_number: int = 1
    ) -> None:
        self.dag_id = dag_id
        self.task_id = task_id
        self.run_id = run_id
        self.map_index = map_index
        self.try_number = try_number
        self.max_tries = 0
        TaskInstance.latest = self
        self.pushed: dict[str, Any] = {}
        self.first_rescheduled: Any = None

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value

    def get_first_reschedule_date(self, context: Any) -> Any:
        return self.first_rescheduled


class Wait:
    """A task under way: each step in objects of its own, as in processes of its own."""

    def __init__(self, operator: type, **arguments: Any) -> None:
        self.operator = operator
        self.arguments = {"task_id": "wait", **arguments}
        self.ti = TaskInstance()
        self.context: Any = {"ti": self.ti}
        self.reschedules: list[Any] = []
        self.deferrals: list[TaskDeferred] = []

    def run(self) -> Any:
        """Run to the end and return what ``return_value`` would be."""
        while True:
            try:
                return self.task().execute(self.context)
            except AirflowRescheduleException as rescheduled:
                self.ti.first_rescheduled = self.ti.first_rescheduled or datetime.datetime.now(datetime.UTC)
                self.reschedules.append(rescheduled.reschedule_date)
                # As Airflow's scheduler does.
                time.sleep(max(0.0, rescheduled.reschedule_date.timestamp() - time.time()))
            except TaskDeferred as deferred:
                self.deferrals.append(deferred)
                return self.resume(run_trigger(deferred.trigger), **(deferred.kwargs or {}))

    def task(self) -> Any:
        return self.operator(**self.arguments)

    def defer(self) -> TaskDeferred:
        """Run the first step, which defers."""
        with pytest.raises(TaskDeferred) as deferred:
            self.task().execute(self.context)
        return deferred.value

    def resume(self, event: Any, **kwargs: Any) -> Any:
        return self.task().resume_execution("execute_complete", {**kwargs, "event": event}, self.context)


LATER = 200.0
"""Seconds until a clip's first poll: no worker makes it, however slow it is; :func:`run_trigger` does not wait."""


def run_trigger(trigger: Any) -> Any:
    """Run a trigger in an event loop of its own, from its arguments as the database keeps them."""
    path, arguments = trigger.serialize()
    if (arguments["first_poll_after"] or 0.0) > LATER / 2:
        arguments["first_poll_after"] = 0.0
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))

    async def events() -> list[Any]:
        return [event.payload async for event in again.run()]

    (event,) = asyncio.run(events())
    return json.loads(json.dumps(event))


def verdicts_of(event: Any) -> list[Any]:
    """What a trigger's event says of each of its trims."""
    return decode_event(event)[1]


def sensor(mode: str, trans_no: Any = "T", **arguments: Any) -> Wait:
    how = {"deferrable": True} if mode == "deferrable" else {"mode": mode, "deferrable": False}
    return Wait(
        TrimTaskStatusSensor, **{"trans_no": trans_no, "poke_interval": 0.02, "timeout": 300, **how, **arguments}
    )


def operator(mode: str, trans_no: Any = "T", **arguments: Any) -> Wait:
    how = {"deferrable": mode == "deferrable"}
    return Wait(
        TrimVideoInfoOperator, **{"trans_no": trans_no, "poll_interval": 0.02, "timeout": 300, **how, **arguments}
    )


CLIP = {"video_id": "V1", "seek_start": "00:00:30", "duration": 12, "filename": "goal"}


def derived(ti: TaskInstance | None = None, attempt: int = 0, **clip: Any) -> str:
    """The transNo of a task instance that cuts this clip."""
    submission = TrimSubmission.parse(**{**CLIP, **clip}, trans_no="any")
    return task_trans_no(ti or TaskInstance(), submission.identity(), attempt)


def video(mode: str, ti: TaskInstance | None = None, **arguments: Any) -> Wait:
    """One try of a task that cuts a clip; ``ti`` says which try of which task instance it is."""
    first = LATER if mode == "deferrable" else 0.02
    how = {"deferrable": mode == "deferrable", "poll_interval": 0.02, "first_poll_after": first, "timeout": 300}
    wait = Wait(TrimVideoOperator, **{**CLIP, **how, **arguments})
    wait.ti = ti or wait.ti
    wait.context = {"ti": wait.ti}
    return wait


SENSOR_MODES = ("poke", "reschedule", "deferrable")
WAITS = [(sensor, mode) for mode in SENSOR_MODES] + [(operator, "poke"), (operator, "deferrable")]
WAIT_IDS = [f"{make.__name__}-{mode}" for make, mode in WAITS]


def in_waits(cases: dict[str, tuple[Any, ...]]) -> list[Any]:
    """Return cases, each followed by a wait: the first in every wait, the others in one, and elsewhere marked ``full``.

    How a response is read is the same for all; tests/airflow/test_fault_matrix.py has every fault.
    """
    first = next(iter(cases))
    return [
        pytest.param(
            *case,
            make,
            mode,
            id=f"{name}-{wait_id}",
            marks=() if name == first or (make, mode) == (sensor, "deferrable") else pytest.mark.full,
        )
        for name, case in cases.items()
        for (make, mode), wait_id in zip(WAITS, WAIT_IDS, strict=True)
    ]
