# SPDX-License-Identifier: Apache-2.0
"""Each example DAG runs to its end against the emulator, deferral included."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trim.emulator import TrimEmulator
from tests.support.running import AIRFLOW_3, register

EXAMPLES = Path(__file__).parents[2] / "example_dags"


def load(name: str, variable: str = "dag") -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, variable)


def test_wait(trim_default: TrimEmulator, example_response: dict, run_dag: Any, xcom: Any) -> None:
    data = example_response["data"]
    trim_default.add_trim(data["transNo"], seconds=0.5, video_info=data["videoInfo"])
    run = run_dag(load("example_trim_wait"), trans_no=data["transNo"])
    assert run.state == "success"
    assert xcom(run, "wait") == data["videoInfo"]
    assert xcom(run, "video_info") == data["videoInfo"]
    assert xcom(run, "video_info", "video_id") == data["videoInfo"]["videoId"]
    assert xcom(run, "pick_best_rendition") == data["videoInfo"]["videoResolutions"][2]


def test_many(trim_default: TrimEmulator, run_dag: Any, xcom: Any) -> None:
    names = ["clip-1", "clip-2", "clip-3"]
    for name in names:
        trim_default.add_trim(name, seconds=0.2)
    run = run_dag(load("example_trim_many"), trans_nos=names)
    assert run.state == "success"
    sizes = [int(trim_default.video_info(name)["videoSize"]) for name in names]
    assert xcom(run, "summarise") == {"videos": 3, "bytes": sum(sizes)}
    for index, name in enumerate(names):
        assert xcom(run, "wait", map_index=index) == trim_default.video_info(name)


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2.11 keeps the events of assets (datasets) in other tables")
def test_highlights(trim_default: TrimEmulator, airflow_db: None, xcom: Any) -> None:
    """Twelve clips of one video, in order, and then the DAG that is scheduled on them is due."""
    from airflow.models.asset import AssetEvent, AssetModel, DagScheduleAssetReference
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select, update

    emulator = trim_default
    emulator.duration = 0
    dag = load("example_trim_highlights")
    playlist = load("example_trim_highlights", "playlist_dag")
    dag.get_task("clip").partial_kwargs["first_poll_after"] = 0.05  # dag.test() waits for one after the other
    register(dag, playlist)
    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == playlist.dag_id).values(is_paused=False))

    goals = [f"00:{minute:02}:30.5" for minute in range(12)]
    run = dag.test(run_conf={"video_id": "MATCH", "goals": goals})
    assert run.state == "success"
    infos = xcom(run, "collect")
    assert [info["videoName"] for info in infos] == [f"goal-{number}" for number in range(1, 13)]
    submitted = {submission.parameters["filename"]: submission for submission in emulator.submissions}
    assert len(emulator.submissions) == len(submitted) == 12
    for number, info in enumerate(infos):
        submission = submitted[f"goal-{number + 1}"]
        assert (submission.parameters["videoId"], submission.parameters["seekStart"]) == ("MATCH", 60 * number + 30)
        assert info == emulator.video_info(submission.trans_no) == xcom(run, "clip", map_index=number)

    with create_session() as session:
        event = session.scalars(
            select(AssetEvent)
            .join(AssetModel, AssetEvent.asset_id == AssetModel.id)
            .where(AssetModel.name == "trim://highlights")
        ).one()
        assert (event.source_dag_id, event.source_task_id, event.source_run_id) == (dag.dag_id, "collect", run.run_id)
        assert event.extra["video_ids"] == [info["videoId"] for info in infos]
        scheduled_on = session.scalars(
            select(DagScheduleAssetReference.asset_id).where(DagScheduleAssetReference.dag_id == playlist.dag_id)
        ).all()
        assert scheduled_on == [event.asset_id]
        due, _ = DagModel.dags_needing_dagruns(session)
        assert playlist.dag_id in {model.dag_id for model in due}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_every_example_has_a_test(path: Path) -> None:
    assert f'load("{path.stem}")' in Path(__file__).read_text(encoding="utf-8")
