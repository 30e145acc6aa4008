# SPDX-License-Identifier: Apache-2.0
"""Many trims at once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from airflow_provider_trim.ratelimit.window import WINDOW_MARGIN
from tests.system import stalls
from tests.system.account import WITHOUT_WORKERS, Account
from tests.system.deployment import Deployment
from tests.system.figures import most_in_any, note

SCENARIO = "many runs, one quota"


def test_many_runs_share_a_quota(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    runs, calls, window = (3, 40, 10) if quick else (30, 300, 30)
    with_workers = max(1, runs // 5)  # two processes for each wait are what takes this machine longest
    many = account("many", quota=(calls, window), quota_storage=airflow.quota.url)
    with stalls.measured() as machine:
        started = time.monotonic()
        many.wait_in(with_workers)
        many.wait_in(runs - with_workers, without_workers=True)
        many.wait_until_deferred()
        deferred = time.monotonic()
        held = sum(airflow.count(dag_id, "running", "queued", "scheduled") for dag_id in ("waits", WITHOUT_WORKERS))
        assert held == 0, "no task waits in a worker"
        trans_nos = many.waiting
        random.shuffle(trans_nos)

        many.finish(trans_nos)
        many.check_results()
    asked = many.emulator.calls
    most = most_in_any(asked, window)
    note(SCENARIO, "trims, in runs; of these, runs whose waits start no worker",
         f"{len(trans_nos)}, in {runs}; {runs - with_workers}")  # fmt: skip
    note(SCENARIO, "tasks that held a worker while all trims ran", str(held))
    note(SCENARIO, f"most calls in any {window} s, of {calls}", str(most))
    note(SCENARIO, "calls refused by the service", str(many.emulator.rate_limited))
    note(
        SCENARIO,
        "until all were deferred, until all runs had ended",
        f"{deferred - started:.0f} s, {time.monotonic() - started:.0f} s",
    )
    # Calls that the machine holds up on their way arrive closer together than they were granted.
    assert 0 < most_in_any(asked, window - machine.longest) <= calls
    assert many.emulator.rate_limited == 0 or machine.longest > WINDOW_MARGIN
