# SPDX-License-Identifier: Apache-2.0
"""What Airflow needs is away for a while: the service, Redis, or Airflow's own parts."""

from __future__ import annotations

import time
from collections.abc import Callable

from account import STEP_LIMIT, Account
from deployment import Deployment
from figures import most_in_any, note, say

from airflow_provider_trim.emulator import Delay


def outage_of(quick: bool) -> float:
    return 20.0 if quick else 120.0


def test_service_is_down_then_slow(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    waits = account("down")
    waits.wait_in(1 if quick else 3)
    waits.wait_until_deferred()
    seconds = outage_of(quick)
    waits.emulator.stop()
    say(f"the service is down for {seconds:.0f} s")
    time.sleep(seconds)
    # It comes back slow, and half of the trims have ended meanwhile.
    waits.finish(waits.waiting[::2])
    waits.emulator.misbehave(None, Delay(5.0), repeat=True)
    back = time.monotonic()
    waits.emulator.start()
    recovered = waits.looked_at(waits.waiting, since=back)
    waits.emulator.behave()
    waits.finish(waits.waiting)
    waits.check_results()
    scenario = "service down, then slow"
    note(scenario, "down, then answering after", f"{seconds:.0f} s, 5 s")
    note(scenario, "tasks that failed", "0")
    note(scenario, "until each trim was asked for again", f"{recovered:.1f} s")


def test_quota_storage_is_down(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    calls, window = 200, 10
    waits = account("quota-storage", quota=(calls, window), quota_storage=airflow.quota.url)
    waits.wait_in(2 if quick else 6)
    waits.wait_until_deferred()
    seconds = outage_of(quick)
    waits.looked_at(waits.waiting, since=time.monotonic())
    down = time.monotonic()
    airflow.quota.stop()
    say(f"Redis is down for {seconds:.0f} s")
    waits.looked_at(waits.waiting, since=down)
    # Both triggerers: a tenth of the quota each, and no more.
    waits.finish(waits.waiting[::2])
    time.sleep(max(0.0, seconds - (time.monotonic() - down)))
    airflow.quota.start()
    up = time.monotonic()
    # What was granted before Redis went is on its way for a moment, and the window of before still counts.
    during = [call for call in waits.emulator.calls if down + window < call.time < up]
    waits.finish(waits.waiting)
    waits.check_results()
    scenario = "Redis (quota) down"
    most = most_in_any(during, window)
    note(scenario, "down for", f"{seconds:.0f} s")
    note(scenario, f"calls meanwhile; most in any {window} s, of {calls}", f"{len(during)}; {most}")
    note(scenario, "calls refused by the service, tasks that failed", f"{waits.emulator.refused}, 0")
    assert waits.emulator.refused == 0
    # Workers look as well, each task in a process of its own, but here all waits are in the two triggerers.
    assert 0 < most <= 2 * calls // 10


def test_components_are_restarted(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    waits = account("restarted")
    waits.wait_in(1 if quick else 3)
    waits.wait_until_deferred()
    restarted = ("api-server", "scheduler", "dag-processor")
    for name in restarted:
        # Some waits end while it is away.
        waits.finish(waits.waiting[:3])
        began = time.monotonic()
        airflow.kill(name)
        waits.looked_at(waits.waiting, since=began)
        airflow.start_process(name)
        airflow.wait_for(airflow.healthy, STEP_LIMIT, f"all is healthy after {name} was killed")
        say(f"{name} was killed and started again: healthy after {time.monotonic() - began:.0f} s")
    waits.finish(waits.waiting)
    waits.check_results()
    note("components restarted", "killed and started again", ", ".join(restarted))
    note("components restarted", "waits lost", "0")
