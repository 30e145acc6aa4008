# SPDX-License-Identifier: Apache-2.0
"""The response to a query, as the service documents it."""

from __future__ import annotations

import math
from typing import Any

import aiohttp
import pytest

from airflow_provider_trim.emulator import TrimEmulator

PATH = "/vod/videoManage/videoClipQuery"

WIRE_TYPES = {
    "encrypt": int,
    "imageUrl": str,
    "playerId": str,
    "playerName": str,
    "publishDomain": str,
    "transcodeState": str,
    "updateTime": str,
    "uploadTime": str,
    "videoClassification": str,
    "videoDescription": str,
    "videoDuration": str,
    "videoId": str,
    "videoName": str,
    "videoResolutions": list,
    "videoSize": str,
    "videoSourceCode": int,
    "videoState": str,
}


def test_running_trim_has_status_1_and_no_video_info(emulator: TrimEmulator, client: Any) -> None:
    trim = emulator.add_trim("t1")
    response = client.post("t1")
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json;charset=UTF-8"
    assert response.json() == {
        "code": 200,
        "message": "操作成功",
        "data": {"taskId": trim.task_id, "transNo": "t1", "status": 1},
    }
    assert "操作成功".encode() in response.content


def test_trim_succeeds_at_its_end(emulator: TrimEmulator, client: Any, clock: Any) -> None:
    emulator.add_trim("t1", seconds=60)
    running = client.post("t1").json()["data"]
    clock.now += 59.9
    assert client.post("t1").json()["data"]["status"] == 1
    clock.now += 0.1
    done = client.post("t1").json()["data"]
    assert done["status"] == 2
    assert done["taskId"] == running["taskId"]
    assert done["videoInfo"] == emulator.video_info("t1")


def test_trim_takes_the_default_duration(clock: Any) -> None:
    emulator = TrimEmulator(duration=7, clock=clock)
    emulator.add_trim("t1")
    clock.now += 6.9
    assert emulator.video_info("t1") is None
    clock.now += 0.2
    assert emulator.video_info("t1") is not None


def test_generated_video_info_has_the_documented_shape(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1", seconds=0)
    info = client.post("t1").json()["data"]["videoInfo"]
    assert {name: type(value) for name, value in info.items()} == WIRE_TYPES
    resolutions = info["videoResolutions"]
    assert len(resolutions) == 3
    for resolution in resolutions:
        assert {name: type(value) for name, value in resolution.items()} == {
            "clarity": int,
            "fileSize": int,
            "height": int,
            "serverType": int,
            "width": int,
        }
    assert sum(resolution["fileSize"] for resolution in resolutions) == int(info["videoSize"])
    assert not info["playerName"].isascii()


def test_upload_and_update_time_are_start_and_end_of_the_trim(emulator: TrimEmulator, client: Any, clock: Any) -> None:
    emulator.add_trim("t1", seconds=100)
    clock.now += 5000
    info = client.post("t1").json()["data"]["videoInfo"]
    assert (info["uploadTime"], info["updateTime"]) == ("1516180828", "1516180928")


def test_trims_have_distinct_ids(emulator: TrimEmulator, client: Any) -> None:
    for trans_no in ("t1", "t2"):
        emulator.add_trim(trans_no, seconds=0)
    one, two = (client.post(trans_no).json()["data"] for trans_no in ("t1", "t2"))
    assert one["taskId"] != two["taskId"]
    assert one["videoInfo"]["videoId"] != two["videoInfo"]["videoId"]


def test_given_video_info_is_sent_unchanged(emulator: TrimEmulator, client: Any) -> None:
    info = {"videoId": 7, "未知": [None, -1]}
    emulator.add_trim("t1", seconds=0, video_info=info)
    assert client.post("t1").json()["data"]["videoInfo"] == info


def test_failed_trim_has_status_3_and_no_video_info(emulator: TrimEmulator, client: Any, clock: Any) -> None:
    trim = emulator.add_trim("t1", seconds=2, outcome="fail")
    assert client.post("t1").json()["data"]["status"] == 1
    clock.now += 2
    assert client.post("t1").json()["data"] == {"taskId": trim.task_id, "transNo": "t1", "status": 3}
    assert emulator.video_info("t1") is None


def test_running_trim_can_have_code_1560(emulator: TrimEmulator, client: Any, clock: Any) -> None:
    emulator.add_trim("t1", seconds=2, processing_code=1560)
    response = client.post("t1")
    assert response.status_code == 200
    assert response.json() == {"code": 1560, "message": "video is being processed", "data": None}
    clock.now += 2
    assert client.post("t1").json()["data"]["status"] == 2


@pytest.mark.parametrize("call", ["post", "get", "post_json"])
@pytest.mark.parametrize(
    ("trans_no", "code"),
    [(None, 1601), ("", 1601), ("x" * 33, 1602), ("x" * 32, 1603), ("片段", 1603)],
)
def test_query_of_an_invalid_or_unknown_trans_no(client: Any, call: str, trans_no: str | None, code: int) -> None:
    response = getattr(client, call)(trans_no)
    assert response.status_code == 200
    assert response.json()["code"] == code
    assert response.json()["message"]
    assert response.json()["data"] is None


def test_trans_no_that_is_not_a_string_is_illegal(client: Any) -> None:
    assert client.post_json(17).json()["code"] == 1602


@pytest.mark.parametrize("call", ["post", "get", "post_json"])
def test_form_query_string_and_json_get_the_same_response(emulator: TrimEmulator, client: Any, call: str) -> None:
    emulator.add_trim("片段 a&b+1", seconds=0)
    assert getattr(client, call)("片段 a&b+1").json()["data"]["status"] == 2


def test_every_response_has_a_distinct_request_id(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1")
    responses = [client.post("t1"), client.post("unknown"), client.get("t1", token="wrong"), client.post()]
    responses.append(client.session.get(emulator.url + "/elsewhere"))
    ids = [response.headers["X-WS-RequestId"] for response in responses]
    assert len(set(ids)) == len(ids)
    assert [call.request_id for call in emulator.calls] == ids


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b"\xff"),
        ("application/json", b"[" * 200_000),
        ("text/plain", b"transNo=t1"),
    ],
)
def test_unreadable_body_is_a_parameter_error(
    emulator: TrimEmulator, client: Any, content_type: str, body: bytes
) -> None:
    response = client.session.post(emulator.url + PATH, data=body, headers={"Content-Type": content_type})
    assert (response.status_code, response.json()["code"]) == (200, 1000)


