# SPDX-License-Identifier: Apache-2.0
"""One DAG with a task of each column, in a module of its own: other processes run it to print how they store it."""

from __future__ import annotations

import json
from typing import Any

import pendulum

from airflow_provider_trim.operators.trim import TrimVideoInfoOperator, TrimVideoOperator
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from tests.airflow.scenarios import COLUMNS, Cell
from tests.support.running import AIRFLOW_3, DAG


def combined() -> tuple[Any, dict[str, Cell]]:
    """Return the DAG, and its cells by their column."""
    cells = {name: Cell(column, "combined") for name, column in COLUMNS.items()}
    with DAG(
        "combined", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), params={"width": 640}
    ) as dag:
        for cell in cells.values():
            cell.task()
        TrimTaskStatusSensor(task_id="set", trans_no={"b", "a", "c"}, start_from_trigger=True)
        TrimVideoInfoOperator.partial(task_id="mapped").expand(trans_no=["a", "b"])
    return dag, cells


def serialized(dag: Any) -> str:
    """Return a DAG as Airflow stores it."""
    from airflow.serialization import serialized_objects

    serialization = serialized_objects.DagSerialization if AIRFLOW_3 else serialized_objects.SerializedDAG
    return json.dumps(serialization.to_dict(dag), sort_keys=True, default=str)


def deferrable() -> list[bool]:
    """Return which classes are deferrable by default."""
    clip = {"video_id": "V", "seek_start": 0, "duration": 1, "filename": "f"}
    kinds: dict[Any, Any] = {TrimTaskStatusSensor: {"trans_no": "T"}, TrimVideoInfoOperator: {"trans_no": "T"}}
    kinds[TrimVideoOperator] = clip
    return [kind(task_id="t", **arguments).deferrable for kind, arguments in kinds.items()]


if __name__ == "__main__":
    print(json.dumps({"dag": serialized(combined()[0]), "deferrable": deferrable()}))
