# SPDX-License-Identifier: Apache-2.0
"""Runs of the DAGs in dags/waits.py, several at a time."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_trim.emulator import TrimEmulator
from tests.support.live_airflow import LiveAirflow
from tests.support.worker_starts import runs_started

LIMIT = 600.0
"""Seconds until a run has ended."""

RUNNING = {
    "starts_there": ["starts"],
    "ends_there": ["ends"],
    "list_ends_there": ["first", "second"],
    "template": ["templated"],
    "fails": [],
    "skips": [],
    "times_out": [],
    "mapped": ["mapped0", "mapped1"],
}
"""DAGs that run at the same time, since each mostly waits; and the trims that they wait for and that are done."""


class Waits:
    """A live Airflow with the DAGs of waits.py, and a count of the workers that it has started."""

    def __init__(self, airflow: LiveAirflow, service: TrimEmulator, starts: Path) -> None:
        self.airflow = airflow
        self.service = service
        self._starts = starts
        self._running: dict[str, str] = {}

    def begin(self, dag_id: str) -> None:
        """Start a run, whose end :meth:`run` waits for."""
        self._running[dag_id] = self.airflow.trigger(dag_id)

    def run(self, dag_id: str, **conf: str) -> tuple[str, str, int]:
        """Run a DAG to its end and return its state, the run's id, and how many workers were started."""
        run_id = self._running.get(dag_id) or self.airflow.trigger(dag_id, **conf)
        state = self.airflow.wait_for_end(dag_id, run_id, LIMIT)
        return state, run_id, runs_started(self._starts).count(run_id)

    def clear(self, dag_id: str, run_id: str) -> None:
        """Clear all tasks of a run."""
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": False}
        self.airflow.api("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)

    def state_of(self, dag_id: str, run_id: str) -> str:
        (wait,) = [ti for ti in self.airflow.task_instances(dag_id, run_id) if ti["task_id"] == "wait"]
        return str(wait["state"])
