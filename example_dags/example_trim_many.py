# SPDX-License-Identifier: Apache-2.0
"""Wait for several trims at once: one mapped task for each, all under the account's quota."""

from __future__ import annotations

from typing import Any

import pendulum

try:
    from airflow.sdk import DAG, Param, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG
    from airflow.models.param import Param

from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor

with DAG(
    dag_id="example_trim_many",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2},  # should the service be unreachable for minutes
    params={"trans_nos": Param(["trim-1", "trim-2", "trim-3"], type="array", items={"type": "string"})},
    doc_md=__doc__,
    tags=["example", "trim"],
) as dag:

    @task
    def list_trims(params: dict[str, Any]) -> list[str]:
        """Return the transNos to wait for; a real pipeline knows them from submitting the trims."""
        return list(params["trans_nos"])

    @task
    def summarise(infos: list[dict[str, Any]]) -> dict[str, Any]:
        """Return how many videos came out, and how large they are together (bytes)."""
        return {"videos": len(list(infos)), "bytes": sum(int(info["videoSize"]) for info in infos)}

    wait = TrimTaskStatusSensor.partial(task_id="wait", deferrable=True, poke_interval=10).expand(trans_no=list_trims())
    summarise(wait.output)
