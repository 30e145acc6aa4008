# SPDX-License-Identifier: Apache-2.0
"""``execution_timeout`` means one thing in every mode: it bounds the whole wait, and retries apply."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_trim.compat import AirflowSensorTimeout, AirflowSkipException, AirflowTaskTimeout
from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.operators.trim import TrimVideoInfoOperator
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger
from tests.support.waits import SENSOR_MODES, WAIT_IDS, WAITS, TaskInstance, run_trigger, sensor, video

SHORT = timedelta(seconds=0.2)
every_wait = pytest.mark.parametrize(("make", "mode"), WAITS, ids=WAIT_IDS)


@every_wait
def test_it_ends_the_wait(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    trim_default.add_trim("T", seconds=math.inf)
    with pytest.raises(
        AirflowTaskTimeout, match=r"trim T: not finished within the timeout \(execution_timeout: 0.2 s\)"
    ):
        make(mode, timeout=300, execution_timeout=SHORT).run()


@every_wait
def test_a_shorter_timeout_is_a_timeout(trim_default: TrimEmulator, make: Any, mode: str) -> None:
    trim_default.add_trim("T", seconds=math.inf)
    with pytest.raises(AirflowSensorTimeout):
        make(mode, timeout=0.2, execution_timeout=timedelta(hours=1)).run()


@pytest.mark.parametrize("mode", SENSOR_MODES)
def test_soft_fail_makes_a_skip_of_it(trim_default: TrimEmulator, mode: str) -> None:
    """As it does in Airflow's own loop."""
    trim_default.add_trim("T", seconds=math.inf)
    with pytest.raises(AirflowSkipException):
        sensor(mode, timeout=300, execution_timeout=SHORT, soft_fail=True).run()


@pytest.mark.parametrize("mode", ["worker", "deferrable"])
def test_it_ends_the_wait_for_a_clip(trim_default: TrimEmulator, mode: str) -> None:
    trim_default.duration = math.inf
    with pytest.raises(AirflowTaskTimeout):
        video(mode, timeout=300, execution_timeout=SHORT).run()


@pytest.mark.parametrize("kind", [TrimTaskStatusSensor, TrimVideoInfoOperator])
@pytest.mark.parametrize(("limit", "error"), [(SHORT, AirflowTaskTimeout), (None, AirflowSensorTimeout)])
def test_a_deferral_that_airflow_ends_is_the_same(kind: Any, limit: timedelta | None, error: type) -> None:
    """Airflow 2.11 does so at ``execution_timeout``; a wait that began in the triggerer is ended there on 3.x, too."""
    task = kind(task_id="wait", trans_no="T", deferrable=True, execution_timeout=limit)
    with pytest.raises(error, match=r"^Deferral timed out: .*check that one is running \((execution_)?timeout: "):
        task.resume_execution("__fail__", {"error": "Trigger timeout"}, {})


def test_a_wait_that_begins_in_the_triggerer(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("T", seconds=math.inf)
    arguments = {"task_id": "wait", "trans_no": "T", "start_from_trigger": True, "execution_timeout": SHORT}
    task = TrimTaskStatusSensor(**arguments)
    assert task.start_trigger_args is not None
    event = run_trigger(TrimTaskStatusTrigger(**(task.start_trigger_args.trigger_kwargs or {})))
    with pytest.raises(AirflowTaskTimeout):
        TrimTaskStatusSensor(**arguments).execute_complete({"ti": TaskInstance()}, event)
