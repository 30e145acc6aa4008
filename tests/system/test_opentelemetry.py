# SPDX-License-Identifier: Apache-2.0
"""What a live triggerer and its workers measure arrives at an OpenTelemetry collector, with its tags.

Since Airflow 3.2 a triggerer has another ``Stats`` than its workers.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

import pytest

from airflow_provider_trim.emulator import HttpError, TrimEmulator
from tests.support.emulators import connection_to, settings_for
from tests.support.live_airflow import LiveAirflow
from tests.support.otlp_receiver import OtlpReceiver, Point
from tests.system.account import STEP_LIMIT
from tests.system.figures import say

DAGS = """
    from airflow.sdk import DAG

    from airflow_provider_trim.operators.trim import TrimVideoOperator
    from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor

    with DAG("in_the_triggerer"):
        TrimTaskStatusSensor(task_id="wait", trans_no="deferred", poke_interval=1, deferrable=True)

    with DAG("in_a_worker"):
        TrimVideoOperator(
            task_id="clip", video_id="V", seek_start=0, duration=1, filename="c", deferrable=False, poll_interval=1
        )
"""
GAUGES = ("trim.waits.open", "trim.quota.used", "trim.quota.limit")
TIMERS = ("trim.poll.duration", "trim.wait.duration", "trim.detection.delay")


@pytest.fixture(scope="module")
def service() -> Iterator[TrimEmulator]:
    with TrimEmulator(duration=2.0, token="a-t0ken-of-its-own") as service:
        yield service


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def measured(
    service: TrimEmulator, receiver: OtlpReceiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveAirflow]:
    """An Airflow of its own, since the deployment sends its metrics to StatsD."""
    folder = tmp_path_factory.mktemp("opentelemetry")
    (folder / "dags").mkdir()
    (folder / "dags" / "measured.py").write_text(textwrap.dedent(DAGS))
    airflow = LiveAirflow(
        folder / "home",
        folder / "dags",
        connections={"trim_default": connection_to(service)},
        settings=receiver.settings(),
    )
    airflow.environment |= receiver.environment()
    with airflow:
        say("an Airflow with OpenTelemetry is healthy")
        for dag_id in ("in_the_triggerer", "in_a_worker"):
            airflow.wait_for_dag(dag_id)
        yield airflow


def wait_for(receiver: OtlpReceiver, name: str, kind: str, **tags: str) -> None:
    """Return when a metric has come with exactly these tags and a value; those of a gauge's hostname are any."""

    def wanted(point: Point) -> bool:
        known = {tag: text for tag, text in point.tags.items() if tag != "hostname" or "hostname" in tags}
        return point.name == name and point.kind == kind and known == tags and point.value > 0

    receiver.wait_until(
        lambda: any(map(wanted, receiver.points())), lambda: f"{name} {tags}: {receiver.points()}", STEP_LIMIT
    )


def test_what_a_triggerer_measures_arrives(
    service: TrimEmulator, receiver: OtlpReceiver, measured: LiveAirflow
) -> None:
    label = settings_for(service).account_label
    service.add_trim("deferred", seconds=math.inf)
    service.misbehave("deferred", *[HttpError(502)] * 2)  # the first of which the worker gets
    run_id = measured.trigger("in_the_triggerer")
    for name in GAUGES:
        wait_for(receiver, name, "gauge", account=label)
    assert all("hostname" in point.tags for point in receiver.points() if point.name in GAUGES)
    for outcome in ("unavailable", "processing"):
        wait_for(receiver, "trim.polls", "sum", account=label, outcome=outcome)
    service.finish("deferred")
    assert measured.wait_for_end("in_the_triggerer", run_id, STEP_LIMIT) == "success"
    wait_for(receiver, "trim.polls", "sum", account=label, outcome="done")
    wait_for(receiver, "trim.waits.ended", "sum", account=label, outcome="success")
    for name in TIMERS:
        wait_for(receiver, name, "exponential_histogram", account=label)
    assert service.token not in str(receiver.points(""))


def test_what_a_worker_measures_arrives(service: TrimEmulator, receiver: OtlpReceiver, measured: LiveAirflow) -> None:
    """Before its process ends: no triggerer submits."""
    label = settings_for(service).account_label
    run_id = measured.trigger("in_a_worker")
    assert measured.wait_for_end("in_a_worker", run_id, STEP_LIMIT) == "success"
    wait_for(receiver, "trim.submissions", "sum", account=label, outcome="accepted")
    wait_for(receiver, "trim.submissions.accepted", "sum", account=label)
