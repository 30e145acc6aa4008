# SPDX-License-Identifier: Apache-2.0
"""What those downstream get: asset events, the link to the video, lineage, typed access."""

from __future__ import annotations

import sys
from typing import Any

import pendulum
import pytest
import requests
from airflow.providers.common.compat.sdk import DAG, Asset

from airflow_provider_trim.emulator import ServiceData, TrimEmulator
from airflow_provider_trim.links.trim import URL_KEY, TrimVideoLink, video_url
from airflow_provider_trim.operators.trim import TrimVideoInfoOperator, TrimVideoOperator
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from airflow_provider_trim.vod.models import VideoInfo
from airflow_provider_trim.waiting.lineage import lineage_of
from tests.support.running import AIRFLOW_3

START = pendulum.datetime(2026, 1, 1, tz="UTC")


def asset_events(uri: str) -> list[dict[str, Any]]:
    from airflow.utils.session import create_session
    from sqlalchemy import select

    if AIRFLOW_3:
        from airflow.models.asset import AssetEvent, AssetModel

        asset_id = AssetEvent.asset_id
    else:
        from airflow.models.dataset import DatasetEvent as AssetEvent
        from airflow.models.dataset import DatasetModel as AssetModel

        asset_id = AssetEvent.dataset_id
    with create_session() as session:
        query = select(AssetEvent).join(AssetModel, AssetModel.id == asset_id).where(AssetModel.uri == uri)
        return [event.extra for event in session.scalars(query.order_by(AssetEvent.id))]


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_assets_say_which_video_they_are_about(
    trim_default: TrimEmulator, example_response: dict, run_dag: Any, mode: str
) -> None:
    data = example_response["data"]
    trim_default.add_trim("one", seconds=0.2, video_info=data["videoInfo"])
    trim_default.add_trim("two", seconds=0)
    uris = [f"trim://{mode}/{task}" for task in ("sensor", "operator", "many")]
    deferrable = mode == "deferrable"
    with DAG(dag_id=f"assets_{mode}", schedule=None, start_date=START) as dag:
        TrimTaskStatusSensor(
            task_id="sensor", trans_no="one", outlets=[Asset(uris[0])], deferrable=deferrable, poke_interval=0.05
        )
        TrimVideoInfoOperator(
            task_id="operator", trans_no="one", outlets=[Asset(uris[1])], deferrable=deferrable, poll_interval=0.05
        )
        TrimVideoInfoOperator(
            task_id="many", trans_no=["one", "two"], outlets=[Asset(uris[2])], deferrable=deferrable, poll_interval=0.05
        )
    assert run_dag(dag).state == "success"
    one = {
        "video_id": data["videoInfo"]["videoId"],
        "trans_no": "one",
        "video_name": data["videoInfo"]["videoName"],
        "duration": 189.0,
    }
    assert asset_events(uris[0]) == [one]
    assert asset_events(uris[1]) == [one]
    (many,) = asset_events(uris[2])
    assert many["videos"][0] == one
    assert many["videos"][1]["trans_no"] == "two"


