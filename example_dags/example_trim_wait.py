# SPDX-License-Identifier: Apache-2.0
"""Wait for a trim without holding a worker, then use what came out of it."""

from __future__ import annotations

from typing import Any

import pendulum

try:
    from airflow.sdk import DAG, Param, task
except ImportError:  # Airflow 2.11
    from airflow.decorators import task
    from airflow.models.dag import DAG
    from airflow.models.param import Param

from airflow_provider_trim.operators.trim import TrimVideoInfoOperator
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor

with DAG(
    dag_id="example_trim_wait",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    default_args={"retries": 2},  # should the service be unreachable for minutes
    params={
        "trans_no": Param(
            "036b6f4a01611000a79c3a7800000000",
            type="string",
            maxLength=32,
            title="transNo",
            description="Under which the trim was submitted",
        )
    },
    doc_md=__doc__,
    tags=["example", "trim"],
) as dag:
    wait = TrimTaskStatusSensor(
        task_id="wait",
        trans_no="{{ params.trans_no }}",
        deferrable=True,
        timeout=pendulum.duration(hours=2),
    )
    video_info = TrimVideoInfoOperator(task_id="video_info", trans_no="{{ params.trans_no }}")

    @task
    def pick_best_rendition(info: dict[str, Any]) -> dict[str, Any]:
        """Return the rendition with the most pixels."""
        best = max(info["videoResolutions"], key=lambda rendition: rendition["width"] * rendition["height"])
        of, size = int(info["videoSize"]), best["fileSize"]
        print(f"{info['videoName']}: {best['width']}x{best['height']}, {size / 1e6:.1f} MB of {of / 1e6:.1f} MB")
        return best

    wait >> video_info
    pick_best_rendition(video_info.output)
