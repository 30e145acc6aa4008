# SPDX-License-Identifier: Apache-2.0
"""The vendor's own example ("Get Trimming Task Status"), and what else may be on the wire."""

import copy
import json
import pickle
from enum import Enum
from pathlib import Path
from typing import Any

import pendulum
import pytest
from pydantic import BaseModel

from airflow_provider_trim.vod.models import (
    Clarity,
    Encryption,
    ServerType,
    TranscodeState,
    TrimStatus,
    TrimTask,
    VideoInfo,
    VideoResolution,
    VideoSource,
    VideoState,
)

EXAMPLE = Path(__file__).parents[1] / "data" / "interface-example.json"


@pytest.fixture
def data() -> dict[str, Any]:
    """``data`` of the vendor's example."""
    return json.loads(EXAMPLE.read_text(encoding="utf-8"))["data"]


@pytest.fixture
def task(data: dict[str, Any]) -> TrimTask:
    return TrimTask.model_validate(data)


def test_documented_example(task: TrimTask) -> None:
    assert (task.task_id, task.trans_no) == ("036b6fb401611000be5f693600000000", "036b6f4a01611000a79c3a7800000000")
    assert task.status is TrimStatus.SUCCESSFUL
    assert task.request_id is None
    video = task.video_info
    assert video is not None
    assert video.model_dump(exclude={"raw", "video_resolutions"}) == {
        "video_id": "DC543253DFA4D22C9ABF3F76721E54E7",
        "video_name": "3234234",
        "encrypt": Encryption.ENCRYPTED,
        "video_size": 39326167,
        "duration": pendulum.duration(seconds=189),
        "upload_time": pendulum.datetime(2018, 1, 17, 9, 20, 28),
        "update_time": pendulum.datetime(2018, 1, 17, 9, 47, 58),
        "video_description": "",
        "video_classification": "",
        "image_url": "",
        "publish_domain": "",
        "player_name": "基础播放器",
        "player_id": "DF2DAF233DDA",
        "video_state": VideoState.ENABLED,
        "transcode_state": TranscodeState.TRANSCODED,
        "video_source_code": VideoSource.TRIMMING,
    }
    assert [rendition.model_dump(exclude={"raw"}) for rendition in video.video_resolutions] == [
        {"clarity": clarity, "server_type": server_type, "width": width, "height": height, "file_size": size}
        for clarity, server_type, width, height, size in [
            (Clarity.ORIGINAL, ServerType(-1), 640, 360, 14937188),
            (Clarity.LD, ServerType.PC, 640, 360, 9204528),
            (Clarity.SD, ServerType.PC, 720, 480, 15184451),
        ]
    ]


def test_sizes_are_bytes_and_add_up(task: TrimTask) -> None:
    assert task.video_info is not None
    sizes = [rendition.file_size for rendition in task.video_info.video_resolutions]
    assert sum(size for size in sizes if size) == task.video_info.video_size


def test_times_are_utc_and_durations_pendulums(task: TrimTask) -> None:
    assert task.video_info is not None
    for time in (task.video_info.upload_time, task.video_info.update_time):
        assert isinstance(time, pendulum.DateTime)
        assert time.timezone_name == "UTC"
    assert isinstance(task.video_info.duration, pendulum.Duration)


def test_an_xcom_of_a_model_keeps_everything(example_response: dict[str, Any]) -> None:
    """Airflow stores what ``model_dump`` makes, and validates that again."""
    task = TrimTask.model_validate(example_response["data"])
    assert TrimTask.model_validate(task.model_dump()) == task
    assert task.video_info is not None
    assert VideoInfo.model_validate(task.video_info.model_dump()) == task.video_info
    assert VideoInfo.from_xcom(task.video_info.model_dump()).raw == example_response["data"]["videoInfo"]


def test_raw_is_what_was_on_the_wire(data: dict[str, Any]) -> None:
    data |= {"raw": "the service's", "requestId": "not the header's", "unheardOf": [1, {"raw": {}}]}
    data["videoInfo"] |= {"raw": {"a": 1}, "unheardOf": None}
    data["videoInfo"]["videoResolutions"][0]["raw"] = 0
    wire = copy.deepcopy(data)
    task = TrimTask.model_validate(data)
    assert task.raw == wire
    assert task.video_info is not None
    assert task.video_info.raw == wire["videoInfo"]
    assert [rendition.raw for rendition in task.video_info.video_resolutions] == wire["videoInfo"]["videoResolutions"]
    assert data == wire


