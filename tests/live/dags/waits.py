# SPDX-License-Identifier: Apache-2.0
"""What the tests run in addition to the examples."""

from datetime import timedelta

from airflow.sdk import DAG, task

from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor


def wait(task_id="wait", **arguments):
    return TrimTaskStatusSensor(task_id=task_id, poke_interval=1, start_from_trigger=True, **arguments)


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
