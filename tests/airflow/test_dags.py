# SPDX-License-Identifier: Apache-2.0
"""The main rows of the verdict table, templates and mapping, through dag.test()."""

from __future__ import annotations

import math
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_trim.emulator import ServiceCode, TrimEmulator
from airflow_provider_trim.operators.trim import TrimVideoInfoOperator
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from tests.support.emulators import set_connection

START = pendulum.datetime(2026, 1, 1, tz="UTC")
MODES = {"poke": {"mode": "poke"}, "reschedule": {"mode": "reschedule"}, "deferrable": {"deferrable": True}}


def states(run: Any) -> dict[str, str]:
    return {ti.task_id: str(ti.state) for ti in run.get_task_instances()}


@pytest.mark.parametrize("mode", MODES)
def test_all_outcomes_in_one_dag(trim_default: TrimEmulator, run_dag: Any, xcom: Any, mode: str) -> None:
    """Success, failure without retries, soft_fail, timeout and passing failures, in one DAG."""
    trim_default.add_trim("good", seconds=0.2)
    trim_default.add_trim("bad", seconds=0, outcome="fail")
    trim_default.add_trim("slow", seconds=math.inf)
    with DAG(dag_id=f"rows_{mode}", schedule=None, start_date=START) as dag:
        for task_id, arguments in {
            "good": {},
            "bad": {"retries": 5},
            "missing": {"soft_fail": True},
            "slow": {"timeout": 0.3, "retries": 5},
        }.items():
            defaults = {"trans_no": task_id, "poke_interval": 0.05, "timeout": 600, **MODES[mode]}
            TrimTaskStatusSensor(task_id=task_id, **{**defaults, **arguments})
    run = run_dag(dag)
    assert states(run) == {"good": "success", "bad": "failed", "missing": "skipped", "slow": "failed"}
    assert xcom(run, "good") == trim_default.video_info("good")
    assert {ti.task_id: ti.try_number for ti in run.get_task_instances()}["bad"] == 1


@pytest.mark.parametrize("deferrable", [False, True])
def test_templates(trim_default: TrimEmulator, monkeypatch: Any, run_dag: Any, xcom: Any, deferrable: bool) -> None:
    """``trans_no`` and trim_conn_id are rendered before anything is derived from them."""
    set_connection(monkeypatch, trim_default, "trim_other")
    monkeypatch.delenv("AIRFLOW_CONN_TRIM_DEFAULT")
    trim_default.add_trim("clip-7", seconds=0.1)
    with DAG(
        dag_id=f"templates_{deferrable}", schedule=None, start_date=START, params={"n": 7, "conn": "other"}
    ) as dag:
        common: dict[str, Any] = {
            "trans_no": "{{ 'clip-%d' % params.n }}",
            "trim_conn_id": "trim_{{ params.conn }}",
            "deferrable": deferrable,
        }
        wait = TrimTaskStatusSensor(task_id="wait", poke_interval=0.05, **common)
        wait >> TrimVideoInfoOperator(task_id="info", poll_interval=0.05, **common)
    run = run_dag(dag)
    assert states(run) == {"wait": "success", "info": "success"}
    assert xcom(run, "wait") == xcom(run, "info") == trim_default.video_info("clip-7")
    assert {call.trans_no for call in trim_default.calls} == {"clip-7"}


def test_mapped_tasks_with_one_that_fails(trim_default: TrimEmulator, run_dag: Any, xcom: Any) -> None:
    trim_default.add_trim("a", seconds=0.1)
    trim_default.add_trim("c", seconds=0.2)
    trim_default.misbehave("b", ServiceCode(1603, "does not exist"))
    with DAG(dag_id="mapped", schedule=None, start_date=START) as dag:

        @task
        def names() -> list[str]:
            return ["a", "b", "c"]

        TrimVideoInfoOperator.partial(task_id="info", deferrable=True, poll_interval=0.05).expand(trans_no=names())
    run = run_dag(dag)
    found = {ti.map_index: str(ti.state) for ti in run.get_task_instances() if ti.task_id == "info"}
    assert found == {0: "success", 1: "failed", 2: "success"}
    for index, name in ((0, "a"), (2, "c")):
        assert xcom(run, "info", map_index=index) == trim_default.video_info(name)
        assert xcom(run, "info", "trans_no", map_index=index) == name
