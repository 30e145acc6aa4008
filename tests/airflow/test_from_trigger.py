# SPDX-License-Identifier: Apache-2.0
"""Waits without workers: what can't work is said when the DAG is read, and times don't move with the triggerer."""

from __future__ import annotations

import datetime
import time
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG, Asset, BaseOperator, task

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.operators.waiting import DEFERRAL_TIMEOUT_MARGIN
from airflow_provider_trim.polling.watch import Success
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from airflow_provider_trim.triggers.events import decode, decode_many
from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger
from tests.support.running import AIRFLOW_3
from tests.support.waits import run_trigger

on_airflow_3 = pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2.11 renders no templates in the triggerer")
on_airflow_2 = pytest.mark.skipif(AIRFLOW_3, reason="Airflow 3 renders templates in the triggerer")


def sensor(**arguments: Any) -> TrimTaskStatusSensor:
    return TrimTaskStatusSensor(**{"task_id": "wait", "trans_no": "T", "start_from_trigger": True, **arguments})


@on_airflow_3
@pytest.mark.parametrize("trans_no", ["{{ ti.xcom_pull(task_ids='up') }}", ["T", "{{ ti.xcom_pull('up') }}"]])
def test_a_pull_that_would_hang(trans_no: Any) -> None:
    with pytest.raises(ValueError, match=r"^trans_no .* write xcom_pull\(task_ids=…, map_indexes=-1\)$"):
        sensor(trans_no=trans_no)
    assert sensor(trans_no="{{ ti.xcom_pull('up', map_indexes=-1) }}").deferrable


@on_airflow_2
def test_a_template_that_would_not_be_rendered() -> None:
    with pytest.raises(ValueError, match=r"write deferrable=True instead of start_from_trigger=True$"):
        sensor(trans_no="{{ params.trans_no }}")


def test_another_tasks_output() -> None:
    @task
    def up() -> str:
        return "T"

    instead = r"map_indexes=-1\)" if AIRFLOW_3 else "deferrable=True"
    with DAG("output", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")):
        output = up()
        with pytest.raises(ValueError, match=rf"^trans_no .* can't be another task's output, .*{instead}"):
            sensor(trans_no=output)
        with pytest.raises(ValueError, match=r"^trans_no"):
            sensor(task_id="another", trans_no=["T", output])


@pytest.mark.parametrize(
    "asked_for", [{"outlets": [Asset("trim://clips")]}, {"on_success_callback": print}, {"do_xcom_push": False}]
)
def test_what_only_a_worker_does_at_the_end(asked_for: dict[str, Any]) -> None:
    (name,) = asked_for
    with pytest.raises(ValueError, match=rf"^{name}(=False)? can't be had together with finish_in_triggerer"):
        sensor(finish_in_triggerer=True, **asked_for)
    assert sensor(**asked_for).start_trigger_args


def test_a_result_that_only_a_worker_may_push_is_left_to_one(
    trim_default: TrimEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its length would go with it, and Airflow refuses more than ``max_map_length``, mapped over or not."""
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2")
    trans_nos = ["a", "b", "c"]
    for trans_no in trans_nos:
        trim_default.add_trim(trans_no, seconds=0)
    event = run_trigger(TrimTaskStatusTrigger(trans_nos, finish=True))
    assert [type(verdict) for verdict in decode_many(event, trans_nos)] == [Success] * 3


def test_mapped_tasks_begin_in_a_worker() -> None:
    """Airflow hands all of them the class's arguments, and does so silently."""
    assert TrimTaskStatusSensor.start_trigger_args is None
    assert not TrimTaskStatusSensor.start_from_trigger


def test_the_name_that_breaks_dags_with_listeners_is_not_used() -> None:
    """OpenLineage refuses DAGs with a task whose ``end_from_trigger`` is true (Airflow 3.3.2)."""
    assert not hasattr(sensor(finish_in_triggerer=True), "end_from_trigger")


@pytest.mark.parametrize("execution_timeout", [None, datetime.timedelta(seconds=100)])
def test_when_the_wait_began(execution_timeout: datetime.timedelta | None) -> None:
    """By Airflow's own limit of the deferral, whatever triggerer asks and whenever."""
    arguments = sensor(timeout=3600, execution_timeout=execution_timeout).start_trigger_args
    assert arguments is not None
    assert arguments.timeout == (execution_timeout or datetime.timedelta(seconds=3600 + DEFERRAL_TIMEOUT_MARGIN))
    trigger: Any = TrimTaskStatusTrigger(**(arguments.trigger_kwargs or {}))
    began = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
    trigger.timeout_after = began + arguments.timeout
    assert trigger._when_started() == began.timestamp()
    trigger.timeout_after = trigger.timeout_after.replace(tzinfo=None)
    assert trigger._when_started() == began.timestamp()


async def test_the_timeout_of_a_wait_that_began_long_ago(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("T", seconds=3600)
    arguments = sensor(timeout=60).start_trigger_args
    assert arguments is not None
    trigger: Any = TrimTaskStatusTrigger(**(arguments.trigger_kwargs or {}))
    trigger.timeout_after = datetime.datetime.fromtimestamp(time.time() - 100, datetime.UTC) + arguments.timeout
    (event,) = [event async for event in trigger.run()]
    assert type(decode(event.payload, "T")).__name__ == "TimedOut"
    assert trim_default.call_count == 1


@pytest.mark.parametrize("trans_no", [None, "", 7, "x" * 33])
async def test_a_template_that_renders_to_nonsense(trim_default: TrimEmulator, trans_no: Any) -> None:
    trigger = TrimTaskStatusTrigger(trans_no, timeout=60, deferral_timeout=660)
    (event,) = [event async for event in trigger.run()]
    assert type(decode(event.payload, str(trans_no))).__name__ == "Failure"
    assert trim_default.call_count == 0


def test_it_is_an_operator_like_any_other() -> None:
    assert isinstance(sensor(), BaseOperator)
    assert not sensor(start_from_trigger=False).start_from_trigger
