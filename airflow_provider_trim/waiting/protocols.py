# SPDX-License-Identifier: Apache-2.0
"""What this package needs of Airflow's objects, on every line that it supports."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """A task's or a trigger's logger: structlog's in Airflow 3, the standard library's in 2.11."""

    def log(self, level: int, msg: str, /, *args: Any) -> Any:
        """Log a message of that level."""

    def info(self, msg: str, /, *args: Any) -> Any:
        """Log what goes as it should."""

    def warning(self, msg: str, /, *args: Any) -> Any:
        """Log a warning."""


class TaskInstanceKey(Protocol):
    """Which task of which run it is."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int | None


class RunningTaskInstance(TaskInstanceKey, Protocol):
    """The task instance that a worker runs."""

    try_number: int

    def xcom_push(self, key: str, value: Any) -> Any:
        """Store a plain JSON value for the tasks downstream."""
