# SPDX-License-Identifier: Apache-2.0
"""A live Airflow 2.11 on loopback: a scheduler, which reads DAGs and runs tasks too, and a triggerer.

It has no web server: DAGs start by their own schedule, and what became of them is read from the database.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

from tests.support.live_airflow import LiveAirflow


class LiveAirflow2(LiveAirflow):
    """Airflow 2.11 with the one executor that takes SQLite; see :class:`LiveAirflow`."""

    def __init__(self, home: Path, dags: Path, *, connections: dict[str, dict[str, Any]]) -> None:
        settings = {"CORE__EXECUTOR": "SequentialExecutor", "SCHEDULER__DAG_DIR_LIST_INTERVAL": "5"}
        super().__init__(home, dags, connections=connections, settings=settings)
        self.commands = {
            "scheduler": ["scheduler", "--skip-serve-logs"],
            "triggerer": ["triggerer", "--skip-serve-logs"],
        }

    def _query(self, statement: str, *parameters: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(
            sqlite3.connect(f"file:{self.home}/airflow.db?mode=ro", uri=True, timeout=300)
        ) as database:
            return database.execute(statement, parameters).fetchall()

    def healthy(self) -> bool:
        running = self._query("SELECT job_type FROM job WHERE state = 'running'")
        return {("SchedulerJob",), ("TriggererJob",)} <= set(running)

    def wait_for_end_of(self, dag_id: str, limit: float) -> str:
        """Wait until a DAG's only run has ended, and return how.

        :param limit: seconds
        """

        def ended() -> str | None:
            states = self._query("SELECT state FROM dag_run WHERE dag_id = ?", dag_id)
            return next((state for (state,) in states if state in ("success", "failed")), None)

        return str(self.wait_for(ended, limit, f"the run of {dag_id} has ended"))

    def task_of(self, dag_id: str, task_id: str) -> tuple[str | None, int]:
        """Return a task's state, None before it has one, and how often it was tried, of the only run of a DAG."""
        statement = "SELECT state, try_number FROM task_instance WHERE dag_id = ? AND task_id = ?"
        (found,) = self._query(statement, dag_id, task_id) or [(None, 0)]
        return found

    def pushed(self, dag_id: str, task_id: str) -> Any:
        """Return what a task has returned, of the only run of a DAG."""
        statement = "SELECT value FROM xcom WHERE dag_id = ? AND task_id = ? AND key = 'return_value'"
        ((value,),) = self._query(statement, dag_id, task_id)
        return json.loads(value)
