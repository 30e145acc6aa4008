# SPDX-License-Identifier: Apache-2.0
"""What people do to tasks that wait, and to their connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.system.account import STEP_LIMIT, Account
from tests.system.deployment import Deployment
from tests.system.figures import note

ROUNDS = 3
"""How often the other trims are polled without the abandoned one, until it counts as left."""


def set_state(airflow: Deployment, run_id: str, map_index: int, state: str) -> None:
    path = f"/dags/waits/dagRuns/{run_id}/taskInstances/wait/{map_index}"
    airflow.api("PATCH", path, json={"new_state": state})


def clear(airflow: Deployment, run_id: str, map_index: int) -> None:
    body: dict[str, Any] = {
        "dry_run": False,
        "dag_run_id": run_id,
        "task_ids": [["wait", map_index]],
        "only_failed": False,
    }
    airflow.api("POST", "/dags/waits/clearTaskInstances", json=body)


def set_slots(airflow: Deployment, slots: int) -> None:
    body = {"pool": "default_pool", "slots": slots}
    airflow.api("PATCH", "/pools/default_pool?update_mask=slots", json=body)


@pytest.mark.parametrize("done", ["marked failed", "marked success", "cleared"])
def test_wait_leaves_the_poller(airflow: Deployment, account: Callable[..., Account], done: str) -> None:
    waits = account(f"left-{done.split()[-1]}")
    waits.wait_in(1)
    waits.wait_until_deferred()
    (prefix, run_id), *_ = waits.runs.items()
    left, *others = waits.trans_nos(prefix)
    # Where no worker is free, a cleared task does not begin its wait again at once, which would be polled, too. To
    # pause the DAG would not do: Airflow 3.3.2 drops the trigger of a cleared task when it schedules that again.
    set_slots(airflow, 0)
    try:
        if done == "cleared":
            clear(airflow, run_id, 0)
        else:
            set_state(airflow, run_id, 0, done.split()[-1])
        marked = time.monotonic()

        def has_left() -> bool:
            last = max(call.time for call in waits.emulator.calls_for(left))
            since = [sum(call.time > last for call in waits.emulator.calls_for(other)) for other in others]
            return min(since) >= ROUNDS

        airflow.wait_for(has_left, STEP_LIMIT, f"{left} is not polled any more")
        last = max(call.time for call in waits.emulator.calls_for(left))
    finally:
        set_slots(airflow, 128)
    note(
        f"task {done} while deferred",
        "last call for its trim, after Airflow was notified",
        f"{max(0.0, last - marked):.1f} s",
    )
    waits.finish(waits.waiting)
    state = airflow.wait_for_end("waits", run_id, STEP_LIMIT)
    assert state == ("failed" if done == "marked failed" else "success")
    assert len(waits.emulator.calls_for(left)) >= 1
    if done == "cleared":
        waited = waits.emulator.calls_for(left)
        assert waited[-1].trim_status == 2, "it has begun again, and seen the end"


def test_token_is_rotated(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    """The connection has the new token a moment before the service insists on it."""
    waits = account("rotated")
    waits.wait_in(1 if quick else 3)
    waits.wait_until_deferred()
    waits.connect(token="the-new-token")
    rotated = time.monotonic()
    waits.emulator.token = "the-new-token"
    waits.wait_until_polled(waits.waiting, since=rotated)
    waits.finish(waits.waiting)
    waits.check_results()
    accepted = min(call.time for call in waits.emulator.calls if call.time > rotated and call.trim_status)
    refused = [call for call in waits.emulator.calls if call.time > rotated and call.code not in (200, 1560)]
    note("token rotated", "calls refused, until the new one was used", f"{len(refused)}, {accepted - rotated:.1f} s")
    note("token rotated", "tasks that failed", "0")
    assert refused, "the old token was tried"