@pytest.mark.parametrize(
    ("image", "domain", "url"),
    [
        ("https://img.example/poster.jpg", "vod.example", "https://img.example/poster.jpg"),
        ("", "vod.example", "https://vod.example"),
        ("", "http://vod.example/x", "http://vod.example/x"),
        ("https://img.example/片段.jpg?a=b&c", "", "https://img.example/片段.jpg?a=b&c"),
        ("https://img.example/a\nb", "vod.example", "https://vod.example"),
        ("https://img.example/\u202egpj", "", ""),
        ("https://img.example/\x1b[31m", "", ""),
        ("https://img.example/<script>", "", ""),
        ("https://img.example/" + "x" * 900_000, "", ""),
        ("//img.example.com/p.jpg", "", "https://img.example.com/p.jpg"),
        ("HTTP://img.example.com/P.jpg", "", "http://img.example.com/P.jpg"),
        (" https://img.example.com/p.jpg\n", "", "https://img.example.com/p.jpg"),
        ("img.example.com/p.jpg?a=https://b.example", "", "https://img.example.com/p.jpg?a=https://b.example"),
        ("img.example.com:8443/p.jpg", "", "https://img.example.com:8443/p.jpg"),
        ("10.0.0.1/p.jpg", "", "https://10.0.0.1/p.jpg"),
        ("https://[2001:db8::1]:8443/p.jpg", "", "https://[2001:db8::1]:8443/p.jpg"),
        ("http://127.0.0.1:8766/posters/T.svg", "", "http://127.0.0.1:8766/posters/T.svg"),
        ("片段.example.com/p.jpg", "", "https://片段.example.com/p.jpg"),
        ("/p.jpg", "vod.example.com", "https://vod.example.com"),
        ("/p.jpg", "", ""),
        ("///p.jpg", "", ""),
        ("https:///p.jpg", "", ""),
        ("https://./p.jpg", "", ""),
        ("poster.jpg", "", ""),
        ("images/poster.jpg", "", ""),
        ("N/A", "N/A", ""),
        ("null", "-", ""),
        ("", "//vod.example.com", "https://vod.example.com"),
        ("https://vod.example.com@elsewhere.example/", "", ""),
        ("a." * 200_000, "", ""),
        ("javascript://alert(1)", "", ""),
        ("javascript://alert(1)", "vod.example", "https://vod.example"),
        ("", "", ""),
    ],
)
def test_where_the_link_leads(image: str, domain: str, url: str) -> None:
    assert video_url(VideoInfo.from_xcom({"imageUrl": image, "publishDomain": domain})) == url


def test_the_link_of_a_finished_task(trim_default: TrimEmulator, run_dag: Any, xcom: Any) -> None:
    """The address that is pushed, which the link has under the same key, leads to a picture."""
    trim_default.add_trim("T", seconds=0)
    with DAG(dag_id="link", schedule=None, start_date=START) as dag:
        TrimVideoInfoOperator(task_id="info", trans_no="T")
    run = run_dag(dag)
    (link,) = TrimVideoInfoOperator.operator_extra_links
    assert isinstance(link, TrimVideoLink)
    assert link.xcom_key == URL_KEY == "video_url"
    address = xcom(run, "info", URL_KEY)
    assert address == trim_default.video_info("T")["imageUrl"]
    poster = requests.get(address, timeout=60)
    assert (poster.status_code, poster.headers["Content-Type"]) == (200, "image/svg+xml")


def test_without_a_link_nothing_is_missed(
    trim_default: TrimEmulator, run_dag: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Airflow 3 asks for the link at a deferral, too, and logs an error for each XCom that is not there."""
    trim_default.add_trim("T", seconds=0)
    trim_default.misbehave("T", ServiceData({"transNo": "T", "status": 1}))
    with DAG(dag_id="no_link", schedule=None, start_date=START) as dag:
        TrimVideoInfoOperator(task_id="info", trans_no="T", deferrable=True, poll_interval=0.5)
    run = run_dag(dag)
    assert run.state == "success"
    assert len(trim_default.calls_for("T")) == 2, "it was deferred"
    assert "XCom not found" not in "".join(capfd.readouterr())


def test_lineage_says_which_video_came_out_of_which() -> None:
    task = TrimVideoOperator(task_id="clip", video_id="SOURCE", seek_start=0, duration=1, filename="f")
    task._video_ids = ["OUT"]
    lineage = task.get_openlineage_facets_on_complete(None)
    assert [(d.namespace, d.name) for d in lineage.inputs] == [("cloudvod", "SOURCE")]
    assert [(d.namespace, d.name) for d in lineage.outputs] == [("cloudvod", "OUT")]


def test_without_the_openlineage_provider_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lineage_of(["a"], ["b"]) is not None
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.extractors", None)
    assert lineage_of(["a"], ["b"]) is None


def test_typed_access(example_response: dict) -> None:
    info = VideoInfo.from_xcom(example_response["data"]["videoInfo"])
    assert info.duration == pendulum.duration(minutes=3, seconds=9)
    assert sum(rendition.file_size for rendition in info.video_resolutions) == info.video_size
    with pytest.raises(ValueError, match="dictionary"):
        VideoInfo.from_xcom("nothing")
