# SPDX-License-Identifier: Apache-2.0
"""Cut any number of clips out of one video, each by a mapped task, and let another DAG run when all are there."""

from __future__ import annotations

from typing import Any

import pendulum

try:
    from airflow.sdk import DAG, Asset, Param, task
except ImportError:  # Airflow 2.11
    from airflow.datasets import Dataset as Asset
    from airflow.decorators import task
    from airflow.models.dag import DAG
    from airflow.models.param import Param

from airflow_provider_trim.operators.trim import TrimVideoOperator

START = pendulum.datetime(2026, 1, 1, tz="UTC")
HIGHLIGHTS = Asset("trim://highlights")

with DAG(
    dag_id="example_trim_highlights",
    schedule=None,
    start_date=START,
    catchup=False,
    params={
        "video_id": Param("DC543253DFA4D22C9ABF3F76721E54E7", type="string"),
        "goals": Param(["00:12:30", "00:44:05.5", "01:31:59"], type="array", items={"type": "string"}),
    },
    doc_md=__doc__,
    tags=["example", "trim"],
) as dag:

    @task
    def find_goals(params: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what differs from clip to clip; a real pipeline gets it from the data of the match."""
        return [
            {"seek_start": goal, "duration": 20, "filename": f"goal-{number}"}
            for number, goal in enumerate(params["goals"], start=1)
        ]

    clip = TrimVideoOperator.partial(
        task_id="clip",
        video_id="{{ params.video_id }}",
        suffix="mp4",
        deferrable=True,
        retries=2,
    ).expand_kwargs(find_goals())

    @task(outlets=[HIGHLIGHTS])
    def collect(infos: list[dict[str, Any]], *, outlet_events: Any) -> list[dict[str, Any]]:
        """Return ``videoInfo`` of all clips, in the order of the goals, and announce them by the asset."""
        videos = list(infos)
        outlet_events[HIGHLIGHTS].extra = {"video_ids": [info["videoId"] for info in videos]}
        return videos

    collect(clip.output)

with DAG(
    dag_id="example_trim_highlights_playlist",
    schedule=[HIGHLIGHTS],
    start_date=START,
    catchup=False,
    doc_md="Runs whenever new highlights are there.",
    tags=["example", "trim"],
) as playlist_dag:

    @task
    def make_playlist(**context: Any) -> list[str]:
        """Return the ids of the videos that have come, in order."""
        name = "triggering_asset_events" if "triggering_asset_events" in context else "triggering_dataset_events"
        events = [event for events in context[name].values() for event in events]
        return [video_id for event in events for video_id in event.extra["video_ids"]]

    make_playlist()
