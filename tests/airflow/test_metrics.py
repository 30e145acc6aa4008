# SPDX-License-Identifier: Apache-2.0
"""Metrics of a worker arrive through Airflow's own ``Stats``: at a StatsD server, and in the OpenTelemetry SDK."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from airflow_provider_trim.compat.stats import find_stats
from airflow_provider_trim.emulator import HttpError, TrimEmulator
from airflow_provider_trim.hooks.metrics import process_metrics
from airflow_provider_trim.hooks.trim import TrimApiHook
from airflow_provider_trim.metrics import FLUSH_TIMEOUT
from airflow_provider_trim.operators.trim import TrimVideoOperator
from airflow_provider_trim.ratelimit.limiter import limiters
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from tests.support import airflow_stats, running
from tests.support.statsd_server import StatsdServer

IN_A_WORKER = {
    "trim.polls",
    "trim.polls.done",
    "trim.polls.unavailable",
    "trim.poll.duration",
    "trim.submissions",
    "trim.submissions.accepted",
    "trim.waits.ended",
    "trim.waits.ended.success",
    "trim.wait.duration",
}


@pytest.fixture
def emulator_options() -> dict[str, Any]:
    return {"duration": 0.0, "token": "a-t0ken-of-its-own"}


@pytest.fixture
def metrics_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return a function that switches metrics on in Airflow's configuration, for this process."""

    def switch(**options: str) -> None:
        for name, value in options.items():
            monkeypatch.setenv(f"AIRFLOW__{name}", value)
        process_metrics.cache_clear()

    limiters.clear()
    yield switch
    process_metrics.cache_clear()
    limiters.clear()


@contextlib.contextmanager
def statsd_logger() -> Iterator[Any]:
    logger = airflow_stats.statsd_logger()
    yield logger
    logger.statsd.close()


@pytest.fixture
def statsd(metrics_on: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., StatsdServer]]:
    with StatsdServer() as server, contextlib.ExitStack() as closing:

        def configure(**options: str) -> StatsdServer:
            metrics_on(**server.settings(**options))
            airflow_stats.initialize(monkeypatch, lambda: closing.enter_context(statsd_logger()))
            return server

        yield configure


def dag() -> Any:
    with running.DAG("measured") as dag:
        clip = TrimVideoOperator(
            task_id="clip", video_id="V", seek_start=0, duration=1, filename="c", deferrable=False, poll_interval=0.01
        )
        wait = TrimTaskStatusSensor(task_id="wait", trans_no="T", poke_interval=0.01)
        clip >> wait
    return dag


def run(run_dag: Callable[..., Any], service: TrimEmulator) -> None:
    service.add_trim("T", seconds=0)
    service.misbehave("T", HttpError(502))
    assert run_dag(dag()).state == "success"


def test_a_worker_sends_all_to_statsd(
    run_dag: Callable[..., Any], trim_default: TrimEmulator, statsd: Callable[..., StatsdServer]
) -> None:
    """Without tags, as StatsD has none, an outcome is at the end of a name."""
    server = statsd()
    run(run_dag, trim_default)
    server.wait_for(IN_A_WORKER)
    assert "trim.polls.unavailable:1|c" in server.lines()
    assert not [line for line in server.lines() if "," in line]
    (duration,) = [line for line in server.lines() if line.startswith("trim.wait.duration")][:1]
    assert duration.endswith("|ms")


def test_with_tags(
    run_dag: Callable[..., Any], trim_default: TrimEmulator, statsd: Callable[..., StatsdServer]
) -> None:
    server = statsd(STATSD_INFLUXDB_ENABLED="True")
    run(run_dag, trim_default)
    server.wait_for(IN_A_WORKER)
    label = TrimApiHook().settings.account_label
    assert f"trim.polls,account={label},outcome=unavailable:1|c" in server.lines()
    assert f"trim.polls.unavailable,account={label}:1|c" in server.lines()
    assert trim_default.token not in "".join(server.lines())


def test_a_worker_measures_into_opentelemetry(
    run_dag: Callable[..., Any],
    trim_default: TrimEmulator,
    metrics_on: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader = InMemoryMetricReader()
    metrics_on(METRICS__OTEL_ON="True")
    logger = airflow_stats.otel_logger(MeterProvider(metric_readers=[reader]))
    airflow_stats.initialize(monkeypatch, lambda: logger)
    run(run_dag, trim_default)
    points = list(airflow_stats.otel_points(reader.get_metrics_data()))
    assert {f"airflow.{name}" for name in IN_A_WORKER} <= {name for name, *_ in points}
    label = TrimApiHook().settings.account_label
    assert ("airflow.trim.polls", {"account": label, "outcome": "unavailable"}, 1) in points
    assert ("airflow.trim.submissions", {"account": label, "outcome": "accepted"}, 1) in points


def test_a_backend_that_hangs_holds_a_task_up_once(
    trim_default: TrimEmulator, metrics_on: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    trim_default.add_trim("T", seconds=0)
    metrics_on(METRICS__STATSD_ON="True")
    airflow_stats.initialize(monkeypatch, lambda: released.wait(60) and None)
    begun = time.monotonic()
    for _ in range(30):
        with TrimApiHook() as hook:
            assert hook.get_task("T")
    assert time.monotonic() - begun < 30 * FLUSH_TIMEOUT
    released.set()


@pytest.mark.skipif(not airflow_stats.TWO, reason="Airflow up to 3.1 has one Stats for all processes")
def test_the_stats_that_the_process_has_initialized_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A triggerer initializes those of the core, a worker those of the Task SDK."""
    core = airflow_stats.initialize(monkeypatch, airflow_stats.statsd_logger, airflow_stats.CORE)
    assert find_stats() is core
    sdk = airflow_stats.initialize(monkeypatch, airflow_stats.statsd_logger, airflow_stats.SDK)
    assert find_stats() is sdk
    assert sdk is not core


def test_stats_that_none_has_initialized_drop_what_they_get() -> None:
    find_stats().incr("trim.polls", 1, tags={})


def test_no_stats_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_trim.compat.stats.PLACES", ("airflow_of_the_future",))
    with pytest.raises(ImportError, match="supported release"):
        find_stats()
