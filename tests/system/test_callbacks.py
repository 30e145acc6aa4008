# SPDX-License-Identifier: Apache-2.0
"""The service tells the triggerers that a trim is done: one of them listens, and passes on what is for the other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from tests.support.live_airflow import free_port
from tests.system.account import STEP_LIMIT, Account
from tests.system.deployment import Deployment
from tests.system.figures import note, say

SCENARIO = "callbacks"
NOTICED_WITHIN = 60.0
"""Seconds from a trim's end until it was polled, whichever triggerer waits for it and however busy the machine is:
without a callback it would be an hour."""
CALM = 30.0
"""Seconds without a call after which nothing is polled without a callback."""


def test_trims_with_callbacks(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    runs, port = (8 if quick else 20), free_port()
    submits = account(
        "callbacks",
        quota=(300, 30),
        quota_storage=airflow.quota.url,
        callback_listen=f"127.0.0.1:{port}",
        callback_url=f"http://127.0.0.1:{port}/trims",
        callback_poll_factor=10_000,  # ten thousand times two seconds, or an hour at most
    )
    emulator = submits.emulator
    emulator.duration = math.inf
    before = airflow.count("submits", "success")
    run_ids = [submits.trigger("submits", f"callbacks-{number}") for number in range(runs)]
    airflow.wait_for(lambda: airflow.count("submits", "deferred") == runs, 2 * STEP_LIMIT, "all are deferred", pause=2)
    # Each is polled by the worker and once more by the triggerer, which may not have listened when it began.
    airflow.wait_for(
        lambda: time.monotonic() - emulator.calls[-1].time > CALM, STEP_LIMIT, "nothing is polled any more"
    )
    say(f"{runs} trims are waited for, and nothing is polled")

    asked = emulator.call_count
    ended = {}
    for trans_no in submits.waiting:
        ended[trans_no] = time.monotonic()
        emulator.finish(trans_no)
        emulator.wait_for_callbacks(len(ended), STEP_LIMIT)
    for run_id in run_ids:
        assert airflow.wait_for_end("submits", run_id, STEP_LIMIT) == "success"
    calls = emulator.calls[asked:]
    delays = sorted(
        min(call.time for call in calls if call.trans_no == trans_no and call.trim_status == 2) - end
        for trans_no, end in ended.items()
    )
    for run_id in run_ids:
        trans_no = airflow.xcom("submits", run_id, "submit", "trans_no")
        assert airflow.xcom("submits", run_id, "submit") == emulator.video_info(trans_no)
    note(SCENARIO, "trims submitted and waited for, in two triggerers of which one can listen", str(runs))
    note(SCENARIO, "from a trim's end until it was polled: median, longest",
         f"{delays[runs // 2]:.2f} s, {delays[-1]:.2f} s")  # fmt: skip
    # A triggerer that begins to listen when the other has nothing to wait for polls each running trim once.
    after_the_end = [call for call in calls if call.trim_status == 2]
    note(SCENARIO, "calls for each trim, after its end", f"{len(after_the_end) / runs:.2f}")
    assert airflow.count("submits", "success") == before + runs
    assert delays[-1] <= NOTICED_WITHIN
    assert len(after_the_end) <= 1.05 * runs
    assert len(calls) <= 2 * runs