LISTED = {
    TrimStatus: {1: "PROCESSING", 2: "SUCCESSFUL", 3: "FAILED"},
    Encryption: {0: "UNENCRYPTED", 1: "ENCRYPTED"},
    VideoState: {"0": "ENABLED", "1": "DISABLED"},
    TranscodeState: {
        "1": "TRANSCODED",
        "2": "INCOMPLETE",
        "3": "TRANSCODING",
        "4": "FAILED",
        "5": "ENCRYPTED_NOT_TRANSCODED",
    },
    VideoSource: {
        0: "OTHER",
        1: "UPLOADED",
        2: "LIVE_TO_VOD",
        3: "PULLED",
        4: "TRIMMING",
        5: "SPLICING",
        6: "EDGE_PULL_RECORDING",
        10: "UNIVERSAL_LIVE_RECORDING",
        11: "UPLOAD_SDK",
        12: "UPLOAD_TOOL",
    },
    Clarity: {1: "ORIGINAL", 2: "LD", 3: "SD", 4: "HD", 5: "UHD", -99: "RECORDED_FILE"},
    ServerType: {0: "PC", 1: "ORIGINAL_VIDEO"},
}
"""The tables of the vendor's page "Get Trimming Task Status": ``data``, ``videoInfo`` and ``videoResolutions``."""


@pytest.mark.parametrize("kind", LISTED)
def test_enumeration(kind: type[Enum]) -> None:
    assert {member.value: member.name for member in kind} == LISTED[kind]
    for member in kind:
        assert kind(int(member.value)) is kind(str(member.value)) is member
    for unknown in (kind(77), kind("77")):
        # Kept, never taken for a listed one, and not added to those.
        assert unknown == kind(77)
        assert str(unknown.value) == "77"
        assert unknown.name == "UNKNOWN_77"
        assert isinstance(unknown, kind)
        assert unknown not in list(kind)
        assert pickle.loads(pickle.dumps(unknown)) == copy.deepcopy(unknown) == unknown
    for nonsense in (None, [], 1.5):
        with pytest.raises(ValueError, match="is not a valid"):
            kind(nonsense)


@pytest.mark.parametrize(("kind", "value"), [(TrimStatus, "x"), (Clarity, ""), (ServerType, "1.5"), (Encryption, "²")])
def test_an_integer_enumeration_takes_no_text(kind: type[Enum], value: str) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        kind(value)


def test_text_of_a_string_enumeration_is_kept() -> None:
    assert VideoState("archived") == "archived"
    assert VideoState("archived").name == "UNKNOWN_archived"


