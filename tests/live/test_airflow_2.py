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
    from datetime import timedelta
    import pendulum
    from airflow import DAG
    from airflow.decorators import task
    from airflow.models import Variable
    from airflow_provider_trim.operators.trim import TrimVideoOperator
    from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor

    once = {"schedule": "@once", "start_date": pendulum.datetime(2026, 1, 1, tz="UTC")}

    with DAG("good", **once):
        @task
        def name_of(video):
            return video["videoName"]

        name_of(TrimTaskStatusSensor(task_id="wait", trans_no="good", poke_interval=1, deferrable=True).output)

    with DAG("rest", **once):
        def wait(task_id, trans_no, **arguments):
            return TrimTaskStatusSensor(task_id=task_id, trans_no=trans_no, poke_interval=1, **arguments)

        wait("starts", "rest", start_from_trigger=True)
        wait("ends", "rest", start_from_trigger=True, finish_in_triggerer=True)
        wait("times_out", "for ever", deferrable=True, execution_timeout=timedelta(seconds=3))
        for name in ("one", "two"):
            wait(name, f"pooled {name}", deferrable=True, pool="single")

    with DAG("clips", **once):
        @task
        def clips():
            return [{"filename": name} for name in Variable.get("clips", deserialize_json=True)]

        TrimVideoOperator.partial(
            task_id="clip", video_id="V", seek_start=0, duration=9, wait_for_completion=False
        ).expand_kwargs(clips())

    with DAG("bad", **once):
        TrimTaskStatusSensor(task_id="wait", trans_no="bad", poke_interval=1, deferrable=True, retries=2)
"""


@pytest.fixture(scope="module")
def service() -> Iterator[TrimEmulator]:
    with TrimEmulator() as service:
        for name in ("good", "bad", "rest", "for ever", "pooled one", "pooled two"):
            service.add_trim(name, seconds=math.inf)
        yield service


@pytest.fixture(scope="module")
def airflow(service: TrimEmulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveAirflow2]:
    folder = tmp_path_factory.mktemp("live")
    (folder / "dags").mkdir()
    (folder / "dags" / "dags.py").write_text(textwrap.dedent(DAGS))
    airflow = LiveAirflow2(folder / "home", folder / "dags", connections={"trim_default": connection_to(service)})
    airflow.environment["AIRFLOW_VAR_CLIPS"] = '["first", "second"]'
    with airflow:
        airflow.run("pools", "set", "single", "1", "of the test")
        yield airflow


def wait_until_deferred(airflow: LiveAirflow2, dag_id: str) -> None:
    airflow.wait_for(lambda: airflow.task_of(dag_id, "wait")[0] == "deferred", LIMIT, f"{dag_id} is deferred")


def test_a_deferred_wait_succeeds_and_its_result_goes_on(airflow: LiveAirflow2, service: TrimEmulator) -> None:
    wait_until_deferred(airflow, "good")
    service.finish("good")
    assert airflow.wait_for_end_of("good", LIMIT) == "success"
    expected = service.video_info("good")
    assert airflow.pushed("good", "wait") == expected
    assert airflow.pushed("good", "name_of") == expected["videoName"]


def test_a_failed_trim_fails_its_wait_at_the_first_attempt(airflow: LiveAirflow2, service: TrimEmulator) -> None:
    wait_until_deferred(airflow, "bad")
    service.fail("bad")
    assert airflow.wait_for_end_of("bad", LIMIT) == "failed"
    assert airflow.task_of("bad", "wait") == ("failed", 1)


def test_waits_without_workers_pools_and_execution_timeouts(airflow: LiveAirflow2, service: TrimEmulator) -> None:
    """Waits that begin and end in the triggerer, a pool of one slot, and an execution_timeout that ends a deferral."""
    for name in ("one", "two"):
        airflow.wait_for(lambda name=name: airflow.task_of("rest", name)[0] == "deferred", LIMIT, f"{name} is deferred")
    service.wait_for_calls(1, LIMIT, "rest")
    for name in ("rest", "pooled one", "pooled two"):
        service.finish(name)
    assert airflow.wait_for_end_of("rest", LIMIT) == "failed"
    states = {name: airflow.task_of("rest", name)[0] for name in ("starts", "ends", "one", "two", "times_out")}
    assert states == {"starts": "success", "ends": "success", "one": "success", "two": "success", "times_out": "failed"}
    assert airflow.pushed("rest", "ends") == airflow.pushed("rest", "starts") == service.video_info("rest")


def test_a_changed_upstream_list(airflow: LiveAirflow2, service: TrimEmulator) -> None:
    """Cleared, each map index cuts the clip that is there now."""
    service.wait_for_submissions(2, LIMIT)
    assert airflow.wait_for_end_of("clips", LIMIT) == "success"
    airflow.kill("scheduler")
    airflow.environment["AIRFLOW_VAR_CLIPS"] = '["second", "third"]'
    airflow.run("tasks", "clear", "clips", "--yes")
    airflow.start_process("scheduler")
    service.wait_for_submissions(4, LIMIT)
    names = [submission.parameters["filename"] for submission in service.submissions]
    assert (sorted(names[:2]), sorted(names[2:])) == (["first", "second"], ["second", "third"])
