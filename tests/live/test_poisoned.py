# SPDX-License-Identifier: Apache-2.0
"""A response that Airflow can't store fails its own task, and the triggerer goes on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_trim.emulator import RawResponse, TrimEmulator
from tests.support.live_airflow import LiveAirflow

pytestmark = pytest.mark.xdist_group("live")

LIMIT = 600.0
POISONS = (b'"taskId": 99999999999999999999', b'"later": {"x": ["\\u0000"]}', b'"later": "\\ud800"')
"""Beyond 64 bits, and what PostgreSQL's JSONB can't hold."""


def test_poisoned_response_ends_no_other_task(airflow: LiveAirflow, service: TrimEmulator) -> None:
    """Another DAG's deferred task, which knows nothing of trims, goes on in the same triggerer."""
    triggerer = airflow.processes["triggerer"].pid
    until = datetime.now(UTC) + timedelta(seconds=20)
    other = airflow.trigger("undisturbed", until=until.isoformat())

    def deferred() -> bool:
        return [task["state"] for task in airflow.task_instances("undisturbed", other)] == ["deferred"]

    airflow.wait_for(deferred, LIMIT, "the other task is deferred")
    poisoned = []
    for number, poison in enumerate(POISONS):
        body = b'{"code": 200, "data": {"transNo": "poison-%d", "status": 2, "videoInfo": {}, %s}}' % (number, poison)
        service.misbehave(f"poison-{number}", RawResponse(body), repeat=True)
        poisoned.append(airflow.trigger("poisoned", trans_no=f"poison-{number}"))
    assert [airflow.wait_for_end("poisoned", run, LIMIT) for run in poisoned] == ["failed"] * len(POISONS)
    assert airflow.wait_for_end("undisturbed", other, LIMIT) == "success"
    assert airflow.processes["triggerer"].pid == triggerer
    assert airflow.processes["triggerer"].poll() is None