def test_unknown_paths_and_methods_are_rejected_and_recorded(emulator: TrimEmulator, client: Any) -> None:
    unreadable = {"Content-Type": "text/plain"}
    assert client.session.post(emulator.url + "/elsewhere", data=b"?", headers=unreadable).status_code == 404
    response = client.session.put(emulator.url + PATH)
    assert (response.status_code, response.headers["Allow"]) == (405, "GET,POST")
    assert [(call.path, call.http_status) for call in emulator.calls] == [("/elsewhere", 404), (PATH, 405)]


def test_finish_ends_a_trim_now(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1", seconds=math.inf)
    emulator.add_trim("t2", seconds=math.inf)
    assert client.post("t1").json()["data"]["status"] == 1
    emulator.finish("t1")
    emulator.finish("t2", video_info={"videoId": "V2"})
    info = client.post("t1").json()["data"]["videoInfo"]
    assert info["updateTime"] == "1516180828"
    assert client.post("t2").json()["data"]["videoInfo"] == {"videoId": "V2"}


def test_fail_ends_a_trim_now(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1", seconds=math.inf)
    assert client.post("t1").json()["data"]["status"] == 1
    emulator.fail("t1")
    assert client.post("t1").json()["data"]["status"] == 3


def test_finish_turns_a_failure_into_a_success(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1", seconds=0, outcome="fail")
    assert client.post("t1").json()["data"]["status"] == 3
    emulator.finish("t1")
    assert client.post("t1").json()["data"]["status"] == 2


def test_finish_of_an_ended_trim_changes_its_video_info_but_not_its_end(
    emulator: TrimEmulator, client: Any, clock: Any
) -> None:
    emulator.add_trim("t1", seconds=10)
    clock.now += 500
    emulator.finish("t1")
    assert client.post("t1").json()["data"]["videoInfo"]["updateTime"] == "1516180838"
    emulator.finish("t1", video_info={"videoId": "V1"})
    assert client.post("t1").json()["data"]["videoInfo"] == {"videoId": "V1"}


def test_removed_trim_is_unknown_and_can_be_added_again(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1", seconds=0)
    assert client.post("t1").json()["code"] == 200
    emulator.remove_trim("t1")
    assert client.post("t1").json()["code"] == 1603
    emulator.add_trim("t1", seconds=0, outcome="fail")
    assert client.post("t1").json()["data"]["status"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"trans_no": ""}, "1 to 32 characters"),
        ({"trans_no": "x" * 33}, "1 to 32 characters"),
        ({"trans_no": "known"}, "already"),
        ({"trans_no": "t1", "outcome": "broken"}, "success or fail"),
        ({"trans_no": "t1", "seconds": -1}, "0 seconds or more"),
        ({"trans_no": "t1", "seconds": math.nan}, "0 seconds or more"),
    ],
)
def test_invalid_trim_raises(emulator: TrimEmulator, arguments: dict[str, Any], message: str) -> None:
    emulator.add_trim("known")
    with pytest.raises(ValueError, match=message):
        emulator.add_trim(**arguments)


@pytest.mark.parametrize("control", ["finish", "fail", "remove_trim", "video_info"])
def test_control_of_an_unknown_trim_raises(emulator: TrimEmulator, control: str) -> None:
    with pytest.raises(KeyError, match="nowhere"):
        getattr(emulator, control)("nowhere")


@pytest.mark.asyncio
async def test_serves_a_client_in_another_event_loop() -> None:
    async with TrimEmulator() as emulator, aiohttp.ClientSession() as session:
        emulator.add_trim("t1", seconds=0)
        data = {"userId": emulator.user, "token": emulator.token, "timeStamp": "1", "transNo": "t1"}
        async with session.post(emulator.url + PATH, data=data) as response:
            assert (await response.json())["data"]["status"] == 2
        assert [call.trans_no for call in await emulator.async_wait_for_calls(1)] == ["t1"]


def test_a_trim_can_begin_with_its_first_poll(emulator: TrimEmulator, client: Any, clock: Any) -> None:
    emulator.add_trim("t1", seconds=60, start_on_first_poll=True)
    clock.now += 3600
    assert emulator.running == ["t1"]
    assert client.post("t1").json()["data"]["status"] == 1
    clock.now += 59.9
    assert client.post("t1").json()["data"]["status"] == 1
    clock.now += 0.1
    assert client.post("t1").json()["data"]["status"] == 2
    emulator.add_trim("t2", seconds=0, start_on_first_poll=True)
    assert client.post("t2").json()["data"]["status"] == 2


def test_one_that_has_not_begun_can_be_ended(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1", seconds=60, start_on_first_poll=True)
    emulator.finish("t1")
    assert client.post("t1").json()["data"]["status"] == 2
