# SPDX-License-Identifier: Apache-2.0
"""Two thousand trims in one triggerer."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.system import stalls
from tests.system.account import STEP_LIMIT, Account
from tests.system.deployment import Deployment
from tests.system.figures import note, say

SCENARIO = "many trims in one triggerer"
ALONE, OTHER = "triggerer-1", "triggerer-2"
ENDED = 5
"""Runs that end; the others are marked. To end a task in a triggerer takes Airflow (3.3.2) a third of a second, one
after another."""
WARNED_AT = 0.2
"""Seconds; ``[triggerer] blocked_main_thread_warning_threshold``."""


@contextmanager
def without(airflow: Deployment, name: str) -> Iterator[None]:
    airflow.kill(name)
    try:
        yield
    finally:
        airflow.start_process(name)


def cpu_seconds(airflow: Deployment) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in airflow.family(airflow.processes[ALONE].pid))


def log_size(airflow: Deployment) -> int:
    return airflow.log_of(ALONE).stat().st_size


def blocked(airflow: Deployment, since: int) -> list[float]:
    """Return how long its event loop stood still, in seconds, whenever Airflow has warned of it."""
    text = airflow.log_of(ALONE).read_bytes()[since:].decode(errors="replace")
    return [float(seconds) for seconds in re.findall(r"async thread was blocked for ([\d.]+) seconds", text)]


def wait_for_count(airflow: Deployment, state: str, number: int) -> None:
    last = -1

    def reached() -> bool:
        nonlocal last
        count = airflow.count("thousands", state)
        if count != last:
            say(f"{count} of {number} are {state}")
        last = count
        return count >= number

    airflow.wait_for(reached, 2 * STEP_LIMIT, f"{number} waits are {state}", pause=5.0)


def test_one_triggerer_for_thousands(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    runs, window = (20, 20.0) if quick else (200, 60.0)
    waits = account("thousands")
    with without(airflow, OTHER), stalls.measured() as machine:
        empty, log_begin = airflow.memory(ALONE), log_size(airflow)
        run_ids: dict[str, str] = {}
        for prefix in (f"thousands-{number}" for number in range(runs)):
            for trans_no in waits.trans_nos(prefix):
                waits.emulator.add_trim(trans_no, seconds=math.inf)
            run_ids[prefix] = waits.trigger("thousands", prefix)
        trims = len(waits.waiting)
        wait_for_count(airflow, "deferred", trims)
        waits.wait_until_polled(waits.waiting, since=0.0, limit=2 * STEP_LIMIT)
        before, steady = time.monotonic(), log_size(airflow)
        calls, cpu = waits.emulator.call_count, cpu_seconds(airflow)
        time.sleep(window)
        seconds = time.monotonic() - before
        rate, load = (waits.emulator.call_count - calls) / seconds, (cpu_seconds(airflow) - cpu) / seconds
        held = airflow.memory(ALONE)
        while_waiting = blocked(airflow, steady)
        ended, others = list(run_ids)[:ENDED], list(run_ids.values())[ENDED:]
        for prefix in ended:
            waits.finish(waits.trans_nos(prefix))
        for prefix in ended:
            assert airflow.wait_for_end("thousands", run_ids[prefix], 2 * STEP_LIMIT) == "success"
        in_all = blocked(airflow, log_begin)
        for run_id in others:
            airflow.api("PATCH", f"/dags/thousands/dagRuns/{run_id}", json={"state": "failed"})
    for prefix in ended:
        for number, trans_no in enumerate(waits.trans_nos(prefix)):
            assert airflow.xcom("thousands", run_ids[prefix], f"wait-{number}") == waits.emulator.video_info(trans_no)
    note(SCENARIO, "trims, tasks that held a worker", f"{trims:,}, 0")
    note(SCENARIO, "memory of the triggerer: empty, with all", f"{empty:.0f} MiB, {held:.0f} MiB")
    note(SCENARIO, "CPU of the triggerer, at calls per second", f"{load:.0%} of a core, {rate:.0f}")
    longest = f"{max(while_waiting, default=0.0):.2f} s, {max(in_all, default=0.0):.2f} s"
    note(SCENARIO, "longest stall of its loop: while all wait, from start to end", longest)
    note(SCENARIO, "longest stall of a loop outside it, for want of the processor", f"{machine.longest:.2f} s")
    # What the machine itself can't give anyone is not the triggerer's.
    assert max(while_waiting, default=0.0) <= WARNED_AT + machine.longest
