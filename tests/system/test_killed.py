# SPDX-License-Identifier: Apache-2.0
"""Triggerers and workers, ended by SIGKILL as a lost machine ends."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable

import psutil

from airflow_provider_trim.emulator import Hold
from tests.system.account import STEP_LIMIT, Account
from tests.system.deployment import TRIGGERERS, WORKERS, Deployment
from tests.system.figures import note, say

RANDOM = random.Random(6)


def test_triggerers_are_killed(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    kills, runs = (3, 1) if quick else (20, 3)
    waits = account("killed-triggerers")
    waits.wait_in(runs)
    waits.wait_until_deferred()
    recoveries = []
    for kill in range(1, kills + 1):
        # Some trims end just before: the triggerer may have seen it, and may have reported it to Airflow, or not.
        ending = RANDOM.sample(waits.waiting, max(1, len(waits.ends) // (kills + 1) - 1))
        waits.finish(ending)
        # At any moment of its work.
        time.sleep(RANDOM.uniform(0.0, 4.0))
        name = RANDOM.choice(TRIGGERERS)
        killed = time.monotonic()
        airflow.kill(name)
        airflow.start_process(name)
        recoveries.append(waits.wait_until_polled(waits.waiting, since=killed))
        # With the next kill, too, there is to be another one that takes over.
        airflow.wait_for(lambda: triggerers_alive(airflow) == len(TRIGGERERS), STEP_LIMIT, f"{name} is back")
        say(f"kill {kill} of {kills}, {name}: all {len(waits.waiting)} trims asked for after {recoveries[-1]:.1f} s")
    waits.finish(waits.waiting)
    waits.check_results()
    scenario = "triggerers killed"
    note(scenario, "kills, of two triggerers", str(kills))
    note(scenario, "waits lost, results that came twice", "0, 0")
    ordered = sorted(recoveries)
    note(scenario, "until each trim was asked for again: median, longest",
         f"{ordered[len(ordered) // 2]:.1f} s, {ordered[-1]:.1f} s")  # fmt: skip


def triggerers_alive(airflow: Deployment) -> int:
    return len(airflow.api("GET", "/jobs?job_type=TriggererJob&is_alive=true")["jobs"])


def on_the_line(airflow: Deployment, port: int) -> list[str]:
    """Return the workers of whose tasks one has a connection to a port."""

    def connected(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            return any(one.raddr and one.raddr.port == port for one in process.net_connections("tcp"))
        return False

    return [name for name in WORKERS if any(map(connected, airflow.family(airflow.processes[name].pid)))]


def test_workers_are_killed_as_they_submit(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    kills = 3 if quick else 20
    submits = account("killed-workers")
    emulator = submits.emulator
    emulator.duration = 5.0
    runs = {}
    for kill in range(1, kills + 1):
        hold = Hold()
        moment = RANDOM.choice(("before", "after"))
        emulator.fail_submission(moment, hold)
        prefix = f"killed-{kill}"
        runs[prefix] = submits.trigger("submits", prefix)
        hold.wait_until_held(timeout=STEP_LIMIT)
        names = on_the_line(airflow, emulator.port)
        for name in names:
            airflow.kill(name)
            airflow.start_process(name)
        hold.wait_until_left(timeout=STEP_LIMIT)
        say(f"kill {kill} of {kills}, {' and '.join(names)}, {moment} its submission was accepted")
    emulator.clear_faults()
    last_kill = time.monotonic()
    for run_id in runs.values():
        assert airflow.wait_for_end("submits", run_id, 2 * STEP_LIMIT) == "success"
    recovered = time.monotonic() - last_kill
    submitted = [submission.trans_no for submission in emulator.submissions]
    for prefix, run_id in runs.items():
        trans_no = airflow.xcom("submits", run_id, "submit", "trans_no")
        assert submitted.count(trans_no) == 1, prefix
        assert airflow.xcom("submits", run_id, "submit") == emulator.video_info(trans_no)
    assert len(submitted) == len(runs)
    scenario = "workers killed as they submit"
    note(scenario, "kills, of two workers", str(kills))
    note(scenario, "tasks, trims submitted", f"{len(runs)}, {len(submitted)}")
    note(scenario, "from the last kill until all tasks had ended well", f"{recovered:.0f} s")
