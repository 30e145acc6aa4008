# SPDX-License-Identifier: Apache-2.0
"""Which trims are expected to take about as long, as far as a triggerer knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_trim.triggers.kinds import kind_of
from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger

TASK = SimpleNamespace(dag_id="clips", task_id="cut")


@pytest.mark.parametrize(
    ("task_instance", "clip_seconds", "kind"),
    [
        (TASK, None, "clips\ncut"),
        (TASK, 1.0, "clips\ncut clips from 1 s"),
        (TASK, 31, "clips\ncut clips from 16 s"),
        (TASK, 32.5, "clips\ncut clips from 32 s"),
        (TASK, 0.3, "clips\ncut clips from 0.25 s"),
        (TASK, 0.0, "clips\ncut"),
        (TASK, float("nan"), "clips\ncut"),
        (TASK, float("inf"), "clips\ncut"),
        (None, None, None),
        (None, 20.0, " clips from 16 s"),
        (SimpleNamespace(dag_id=None), None, None),
        (SimpleNamespace(dag_id="a.b", task_id="c"), None, "a.b\nc"),  # not that of the DAG a and its task b.c
    ],
)
def test_task_and_clip_make_the_kind(task_instance: Any, clip_seconds: float | None, kind: str | None) -> None:
    assert kind_of(task_instance, clip_seconds) == kind


def test_clip_of_a_trigger_survives_a_restart_of_the_triggerer() -> None:
    _, arguments = TrimTaskStatusTrigger("T", clip_seconds=90.0).serialize()
    assert TrimTaskStatusTrigger(**arguments).clip_seconds == 90.0
