# SPDX-License-Identifier: Apache-2.0
"""Running DAGs, and single waits in every mode, as Airflow does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Migrate the test run's database."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def run_dag(airflow_db: None) -> Callable[..., Any]:
    """Return a function that runs a DAG to its end, deferred tasks included, and returns its DagRun."""

    def run(dag: Any, **conf: Any) -> Any:
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
        from airflow.models.dagbundle import DagBundleModel
        from airflow.utils.session import create_session

        with create_session() as session:
            session.merge(DagBundleModel(name="testing"))
        bag = DagBag(dag_folder="/dev/null")
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "testing", None)
        return dag.test(run_conf=conf)

    return run


@pytest.fixture
def xcom(run_dag: Any) -> Callable[..., Any]:
    """Return a function that reads what a task of a DagRun has pushed."""

    def read(run: Any, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        from airflow.models.xcom import XComModel

        row = XComModel.get_many(
            run_id=run.run_id, key=key, task_ids=task_id, dag_ids=run.dag_id, map_indexes=map_index
        )
        from airflow.utils.session import create_session

        with create_session() as session:
            value = session.scalars(row).first()
            assert value is not None, f"{task_id} pushed no {key}"
            return XComModel.deserialize_value(value)

    return read
