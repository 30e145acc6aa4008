# SPDX-License-Identifier: Apache-2.0
"""What the scenarios run. Each run's configuration says which connection and which trims.

The DAGs have no ``params``: when a wait starts from a trigger, Airflow (3.3.2) checks each of them in the triggerer's
event loop, where that takes 7 ms of all waits' time.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, task
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync

from airflow_provider_trim.operators.trim import TrimVideoOperator
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor

TRIMS_PER_RUN = int(os.environ["TRIMS_PER_RUN"])
LONG = pendulum.duration(hours=2)
RUN = {"schedule": None, "start_date": pendulum.datetime(2026, 1, 1, tz="UTC"), "catchup": False}


@task
def receive(infos: Any, dag_run: Any) -> None:
    """Note what came, where it would be seen if it came twice."""
    with (Path(dag_run.conf["received"]) / f"{dag_run.conf['prefix']}.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(list(infos)) + "\n")


with DAG("waits", **RUN):
    # A task for each trim of a run. No retries: what fails once has failed.
    waits = TrimTaskStatusSensor.partial(
        task_id="wait",
        trim_conn_id="{{ dag_run.conf.conn_id }}",
        deferrable=True,
        poke_interval=2,
        timeout=LONG,
        # An outage of the service is longer than the ten polls that are the default.
        max_consecutive_failures=100_000,
        retries=0,
    ).expand(trans_no=[f"{{{{ dag_run.conf.prefix }}}}-{number}" for number in range(TRIMS_PER_RUN)])
    receive(waits.output)

with DAG("submits", **RUN):
    # A worker that is lost costs a try, and these lose many.
    TrimVideoOperator(
        task_id="submit",
        video_id="0123456789abcdef",
        seek_start=0,
        duration=20,
        filename="{{ dag_run.conf.prefix }}",
        trim_conn_id="{{ dag_run.conf.conn_id }}",
        deferrable=True,
        poll_interval=2,
        timeout=LONG,
        max_consecutive_failures=100_000,
        retries=100,
        retry_delay=pendulum.duration(seconds=1),
    )


def wait_without_workers(number: int, interval: float, max_consecutive_failures: int = 100_000) -> None:
    """Wait for one of a run's trims; no worker is started for it."""
    TrimTaskStatusSensor(
        task_id=f"wait-{number}",
        trans_no=f"{{{{ dag_run.conf.prefix }}}}-{number}",
        trim_conn_id="{{ dag_run.conf.conn_id }}",
        start_from_trigger=True,
        finish_in_triggerer=True,
        poke_interval=interval,
        timeout=LONG,
        max_consecutive_failures=max_consecutive_failures,
        retries=0,
    )


with DAG("thousands", **RUN):
    for number in range(TRIMS_PER_RUN):
        wait_without_workers(number, interval=30)

with DAG("waits_without_workers", **RUN):
    for number in range(TRIMS_PER_RUN):
        wait_without_workers(number, interval=10)

with DAG("waits_by_default", **RUN):
    for number in range(TRIMS_PER_RUN):
        wait_without_workers(number, interval=10, max_consecutive_failures=10)

with DAG("undisturbed", **RUN):
    # Another package's deferred task, in addition to those that wait for trims.
    DateTimeSensorAsync(task_id="wait", target_time="{{ dag_run.conf.until }}")
