# SPDX-License-Identifier: Apache-2.0
"""Waits that begin in the triggerer, or end there: their trigger's arguments, and checks at import.

Facts about Airflow are those of 3.3.2 and 2.11.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_trim.sensors.triggerer_templates import ARE_RENDERED, INSTEAD, TriggererTemplates
from airflow_provider_trim.waiting.options import DEFERRAL_TIMEOUT_MARGIN

if TYPE_CHECKING:
    from airflow.triggers.base import StartTriggerArgs

    from airflow_provider_trim.compat import BaseSensorOperator

_TRIGGER = "airflow_provider_trim.triggers.trim.TrimTaskStatusTrigger"
_RENDERED = ("trans_no", "trim_conn_id")
"""Arguments that the triggerer renders; a subclass may have other template fields, which it does not."""
_NO_LAST_WORKER = ("outlets", "on_success_callback", "multiple_outputs")
_LAST_METHODS = ("post_execute", "execute_complete")
_LIMITS = ("max_active_tis_per_dag", "max_active_tis_per_dagrun")


class StartTriggerArgsWhenRead:
    """What Airflow makes the trigger from, of the sensor as it is when Airflow asks.

    A DAG file, or a cluster policy, may change a task after it was made. Of the class it is None: Airflow would give it
    to all mapped tasks.
    """

    def __get__(self, sensor: Any, _: type) -> StartTriggerArgs | None:
        if sensor is None or not sensor.start_from_trigger or is_mapped_instance(sensor):
            return None
        return start_trigger_args(sensor)


def is_mapped_instance(sensor: BaseSensorOperator) -> bool:
    """Return whether it is one of a mapped task's, which begin in a worker whatever they ask for."""
    return bool(getattr(sensor, "_BaseOperator__from_mapped", False))


def start_trigger_args(sensor: Any) -> StartTriggerArgs:
    """Return what Airflow's scheduler makes the trigger from, without a worker.

    :param sensor: a :class:`~airflow_provider_trim.sensors.trim.TrimTaskStatusSensor`
    :raises ValueError: the triggerer could not know an argument's value, or ignores a limit
    """
    from airflow.triggers.base import StartTriggerArgs

    templates = TriggererTemplates(sensor)
    for name in _RENDERED:
        for value in _flatten(getattr(sensor, name)):
            if why := _unsupported_reason(value, templates):
                raise ValueError(f"{name} of a wait that starts in the triggerer {why}")
    for name in _ignored_limits(sensor):
        raise ValueError(
            f"{name} cannot be combined with start_from_trigger: Airflow starts such a wait whatever the limit. "
            f"Remove {name}, or {INSTEAD}"
        )
    timeout, limit = sensor.timeout, timedelta(seconds=sensor.timeout + DEFERRAL_TIMEOUT_MARGIN)
    if sensor.execution_timeout is not None:
        # Airflow ends the deferral then by itself; whichever comes first, it ends the same.
        timeout, limit = min(timeout, sensor.execution_timeout.total_seconds()), min(limit, sensor.execution_timeout)
    # When the wait begins is not known yet; the trigger finds it from when Airflow is to end the deferral.
    arguments = {
        **{name: getattr(sensor, name) for name in (*_RENDERED, "first_poll_after", "max_consecutive_failures")},
        **sensor._backoff(),
        "poll_interval": sensor.poke_interval,
        "stop_at_failure": sensor.on_failure == "fail",
        "finish": sensor._finishes_in_triggerer(),
        "timeout": timeout,
        "deferral_timeout": limit.total_seconds(),
    }
    return StartTriggerArgs(_TRIGGER, "execute_complete", arguments, None, limit)


def check_end_from_trigger(arguments: Mapping[str, Any]) -> None:
    """Check that no argument asks for what only a worker does at the end of a task.

    :param arguments: of the sensor, by their names; and by those of its methods, whether they are an author's own
    :raises ValueError: one does
    """
    for name in (*_NO_LAST_WORKER, *_LAST_METHODS):
        if arguments.get(name):
            raise ValueError(_conflict(name, "finish_in_triggerer", "at the end of the task"))
    if arguments.get("do_xcom_push") is False:
        raise ValueError(_conflict("do_xcom_push=False", "finish_in_triggerer", "at the end of the task"))


def check_without_workers(sensor: BaseSensorOperator, overridden: Set[str], *, starts: bool, finishes: bool) -> None:
    """Check a sensor of which no worker runs the beginning, or the end, or either, as :func:`check_end_from_trigger`.

    :param overridden: methods of its class that are an author's own
    :raises ValueError: it asks for what only a worker does
    """
    if finishes:
        arguments: dict[str, Any] = {name: getattr(sensor, name, None) for name in (*_NO_LAST_WORKER, "do_xcom_push")}
        own = {name: name in overridden for name in _LAST_METHODS}
        check_end_from_trigger({**arguments, **own, "post_execute": own["post_execute"] or sensor._post_execute_hook})
    if starts and finishes:
        both = "start_from_trigger and finish_in_triggerer"
        if "pre_execute" in overridden or sensor._pre_execute_hook is not None:
            raise ValueError(_conflict("pre_execute", both, "at all"))
        if sensor.on_execute_callback:
            raise ValueError(_conflict("on_execute_callback", both, "at all"))
    if starts and "execute" in overridden:
        raise ValueError(_conflict("execute", "start_from_trigger", "at the beginning of the task"))


def _conflict(name: str, other: str, when: str) -> str:
    return f"{name} cannot be combined with {other}: no worker runs {when}. Remove one of them"


def _ignored_limits(sensor: BaseSensorOperator) -> Iterator[str]:
    if sensor.pool not in (None, "default_pool"):
        yield "pool"
    yield from (name for name in _LIMITS if getattr(sensor, name, None) is not None)


def _flatten(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for part in value:
            yield from _flatten(part)
    else:
        yield value


def _unsupported_reason(value: Any, templates: TriggererTemplates) -> str:
    """Say why the triggerer can't know a value, and what to write instead."""
    from airflow_provider_trim.compat import XComArg

    if isinstance(value, XComArg):
        task_id = getattr(getattr(value, "operator", None), "task_id", "upstream")
        text = f"xcom_pull(task_ids={task_id!r}, map_indexes=-1)"
        instead = f'write "{{{{ ti.{text} }}}}" and {task_id} >> this task' if ARE_RENDERED else INSTEAD
        return f"cannot be another task's output: XComArgs are not resolved in the triggerer; {instead}"
    if isinstance(value, str):
        return templates.unsupported_reason(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return ""
    return f"must be a string or a list of strings, not {type(value).__name__}; {INSTEAD}"
