# SPDX-License-Identifier: Apache-2.0
"""Waits that begin and end in the triggerer of a live Airflow: how many workers they start, and what comes out."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.live.waits import LIMIT, Waits

pytestmark = pytest.mark.xdist_group("live")


def test_wait_that_starts_in_the_triggerer_starts_one_worker(waits: Waits) -> None:
    state, run_id, starts = waits.run("starts_there")
    assert (state, starts) == ("success", 1)
    assert waits.airflow.xcom("starts_there", run_id, "wait")["videoName"]


def test_wait_that_ends_in_the_triggerer_starts_no_worker(waits: Waits) -> None:
    state, run_id, starts = waits.run("ends_there")
    assert (state, starts) == ("success", 0)
    assert waits.airflow.xcom("ends_there", run_id, "wait")["videoName"]


def test_a_list_is_mapped_over(waits: Waits) -> None:
    """A task that is mapped over it needs its length, which a worker would have sent."""
    state, run_id, starts = waits.run("list_ends_there")
    assert (state, starts) == ("success", 2)
    names = [waits.airflow.xcom("list_ends_there", run_id, "name_of", map_index=index) for index in range(2)]
    assert all(name.startswith("dict ") for name in names)


def test_a_template_is_rendered_and_the_result_is_a_dict(waits: Waits) -> None:
    """An event's own XComs arrive as text."""
    state, run_id, starts = waits.run("template")
    assert (state, starts) == ("success", 2)  # those before and after it
    assert waits.airflow.xcom("template", run_id, "kind") == "dict"


def test_failure_is_raised_in_a_worker(waits: Waits) -> None:
    """Where soft_fail, callbacks and retries are what they always are; a failed trim is not retried."""
    state, run_id, starts = waits.run("fails")
    assert (state, starts) == ("failed", 1)
    state, run_id, _ = waits.run("skips")
    assert state == "success"
    assert waits.state_of("skips", run_id) == "skipped"


def test_the_timeout_counts_from_the_beginning(waits: Waits) -> None:
    state, _, starts = waits.run("times_out")
    assert (state, starts) == ("failed", 1)


def test_a_killed_triggerer_moves_no_times(waits: Waits) -> None:
    """The next triggerer takes the wait's beginning from Airflow's own limit: the deadline in its log is the same."""

    def begun() -> list[str]:
        logs = (waits.airflow.home / "logs" / "dag_id=killed").rglob("*.trigger.*.log")
        lines = [line for log in logs for line in log.read_text().splitlines(keepends=True)]
        events = [json.loads(line)["event"] for line in lines if line.endswith("\n")]
        return [event for event in events if event.startswith("Polling trim long ")]

    waits.service.add_trim("long", seconds=math.inf)
    run_id = waits.airflow.trigger("killed")
    waits.service.wait_for_calls(1, LIMIT, "long")
    waits.airflow.wait_for(begun, LIMIT, "the first triggerer's log is written")
    waits.airflow.kill("triggerer")
    polls = len(waits.service.calls_for("long"))
    waits.airflow.start_process("triggerer")
    waits.service.wait_for_calls(polls + 1, LIMIT, "long")
    waits.service.finish("long")
    assert waits.airflow.wait_for_end("killed", run_id, LIMIT) == "success"
    assert len(begun()) >= 2  # more where the machine is so busy that Airflow takes the new one for dead as well
    assert len(set(begun())) == 1


def test_mapped_tasks_begin_in_a_worker(waits: Waits) -> None:
    """Airflow would hand all of them the class's own arguments."""
    state, run_id, starts = waits.run("mapped")
    assert (state, starts) == ("success", 2)
    assert waits.airflow.xcom("mapped", run_id, "wait", map_index=1)["videoName"]


