# SPDX-License-Identifier: Apache-2.0
"""Waits that begin and end in the triggerer of a live Airflow: how many workers they start, and what comes out."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from airflow_provider_trim.emulator import TrimEmulator
from tests.support.live_airflow import LiveAirflow

pytestmark = pytest.mark.xdist_group("live")

LIMIT = 600.0


class Waits:
    """A live Airflow with the DAGs of waits.py, and a count of the workers that it has started."""

    def __init__(self, airflow: LiveAirflow, service: TrimEmulator, starts: Path) -> None:
        self.airflow = airflow
        self.service = service
        self._starts = starts

    def run(self, dag_id: str) -> tuple[str, str, int]:
        """Run a DAG to its end and return its state, the run's id, and how many workers were started."""
        self._starts.write_bytes(b"")
        run_id = self.airflow.trigger(dag_id)
        state = self.airflow.wait_for_end(dag_id, run_id, LIMIT)
        return state, run_id, self._starts.stat().st_size

    def state_of(self, dag_id: str, run_id: str) -> str:
        (wait,) = [ti for ti in self.airflow.task_instances(dag_id, run_id) if ti["task_id"] == "wait"]
        return str(wait["state"])


@pytest.fixture
def waits(airflow: LiveAirflow, service: TrimEmulator, worker_starts: Path) -> Waits:
    return Waits(airflow, service, worker_starts)


def test_wait_that_starts_in_the_triggerer_starts_one_worker(waits: Waits) -> None:
    waits.service.add_trim("starts")
    state, run_id, starts = waits.run("starts_there")
    assert (state, starts) == ("success", 1)
    assert waits.airflow.xcom("starts_there", run_id, "wait")["videoName"]


def test_wait_that_ends_in_the_triggerer_starts_no_worker(waits: Waits) -> None:
    waits.service.add_trim("ends")
    state, run_id, starts = waits.run("ends_there")
    assert (state, starts) == ("success", 0)
    assert waits.airflow.xcom("ends_there", run_id, "wait")["videoName"]


def test_a_list_is_mapped_over(waits: Waits) -> None:
    """A task that is mapped over it needs its length, which a worker would have sent."""
    waits.service.add_trim("first")
    waits.service.add_trim("second")
    state, run_id, starts = waits.run("list_ends_there")
    assert (state, starts) == ("success", 2)
    names = [waits.airflow.xcom("list_ends_there", run_id, "name_of", map_index=index) for index in range(2)]
    assert all(name.startswith("dict ") for name in names)


def test_a_template_is_rendered_and_the_result_is_a_dict(waits: Waits) -> None:
    """An event's own XComs arrive as text."""
    waits.service.add_trim("templated")
    state, run_id, starts = waits.run("template")
    assert (state, starts) == ("success", 2)  # those before and after it
    assert waits.airflow.xcom("template", run_id, "kind") == "dict"


def test_failure_is_raised_in_a_worker(waits: Waits) -> None:
    """Where soft_fail, callbacks and retries are what they always are; a failed trim is not retried."""
    waits.service.add_trim("fails", outcome="fail")
    state, run_id, starts = waits.run("fails")
    assert (state, starts) == ("failed", 1)
    state, run_id, _ = waits.run("skips")
    assert state == "success"
    assert waits.state_of("skips", run_id) == "skipped"


def test_the_timeout_counts_from_the_beginning(waits: Waits) -> None:
    waits.service.add_trim("endless", seconds=3600)
    state, _, starts = waits.run("times_out")
    assert (state, starts) == ("failed", 1)


def test_a_killed_triggerer_moves_no_times(waits: Waits) -> None:
    """The next triggerer takes the wait's beginning from Airflow's own limit: the deadline in its log is the same."""
    waits.service.add_trim("long", seconds=math.inf)
    run_id = waits.airflow.trigger("killed")
    waits.service.wait_for_calls(1, LIMIT, "long")
    waits.airflow.kill("triggerer")
    polls = len(waits.service.calls_for("long"))
    waits.airflow.start_process("triggerer")
    waits.service.wait_for_calls(polls + 1, LIMIT, "long")
    waits.service.finish("long")
    assert waits.airflow.wait_for_end("killed", run_id, LIMIT) == "success"
    logs = (waits.airflow.home / "logs" / "dag_id=killed").rglob("*.trigger.*.log")
    events = [json.loads(line)["event"] for log in logs for line in log.read_text().splitlines()]
    begun = [event for event in events if event.startswith("Polling trim long ")]
    assert len(begun) >= 2  # more where the machine is so busy that Airflow takes the new one for dead as well
    assert len(set(begun)) == 1


def test_mapped_tasks_begin_in_a_worker(waits: Waits) -> None:
    """Airflow would hand all of them the class's own arguments."""
    for index in range(2):
        waits.service.add_trim(f"mapped{index}")
    state, run_id, starts = waits.run("mapped")
    assert (state, starts) == ("success", 2)
    assert waits.airflow.xcom("mapped", run_id, "wait", map_index=1)["videoName"]
