# SPDX-License-Identifier: Apache-2.0
import pendulum
from airflow.sdk import DAG

from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor

with DAG(
    "after",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    params={"trans_no": "clip-1"},
) as dag:
    video_info = TrimTaskStatusSensor(
        task_id="video_info",
        trans_no="{{ params.trans_no }}",
        deferrable=True,
        timeout=7200,
    )