def test_a_cleared_task(waits: Waits) -> None:
    """It waits again, for a trim that is done, and starts no worker then either; the web UI shows its link."""
    waits.service.add_trim("cleared")
    state, run_id, starts = waits.run("of_conf", trans_no="cleared")
    assert (state, starts) == ("success", 0)
    links = waits.airflow.api("GET", f"/dags/of_conf/dagRuns/{run_id}/taskInstances/wait/links")
    assert links["extra_links"] == {"Video": waits.service.video_info("cleared")["imageUrl"]}
    polls = len(waits.service.calls_for("cleared"))
    waits.clear("of_conf", run_id)
    waits.service.wait_for_calls(polls + 1, LIMIT, "cleared")
    assert waits.airflow.wait_for_end("of_conf", run_id, LIMIT) == "success"
    assert waits.airflow.xcom("of_conf", run_id, "wait") == waits.service.video_info("cleared")


def test_a_task_that_is_cleared_while_deferred(waits: Waits) -> None:
    waits.service.add_trim("waits", seconds=math.inf)
    run_id = waits.airflow.trigger("of_conf", trans_no="waits")
    waits.service.wait_for_calls(1, LIMIT, "waits")
    waits.clear("of_conf", run_id)
    # Its first trigger may poll once more.
    waits.service.wait_for_calls(len(waits.service.calls_for("waits")) + 2, LIMIT, "waits")
    waits.service.finish("waits")
    assert waits.airflow.wait_for_end("of_conf", run_id, LIMIT) == "success"
    assert waits.airflow.xcom("of_conf", run_id, "wait") == waits.service.video_info("waits")


def test_pools_and_an_execution_timeout(waits: Waits) -> None:
    """A deferred task holds no slot of its pool; ``execution_timeout`` counts while it is deferred, and is retried."""
    waits.airflow.api("POST", "/pools", json={"name": "single", "slots": 1})
    for name in ("pooled one", "pooled two", "for ever"):
        waits.service.add_trim(name, seconds=math.inf)
    run_id = waits.airflow.trigger("limits")
    for name in ("pooled one", "pooled two"):
        waits.service.wait_for_calls(2, LIMIT, name)
    for name in ("pooled one", "pooled two"):
        waits.service.finish(name)
    assert waits.airflow.wait_for_end("limits", run_id, LIMIT) == "failed"
    instances = {ti["task_id"]: ti for ti in waits.airflow.task_instances("limits", run_id)}
    states = {task_id: ti["state"] for task_id, ti in instances.items()}
    assert states == {"one": "success", "two": "success", "times_out": "failed"}
    assert instances["times_out"]["try_number"] == 2


def test_a_changed_upstream_list(waits: Waits) -> None:
    """Cleared, each map index gets the clip that is there now."""

    def clips_of(run_id: str) -> list[str]:
        names = [waits.airflow.xcom("clips", run_id, "clip", map_index=index) for index in range(2)]
        return [waits.service.submissions_for(name)[0].parameters["filename"] for name in names]

    variable = {"key": "clips", "value": json.dumps(["first", "second"])}
    waits.airflow.api("POST", "/variables", json=variable)
    state, run_id, _ = waits.run("clips")
    assert (state, clips_of(run_id)) == ("success", ["first", "second"])
    waits.airflow.api("PATCH", "/variables/clips", json={**variable, "value": json.dumps(["second", "third"])})
    waits.clear("clips", run_id)
    assert waits.airflow.wait_for_end("clips", run_id, LIMIT) == "success"
    assert clips_of(run_id) == ["second", "third"]
    assert len([one for one in waits.service.submissions if one.parameters["videoId"] == "CHANGES"]) == 4


def test_a_backfill(waits: Waits) -> None:
    """Each of its runs cuts a clip of its own."""
    dates = {"from_date": "2026-01-01T00:00:00Z", "to_date": "2026-01-02T00:00:00Z"}
    waits.airflow.api("POST", "/backfills", json={"dag_id": "daily", **dates})

    def runs() -> list[Any]:
        return list(waits.airflow.api("GET", "/dags/daily/dagRuns?run_type=backfill")["dag_runs"])

    for run in runs():
        assert waits.airflow.wait_for_end("daily", run["dag_run_id"], LIMIT) == "success"
    names = [waits.airflow.xcom("daily", run["dag_run_id"], "clip") for run in runs()]
    submitted = {waits.service.submissions_for(name)[0].parameters["filename"] for name in names}
    assert submitted == {"daily 2026-01-01", "daily 2026-01-02"}
