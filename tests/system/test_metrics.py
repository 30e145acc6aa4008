# SPDX-License-Identifier: Apache-2.0
"""Every metric of the documentation is seen at a StatsD server, or an OpenTelemetry collector (``--opentelemetry``)."""

from __future__ import annotations

import math
import time
import urllib.request
from collections.abc import Callable

from airflow_provider_trim.emulator import ConnectionReset, HttpError, Lost, RawResponse, Repeated
from airflow_provider_trim.metrics.catalog import METRICS
from tests.support.live_airflow import HOST, free_port
from tests.system.account import STEP_LIMIT, Account
from tests.system.deployment import Deployment
from tests.system.figures import note, say

SCENARIO = "metrics"
FAULTS = (
    HttpError(502),
    HttpError(403),
    HttpError(429, headers={"Retry-After": "1"}),
    ConnectionReset(),
    RawResponse(b""),
)
RUNS = 4


def test_every_metric_is_seen(airflow: Deployment, account: Callable[..., Account]) -> None:
    port = free_port()
    submits = account(
        "metrics",
        quota=(300, 30),
        quota_storage=airflow.quota.url,
        callback_listen=f"{HOST}:{port}",
        callback_url=f"http://{HOST}:{port}/trims",
        callback_poll_factor=1,
    )
    emulator, metrics = submits.emulator, airflow.metrics
    emulator.duration = math.inf
    run_ids = [submits.trigger("submits", f"metrics-{number}") for number in range(RUNS)]
    airflow.wait_for(lambda: airflow.count("submits", "deferred") >= RUNS, 2 * STEP_LIMIT, "all are deferred", pause=2)
    submits.wait_until_polled(submits.waiting, since=time.monotonic())
    emulator.misbehave(None, *FAULTS)
    outcomes = ("unavailable", "unauthorized", "rate_limited", "no_response", "unexpected")
    metrics.wait_for((f"trim.polls.{outcome}" for outcome in outcomes), STEP_LIMIT)
    say("polls fail, and are counted")

    # Before Redis goes: after that, no callback is expected of the trims that wait.
    repeated, lost, *others = submits.waiting
    emulator.inject_callback_faults(repeated, Repeated(3))
    emulator.inject_callback_faults(lost, Lost())
    submits.finish((repeated, lost))
    metrics.wait_for(("trim.callbacks.duplicate", "trim.callbacks.missed"), STEP_LIMIT)

    airflow.quota.stop()
    metrics.wait_for(("trim.quota.fallback", "trim.quota.fallbacks"), STEP_LIMIT)
    airflow.quota.start()
    urllib.request.urlopen(f"http://{HOST}:{port}/").close()
    metrics.wait_for(("trim.callbacks.refused.path",), STEP_LIMIT)
    submits.finish(others)
    for run_id in run_ids:
        assert airflow.wait_for_end("submits", run_id, STEP_LIMIT) == "success"
    metrics.wait_for(METRICS, STEP_LIMIT)
    seen = len(METRICS.keys() & metrics.names())
    note(SCENARIO, "metrics of the documentation, those seen", f"{len(METRICS)}, {seen}")
