# SPDX-License-Identifier: Apache-2.0
"""Waits that begin in the triggerer, or end there: what Airflow is told, and what can't work, said at import.

Facts about Airflow are those of 3.3.2 and 2.11.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_trim.sensors.airflow2 import AIRFLOW_2
from airflow_provider_trim.waiting.options import DEFERRAL_TIMEOUT_MARGIN

if TYPE_CHECKING:
    from airflow.triggers.base import StartTriggerArgs

    from airflow_provider_trim.compat import BaseSensorOperator

_TRIGGER = "airflow_provider_trim.triggers.trim.TrimTaskStatusTrigger"


def start_trigger_args(sensor: BaseSensorOperator, arguments: dict[str, Any]) -> StartTriggerArgs:
    """Return what Airflow's scheduler makes the trigger from, without a worker.

    :param arguments: of the trigger, other than those that say when the wait ends
    :raises ValueError: the triggerer could not know an argument's value
    """
    from airflow.triggers.base import StartTriggerArgs

    for name in sensor.template_fields:
        for value in _flatten(getattr(sensor, name)):
            if why := _unsupported_reason(value):
                raise ValueError(f"{name} of a wait that starts in the triggerer {why}")
    timeout, limit = sensor.timeout, timedelta(seconds=sensor.timeout + DEFERRAL_TIMEOUT_MARGIN)
    if sensor.execution_timeout is not None:
        # Airflow ends the deferral then by itself; whichever comes first, it ends the same.
        timeout, limit = min(timeout, sensor.execution_timeout.total_seconds()), min(limit, sensor.execution_timeout)
    # When the wait begins is not known yet; the trigger finds it from when Airflow is to end the deferral.
    when = {"timeout": timeout, "deferral_timeout": limit.total_seconds()}
    return StartTriggerArgs(_TRIGGER, "execute_complete", {**arguments, **when}, None, limit)


def check_end_from_trigger(sensor: BaseSensorOperator) -> None:
    """Check that nothing has been asked for that only a worker does at the end of a task.

    :raises ValueError: something has been
    """
    for name in ("outlets", "on_success_callback"):
        if getattr(sensor, name):
            raise ValueError(
                f"{name} can't be had together with finish_in_triggerer, since no worker ends the task: "
                f"leave out one of them (start_from_trigger alone still saves the first worker)"
            )
    if not sensor.do_xcom_push:
        raise ValueError(
            "do_xcom_push=False can't be had together with finish_in_triggerer, which is for handing on videoInfo: "
            "leave out one of them (start_from_trigger alone still saves the first worker)"
        )


def _flatten(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple | set):
        for part in value:
            yield from _flatten(part)
    else:
        yield value


def _unsupported_reason(value: Any) -> str:
    """Say why the triggerer can't know a value, and what to write instead."""
    from airflow_provider_trim.compat import XComArg

    if isinstance(value, XComArg):
        task_id = getattr(getattr(value, "operator", None), "task_id", "upstream")
        text = f"xcom_pull(task_ids={task_id!r}, map_indexes=-1)"
        why = "can't be another task's output, which arrives as a reference there; write "
        return f'{why}"{{{{ ti.{text} }}}}" and {task_id} >> this task' if not AIRFLOW_2 else f"{why}{_ON_AIRFLOW_2}"
    if not isinstance(value, str):
        return ""
    if AIRFLOW_2 and ("{{" in value or "{%" in value):
        return f"can't be a template on Airflow 2, which does not render it; write {_ON_AIRFLOW_2}"
    if "xcom_pull" in value and "map_indexes" not in value:
        return "hangs at an xcom_pull without map_indexes; write xcom_pull(task_ids=…, map_indexes=-1)"
    return ""


_ON_AIRFLOW_2 = "deferrable=True instead of start_from_trigger=True"
