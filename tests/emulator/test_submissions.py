# SPDX-License-Identifier: Apache-2.0
"""Submissions: which are accepted, which are rejected, and the resulting videoInfo."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from airflow_provider_trim.emulator import DUPLICATE_CODE, QUERY_PATH, SUBMIT_PATH, Submission, TrimEmulator

CLIP = {"videoId": "V1", "seekStart": 30, "duration": 12, "filename": "goal.flv"}

WAYS = ["submit", "submit_json", "submit_get"]

EVERYTHING = {
    "resolution": "640x480",
    "frameRate": 25,
    "videoBitRate": 800,
    "audioBitRate": 64,
    "samplingRate": 22050,
    "notifyUrl": "https://example.com/done?a=b&c=d",
    "suffix": "flv",
    "enableVideoTranscode": 1,
}


def info_of(client: Any, trans_no: str = "t1") -> dict[str, Any]:
    """Return the videoInfo of a trim that has succeeded."""
    data = client.post(trans_no).json()["data"]
    assert data["status"] == 2
    info: dict[str, Any] = data["videoInfo"]
    return info


@pytest.mark.parametrize("way", WAYS)
def test_submission_starts_a_trim_and_returns_its_task_id(
    emulator: TrimEmulator, client: Any, clock: Any, way: str
) -> None:
    response = getattr(client, way)("t1")
    assert response.status_code == 200
    task_id = response.json()["data"]
    assert isinstance(task_id, str)
    assert task_id
    assert response.json() == {"code": 200, "message": "操作成功", "data": task_id}
    assert client.post("t1").json()["data"] == {"taskId": task_id, "transNo": "t1", "status": 1}
    clock.now += 4.9
    assert client.post("t1").json()["data"]["status"] == 1
    clock.now += 0.1
    assert info_of(client)["videoName"] == "goal.flv"


@pytest.mark.parametrize("way", WAYS)
def test_submission_is_recorded_in_documented_types_and_without_credentials(
    emulator: TrimEmulator, client: Any, clock: Any, way: str
) -> None:
    clock.now += 2.5
    task_id = getattr(client, way)("片段", **EVERYTHING, colour="red").json()["data"]
    (submission,) = emulator.submissions
    assert submission == Submission(1002.5, "片段", {"transNo": "片段", **CLIP, **EVERYTHING}, task_id)
    assert {name: type(value) for name, value in submission.parameters.items()} == {
        name: type(value) for name, value in {"transNo": "", **CLIP, **EVERYTHING}.items()
    }
    with pytest.raises(TypeError):
        submission.parameters["duration"] = 5  # type: ignore[index]


def test_video_info_matches_the_submission(emulator: TrimEmulator, client: Any) -> None:
    emulator.duration = 0
    client.submit("t1", resolution="0320x200", videoBitRate=800, audioBitRate=64)
    info = info_of(client)
    assert (info["videoDuration"], info["videoName"], info["videoSourceCode"]) == ("12", "goal.flv", 4)
    resolutions = info["videoResolutions"]
    assert resolutions[0]["fileSize"] == (800 + 64) * 1000 // 8 * 12
    assert (resolutions[0]["width"], resolutions[0]["height"]) == (320, 200)
    assert [(resolution["width"], resolution["height"]) for resolution in resolutions[1:]] == [(640, 360), (854, 480)]
    assert sum(resolution["fileSize"] for resolution in resolutions) == int(info["videoSize"])


def test_default_sizes_grow_with_the_length(emulator: TrimEmulator, client: Any) -> None:
    emulator.duration = 0
    client.submit("t1", duration=10)
    client.submit("t2", duration=1000)
    client.submit("t3", duration=1000, audioBitRate=1)
    short, long, quiet = (info_of(client, trans_no) for trans_no in ("t1", "t2", "t3"))
    assert (short["videoDuration"], long["videoDuration"]) == ("10", "1000")
    assert int(long["videoSize"]) == 100 * int(short["videoSize"]) > 0
    assert (long["videoResolutions"][0]["width"], long["videoResolutions"][0]["height"]) == (1280, 720)
    assert 0 < int(quiet["videoSize"]) < int(long["videoSize"])


def test_duration_can_depend_on_the_clip(client: Any, clock: Any) -> None:
    with TrimEmulator(duration=lambda seconds: seconds / 4, clock=clock) as emulator:
        client.emulator = emulator
        client.submit("t1", duration=40)
        clock.now += 9.9
        assert emulator.running == ["t1"]
        clock.now += 0.1
        assert emulator.running == []
        added = emulator.add_trim("t2")
        assert added.ends - added.added == int(added.result()["videoDuration"]) / 4


def test_duration_can_be_set_for_later_trims(emulator: TrimEmulator, client: Any, clock: Any) -> None:
    assert emulator.duration == 5.0
    client.submit("t1")
    emulator.duration = math.inf
    client.submit("t2")
    clock.now += 5000
    assert emulator.running == ["t2"]
    emulator.finish("t2")
    assert info_of(client, "t2")["videoDuration"] == "12"


def test_duplicate_is_rejected_and_does_not_affect_the_first(emulator: TrimEmulator, client: Any, clock: Any) -> None:
    client.submit("t1")
    clock.now += 3
    rejected = client.submit("t1", filename="other").json()
    assert (rejected["code"], rejected["data"]) == (DUPLICATE_CODE, None)
    assert len(emulator.submissions) == 1
    clock.now += 2
    assert info_of(client)["videoName"] == "goal.flv"
    assert client.submit("t1").json()["code"] == DUPLICATE_CODE


def test_submission_of_an_added_trim_is_a_duplicate_until_it_is_removed(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1")
    assert client.submit("t1").json()["code"] == DUPLICATE_CODE
    emulator.remove_trim("t1")
    assert client.submit("t1").json()["code"] == 200
    with pytest.raises(ValueError, match="already"):
        emulator.add_trim("t1")
    emulator.remove_trim("t1")
    assert client.submit("t1").json()["code"] == 200
    assert len(emulator.submissions_for("t1")) == 2


def test_submissions_are_listed_in_order_and_by_trim(emulator: TrimEmulator, client: Any) -> None:
    for trans_no in ("t2", "t1", "t2", "t3"):
        client.submit(trans_no)
    assert [submission.trans_no for submission in emulator.submissions] == ["t2", "t1", "t3"]
    assert [submission.trans_no for submission in emulator.submissions_for("t2")] == ["t2"]
    assert emulator.submissions_for("t4") == []
    assert emulator.running == ["t2", "t1", "t3"]
    emulator.submissions.clear()
    assert len(emulator.submissions) == 3


@pytest.mark.parametrize(("outcome", "status"), [("success", 2), ("fail", 3)])
def test_submission_outcome(emulator: TrimEmulator, client: Any, clock: Any, outcome: Any, status: int) -> None:
    assert emulator.submission_outcome == "success"
    emulator.submission_outcome = outcome
    client.submit("t1")
    assert client.post("t1").json()["data"]["status"] == 1
    clock.now += 5
    assert client.post("t1").json()["data"]["status"] == status


def test_submission_outcome_can_be_a_function_of_accepted_submissions(emulator: TrimEmulator, client: Any) -> None:
    accepted: list[Submission] = []

    def first_fails(submission: Submission) -> Any:
        accepted.append(submission)
        return "fail" if len(accepted) == 1 else "success"

    emulator.duration = 0
    emulator.submission_outcome = first_fails
    assert emulator.submission_outcome is first_fails
    client.submit("t1", duration=0)
    for trans_no in ("t1", "t1", "t2"):
        client.submit(trans_no)
    assert accepted == emulator.submissions
    assert [client.post(trans_no).json()["data"]["status"] for trans_no in ("t1", "t2")] == [3, 2]


def test_trim_added_during_its_submission_makes_it_a_duplicate(emulator: TrimEmulator, client: Any) -> None:
    def overtake(submission: Submission) -> Any:
        emulator.add_trim(submission.trans_no)
        return "success"

    emulator.submission_outcome = overtake
    assert client.submit("t1").json()["code"] == DUPLICATE_CODE
    assert emulator.submissions == []


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("duration", -1, "0 seconds or more, not -1"),
        ("duration", math.nan, "0 seconds or more"),
        ("submission_outcome", "broken", "success or fail, not 'broken'"),
    ],
)
def test_invalid_setting_raises(emulator: TrimEmulator, setting: str, value: Any, message: str) -> None:
    before = getattr(emulator, setting)
    with pytest.raises(ValueError, match=message):
        setattr(emulator, setting, value)
    assert getattr(emulator, setting) == before


@pytest.mark.parametrize(("setting", "value"), [("duration", lambda _: -1), ("submission_outcome", lambda _: "broken")])
def test_function_with_an_invalid_result_causes_a_server_error(
    emulator: TrimEmulator, client: Any, setting: str, value: Any
) -> None:
    setattr(emulator, setting, value)
    assert client.submit("t1").status_code == 500
    assert emulator.submissions == []
    assert client.post("t1").json()["code"] == 1603


def test_negative_duration_raises() -> None:
    with pytest.raises(ValueError, match="0 seconds or more"):
        TrimEmulator(duration=-1)


def test_submissions_are_recorded_as_calls(emulator: TrimEmulator, client: Any) -> None:
    task_id = client.submit("t1").json()["data"]
    client.post("t1")
    client.submit("t1")
    submitted, query, rejected = emulator.calls_for("t1")
    assert (submitted.path, submitted.method, submitted.http_status) == (SUBMIT_PATH, "POST", 200)
    assert (submitted.code, submitted.trim_status, submitted.fault) == (200, None, None)
    assert submitted.parameters["filename"] == "goal.flv"
    assert (query.path, query.trim_status) == (QUERY_PATH, 1)
    assert (rejected.path, rejected.code) == (SUBMIT_PATH, DUPLICATE_CODE)
    assert emulator.call_count == 3
    emulator.clear_calls()
    assert [submission.task_id for submission in emulator.submissions] == [task_id]


def test_submission_requires_the_token(emulator: TrimEmulator, client: Any) -> None:
    for way in WAYS:
        response = getattr(client, way)("t1", token="wrong")
        assert (response.status_code, response.json()["code"]) == (401, 401)
    assert client.session.put(emulator.url + SUBMIT_PATH).status_code == 405
    assert emulator.submissions == []


def test_submissions_and_queries_share_the_quota(client: Any, clock: Any) -> None:
    with TrimEmulator(clock=clock, quota=(2, 300)) as emulator:
        client.emulator = emulator
        assert client.submit("t1").json()["code"] == 200
        assert client.post("t1").json()["code"] == 200
        assert client.submit("t2").status_code == 429
        assert client.post("t1").status_code == 429
        assert emulator.rate_limited == 2
        assert [submission.trans_no for submission in emulator.submissions] == ["t1"]


def test_wait_for_submissions_returns_once_they_are_accepted(emulator: TrimEmulator, client: Any) -> None:
    calls = [client.in_background(trans_no, "submit") for trans_no in ("t1", "t2", "t2")]
    assert {submission.trans_no for submission in emulator.wait_for_submissions(2)} == {"t1", "t2"}
    assert sorted(call.result().json()["code"] for call in calls) == [200, 200, DUPLICATE_CODE]
    with pytest.raises(TimeoutError, match="2 of 3 submissions"):
        emulator.wait_for_submissions(3, timeout=0.01)


@pytest.mark.asyncio
async def test_async_wait_for_submissions_does_not_block_the_loop(emulator: TrimEmulator, client: Any) -> None:
    waiting = asyncio.create_task(emulator.async_wait_for_submissions(1))
    await asyncio.sleep(0)
    await asyncio.to_thread(client.submit, "t1")
    assert [submission.trans_no for submission in await waiting] == ["t1"]


def test_without_records_submissions_are_accepted(client: Any) -> None:
    with TrimEmulator(record=False) as emulator:
        client.emulator = emulator
        assert client.submit("t1").json()["code"] == 200
        assert (emulator.submissions, emulator.running) == ([], ["t1"])
        with pytest.raises(RuntimeError, match="submissions are not recorded: record=False"):
            emulator.wait_for_submissions(1)