@pytest.mark.parametrize(
    ("model", "name", "wire", "attribute", "value"),
    [
        (TrimTask, "status", "2", "status", TrimStatus.SUCCESSFUL),
        (TrimTask, "taskId", 12, "task_id", "12"),
        (TrimTask, "transNo", None, "trans_no", ""),
        (TrimTask, "videoInfo", None, "video_info", None),
        (TrimTask, "videoInfo", "", "video_info", None),
        (VideoInfo, "videoId", 5, "video_id", "5"),
        (VideoInfo, "videoName", None, "video_name", ""),
        (VideoInfo, "playerName", None, "player_name", ""),
        (VideoInfo, "encrypt", "1", "encrypt", Encryption.ENCRYPTED),
        (VideoInfo, "encrypt", "", "encrypt", None),
        (VideoInfo, "encrypt", None, "encrypt", None),
        (VideoInfo, "videoSize", 7, "video_size", 7),
        (VideoInfo, "videoSize", "", "video_size", None),
        (VideoInfo, "videoSize", 2**63, "video_size", 2**63),
        (VideoInfo, "videoDuration", 189, "duration", pendulum.duration(minutes=3, seconds=9)),
        (VideoInfo, "videoDuration", "1.25", "duration", pendulum.duration(milliseconds=1250)),
        (VideoInfo, "videoDuration", "0", "duration", pendulum.duration()),
        (VideoInfo, "videoDuration", "", "duration", None),
        (VideoInfo, "videoDuration", None, "duration", None),
        (VideoInfo, "uploadTime", 1516180828, "upload_time", pendulum.datetime(2018, 1, 17, 9, 20, 28)),
        (VideoInfo, "uploadTime", "0", "upload_time", pendulum.datetime(1970, 1, 1)),
        (VideoInfo, "uploadTime", "", "upload_time", None),
        (VideoInfo, "updateTime", None, "update_time", None),
        (VideoInfo, "videoState", 1, "video_state", VideoState.DISABLED),
        (VideoInfo, "videoState", "", "video_state", None),
        (VideoInfo, "transcodeState", 4, "transcode_state", TranscodeState.FAILED),
        (VideoInfo, "transcodeState", None, "transcode_state", None),
        (VideoInfo, "videoSourceCode", "10", "video_source_code", VideoSource.UNIVERSAL_LIVE_RECORDING),
        (VideoInfo, "videoSourceCode", 99, "video_source_code", VideoSource(99)),
        (VideoInfo, "videoResolutions", None, "video_resolutions", ()),
        (VideoInfo, "videoResolutions", "", "video_resolutions", ()),
        (VideoResolution, "clarity", "-99", "clarity", Clarity.RECORDED_FILE),
        (VideoResolution, "serverType", -1, "server_type", ServerType(-1)),
        (VideoResolution, "width", "640", "width", 640),
        (VideoResolution, "height", "", "height", None),
        (VideoResolution, "fileSize", "15184451", "file_size", 15184451),
    ],
)
def test_leniency(model: type[BaseModel], name: str, wire: object, attribute: str, value: object) -> None:
    content = {"status": 1, name: wire} if model is TrimTask else {name: wire}
    got = getattr(model.model_validate(content), attribute)
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("model", "content"),
    [
        (TrimTask, {}),
        *((TrimTask, {"status": status}) for status in (None, "", "done", True, 1.5, [], {})),
        *((TrimTask, {"status": 2, "videoInfo": value}) for value in ([], "x", 5)),
        (TrimTask, {"status": 1, "transNo": {}}),
        (TrimTask, []),
        *((VideoInfo, {"videoDuration": value}) for value in ("long", "nan", "inf", 10**400, [], {})),
        *((VideoInfo, {"uploadTime": value}) for value in ("today", "nan", "inf", "1e30", 10**400, [], {})),
        *((VideoInfo, {"videoSize": value}) for value in ("big", 1.5, True, [])),
        *((VideoInfo, {"videoResolutions": value}) for value in ("x", {"clarity": 1}, [None], [[]])),
        (VideoInfo, {"videoName": []}),
        *((VideoResolution, {name: "x"}) for name in ("clarity", "serverType", "width", "height", "fileSize")),
    ],
)
def test_malformed_data_is_rejected(model: type[BaseModel], content: object) -> None:
    with pytest.raises(ValueError, match="validation error"):
        model.model_validate(content)


def test_models_are_frozen(task: TrimTask) -> None:
    assert task.video_info is not None
    for model, name in [(task, "status"), (task.video_info, "video_id"), (task.video_info.video_resolutions[0], "raw")]:
        with pytest.raises(ValueError, match="frozen"):
            setattr(model, name, None)


def test_models_can_be_pickled(task: TrimTask) -> None:
    again = pickle.loads(pickle.dumps(task))
    assert again == task
    assert again.raw == task.raw


def test_python_values_are_taken_as_they_are() -> None:
    time, duration = pendulum.datetime(2018, 1, 17), pendulum.duration(seconds=5)
    video = VideoInfo.model_validate({"uploadTime": time, "videoDuration": duration})
    assert (video.upload_time, video.duration) == (time, duration)


def test_renditions_are_bounded_before_they_are_validated() -> None:
    """A response of some kilobytes, compressed, can hold a hundred thousand of them."""
    info = {"videoResolutions": [{}] * 100}
    assert len(VideoInfo.from_xcom(info).video_resolutions) == 100
    with pytest.raises(ValueError, match=r"videoResolutions\n.*must have at most 100 elements, not 101"):
        VideoInfo.from_xcom({"videoResolutions": [{}] * 101})
