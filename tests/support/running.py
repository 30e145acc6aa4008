# SPDX-License-Identifier: Apache-2.0
"""DAGs run in this process by ``dag.test()``, on Airflow 3 and 2.11 alike."""

from __future__ import annotations

from typing import Any

import airflow

AIRFLOW_3 = not airflow.__version__.startswith("2.")
AIRFLOW_3_0 = airflow.__version__.startswith("3.0.")
AIRFLOW_3_1 = airflow.__version__.startswith("3.1.")

if AIRFLOW_3:
    from airflow.sdk import DAG, Asset, TaskGroup, task, task_group
else:
    from airflow.datasets import Dataset as Asset
    from airflow.decorators import task, task_group
    from airflow.models.dag import DAG
    from airflow.utils.task_group import TaskGroup
if AIRFLOW_3_0:
    from airflow.models.dag import DAG  # the one of airflow.sdk has no test() there

__all__ = [
    "AIRFLOW_3",
    "AIRFLOW_3_0",
    "AIRFLOW_3_1",
    "DAG",
    "Asset",
    "TaskGroup",
    "register",
    "run",
    "task",
    "task_group",
    "xcom",
]


def register(*dags: Any) -> None:
    """Make DAGs known to the database, as a dag processor does: Airflow 3 runs nothing that it has not serialized."""
    if not AIRFLOW_3:
        from airflow.models.dag import DAG

        DAG.bulk_write_to_db(dags)
        return
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.session import create_session

    with create_session() as session:
        session.merge(DagBundleModel(name="testing"))
    if AIRFLOW_3_0:
        from airflow.models.dagbag import DagBag

        sync_bag_to_db = DagBag.sync_to_db
    elif AIRFLOW_3_1:
        from airflow.models.dagbag import DagBag, sync_bag_to_db
    else:
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    bag = DagBag(dag_folder="/dev/null")
    for dag in dags:
        bag.bag_dag(dag)
    sync_bag_to_db(bag, "testing", None)


def run(dag: Any, **conf: Any) -> Any:
    """Run a DAG to its end, deferred tasks included, and return its DagRun."""
    register(dag)
    return dag.test(run_conf=conf)


def xcom(dag_run: Any, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
    """Return what a task of a DagRun has pushed."""
    ti = dag_run.get_task_instance(task_id, map_index=map_index)
    value = ti.xcom_pull(task_ids=task_id, key=key, map_indexes=None if map_index < 0 else map_index)
    assert value is not None, f"{task_id} pushed no {key}"
    return value
