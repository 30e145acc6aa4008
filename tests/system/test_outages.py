# SPDX-License-Identifier: Apache-2.0
"""What Airflow needs is unreachable for a while: the service, Redis, or Airflow's own parts."""

from __future__ import annotations

import time
from collections.abc import Callable

from airflow_provider_trim.emulator import Delay
from tests.system import stalls
from tests.system.account import STEP_LIMIT, Account
from tests.system.deployment import Deployment
from tests.system.figures import most_in_any, note, say

CALLS, WINDOW = 200, 10


def test_service_and_quota_storage_are_down(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    """At the same time, each for waits of its own."""
    seconds = 20.0 if quick else 120.0
    unserved = account("down")
    uncounted = account("quota-storage", quota=(CALLS, WINDOW), quota_storage=airflow.quota.url)
    for waits in (unserved, uncounted):
        waits.wait_in(1)
        waits.wait_in(1 if quick else 2, without_workers=True)
    unserved.wait_until_deferred(besides=uncounted)
    for waits in (unserved, uncounted):
        waits.wait_until_polled(waits.waiting, since=time.monotonic())

    with stalls.measured() as machine:
        down = time.monotonic()
        unserved.emulator.stop()
        airflow.quota.stop()
        say(f"the service of {unserved.name} and the Redis of {uncounted.name} are down for {seconds:.0f} s")
        uncounted.wait_until_polled(uncounted.waiting, since=down)
        for waits in (unserved, uncounted):
            waits.finish(waits.waiting[::2])
        time.sleep(max(0.0, seconds - (time.monotonic() - down)))

    up = time.monotonic()
    airflow.quota.start()
    unserved.emulator.misbehave(None, Delay(5.0), repeat=True)
    unserved.emulator.start()
    recovered = unserved.wait_until_polled(unserved.waiting, since=up)
    unserved.emulator.clear_faults()
    for waits in (unserved, uncounted):
        waits.finish(waits.waiting)
        waits.check_results()

    scenario = "service down, then slow"
    note(scenario, "down, then answering after", f"{seconds:.0f} s, 5 s")
    note(scenario, "tasks that failed", "0")
    note(scenario, "until each trim was asked for again", f"{recovered:.1f} s")
    # What was granted before Redis went is on its way for a moment, and the window of before still counts.
    during = [call for call in uncounted.emulator.calls if down + WINDOW < call.time < up]
    scenario = "Redis (quota) down"
    most = most_in_any(during, WINDOW)
    note(scenario, "down for", f"{seconds:.0f} s")
    note(scenario, f"calls meanwhile; most in any {WINDOW} s, of {CALLS}", f"{len(during)}; {most}")
    note(scenario, "calls refused by the service, tasks that failed", f"{uncounted.emulator.rate_limited}, 0")
    assert uncounted.emulator.rate_limited == 0
    # Workers poll as well, each task in a process of its own, but here all waits are in the two triggerers: a tenth of
    # the quota each, and no more.
    # Calls that the machine holds up on their way arrive closer together than they were granted.
    assert 0 < most_in_any(during, WINDOW - machine.longest) <= 2 * CALLS // 10


def test_components_are_restarted(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    waits = account("restarted")
    waits.wait_in(1 if quick else 3)
    waits.wait_until_deferred()
    restarted = ("api-server", "scheduler", "dag-processor")
    for name in restarted:
        # Some waits end while it is down.
        waits.finish(waits.waiting[: len(waits.ends) // 4])
        began = time.monotonic()
        airflow.kill(name)
        waits.wait_until_polled(waits.waiting, since=began)
        airflow.start_process(name)
        airflow.wait_for(airflow.healthy, STEP_LIMIT, f"all is healthy after {name} was killed")
        say(f"{name} was killed and started again: healthy after {time.monotonic() - began:.0f} s")
    waits.finish(waits.waiting)
    waits.check_results()
    note("components restarted", "killed and started again", ", ".join(restarted))
    note("components restarted", "waits lost", "0")
