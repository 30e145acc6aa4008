# SPDX-License-Identifier: Apache-2.0
"""Deferrable waits in a live Airflow 2.11: the scheduler starts them, the triggerer waits, a worker resumes them."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

import pytest

from airflow_provider_trim.emulator import TrimEmulator
from tests.support.emulators import connection_to
from tests.support.live_airflow_2 import LiveAirflow2
from tests.support.running import AIRFLOW_3

pytestmark = [
    pytest.mark.skipif(AIRFLOW_3, reason="the other tests here are those of a live Airflow 3"),
    pytest.mark.xdist_group("live"),
]

LIMIT = 600.0

DAGS = """
    import pendulum
    from airflow import DAG
    from airflow.decorators import task
    from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor

    once = {"schedule": "@once", "start_date": pendulum.datetime(2026, 1, 1, tz="UTC")}

    with DAG("good", **once):
        @task
        def name_of(video):
            return video["videoName"]

        name_of(TrimTaskStatusSensor(task_id="wait", trans_no="good", poke_interval=1, deferrable=True).output)

    with DAG("bad", **once):
        TrimTaskStatusSensor(task_id="wait", trans_no="bad", poke_interval=1, deferrable=True, retries=2)
"""


@pytest.fixture(scope="module")
def service() -> Iterator[TrimEmulator]:
    with TrimEmulator() as service:
        for name in ("good", "bad"):
            service.add_trim(name, seconds=math.inf)
        yield service


@pytest.fixture(scope="module")
def airflow(service: TrimEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveAirflow2]:
    folder = tmp_path_factory.mktemp("live")
    (folder / "dags").mkdir()
    (folder / "dags" / "dags.py").write_text(textwrap.dedent(DAGS))
    with LiveAirflow2(
        folder / "home", folder / "dags", connections={"trim_default": connection_to(service)}
    ) as airflow:
        yield airflow


def wait_until_deferred(airflow: LiveAirflow2, dag_id: str) -> None:
    airflow.wait_for(lambda: airflow.task_of(dag_id, "wait")[0] == "deferred", LIMIT, f"{dag_id} is deferred")


def test_success(airflow: LiveAirflow2, service: TrimEmulator) -> None:
    wait_until_deferred(airflow, "good")
    service.finish("good")
    assert airflow.wait_for_end_of("good", LIMIT) == "success"
    expected = service.video_info("good")
    assert airflow.pushed("good", "wait") == expected
    assert airflow.pushed("good", "name_of") == expected["videoName"]


def test_failure(airflow: LiveAirflow2, service: TrimEmulator) -> None:
    wait_until_deferred(airflow, "bad")
    service.fail("bad")
    assert airflow.wait_for_end_of("bad", LIMIT) == "failed"
    assert airflow.task_of("bad", "wait") == ("failed", 1)
