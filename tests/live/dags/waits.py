# SPDX-License-Identifier: Apache-2.0
"""What the tests run in addition to the examples."""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync
from airflow.sdk import DAG, Variable, task

from airflow_provider_trim.operators.trim import TrimVideoOperator
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor


def wait(task_id="wait", **arguments):
    common = {"poke_interval": 1, "start_from_trigger": True}
    return TrimTaskStatusSensor(task_id=task_id, **{**common, **arguments})


with DAG("starts_there"):
    wait(trans_no="starts")

with DAG("ends_there"):
    wait(trans_no="ends", finish_in_triggerer=True)

with DAG("list_ends_there"):

    @task
    def name_of(video):
        return f"{type(video).__name__} {video['videoName']}"

    waiting = wait(trans_no=["first", "second"], finish_in_triggerer=True)
    name_of.expand(video=waiting.output)

with DAG("template"):

    @task
    def submitted():
        return "templated"

    @task
    def kind(video):
        return type(video).__name__

    waiting = wait(trans_no="{{ ti.xcom_pull(task_ids='submitted', map_indexes=-1) }}", finish_in_triggerer=True)
    submitted() >> waiting
    kind(waiting.output)

with DAG("fails"):
    wait(trans_no="fails", finish_in_triggerer=True, retries=2)

with DAG("skips"):
    wait(trans_no="fails", finish_in_triggerer=True, soft_fail=True)

with DAG("times_out"):
    wait(trans_no="endless", finish_in_triggerer=True, timeout=3, execution_timeout=timedelta(hours=1))

with DAG("killed"):
    wait(trans_no="long", finish_in_triggerer=True, timeout=3600)

with DAG("mapped"):
    TrimTaskStatusSensor.partial(
        task_id="wait", poke_interval=1, start_from_trigger=True, finish_in_triggerer=True
    ).expand(trans_no=["mapped0", "mapped1"])

with DAG("refused"):
    TrimTaskStatusSensor(task_id="wait", trans_no="refused", deferrable=True)

with DAG("of_conf"):
    wait(trans_no="{{ dag_run.conf['trans_no'] }}", finish_in_triggerer=True)

with DAG("limits"):
    again = {"execution_timeout": timedelta(seconds=4), "retries": 1, "retry_delay": timedelta(0)}
    # A busy scheduler fails a task whose deferral ends before it has heard of its first worker's end.
    pooled = {"start_from_trigger": False, "deferrable": True, "pool": "single", "retries": 3}
    for name in ("one", "two"):
        wait(name, trans_no=f"pooled {name}", retry_delay=timedelta(0), **pooled)
    wait("times_out", trans_no="for ever", **again)

with DAG("clips"):

    @task
    def clips():
        return [{"filename": name} for name in Variable.get("clips", deserialize_json=True)]

    TrimVideoOperator.partial(
        task_id="clip", video_id="CHANGES", seek_start=0, duration=9, wait_for_completion=False
    ).expand_kwargs(clips())

with DAG(
    "daily", schedule="@daily", start_date=datetime(2026, 1, 1, tzinfo=UTC), end_date=datetime(2026, 1, 9, tzinfo=UTC)
):
    TrimVideoOperator(
        task_id="clip", video_id="V", seek_start=0, duration=9, filename="daily {{ ds }}", wait_for_completion=False
    )

with DAG("submits"):
    TrimVideoOperator(task_id="clip", video_id="V", seek_start=0, duration=9, filename="f", wait_for_completion=False)

with DAG("poisoned"):
    wait(trans_no="{{ dag_run.conf['trans_no'] }}", max_consecutive_failures=2)

with DAG("undisturbed"):
    # A busy scheduler fails a task whose deferral ends before it has heard of its first worker's end.
    DateTimeSensorAsync(task_id="wait", target_time="{{ dag_run.conf.until }}", retries=3, retry_delay=timedelta(0))
