# SPDX-License-Identifier: Apache-2.0
"""Submissions that fail before their acceptance, or after."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_trim.emulator import (
    DUPLICATE_CODE,
    SUBMIT_PATH,
    ConnectionReset,
    Delay,
    Hold,
    HttpError,
    ResetMidResponse,
    TrimEmulator,
)


def submitted(emulator: TrimEmulator) -> list[str]:
    return [submission.trans_no for submission in emulator.submissions]


def test_submission_that_fails_before_acceptance_can_be_sent_again(emulator: TrimEmulator, client: Any) -> None:
    emulator.fail_submission("before")
    with pytest.raises(requests.ConnectionError):
        client.submit("t1")
    assert submitted(emulator) == []
    assert client.post("t1").json()["code"] == 1603
    assert client.submit("t1").json()["code"] == 200
    assert [(call.http_status, call.fault) for call in emulator.calls if call.path == SUBMIT_PATH] == [
        (None, "ConnectionReset"),
        (200, None),
    ]


def test_trim_runs_if_its_submission_fails_after_acceptance(emulator: TrimEmulator, client: Any, clock: Any) -> None:
    emulator.fail_submission("after")
    with pytest.raises(requests.ConnectionError):
        client.submit("t1")
    assert submitted(emulator) == ["t1"]
    assert emulator.calls[0].fault == "ConnectionReset"
    assert client.post("t1").json()["data"]["status"] == 1
    assert client.submit("t1").json()["code"] == DUPLICATE_CODE
    clock.now += 5
    assert client.post("t1").json()["data"]["videoInfo"]["videoName"] == "goal.flv"


@pytest.mark.parametrize(("when", "accepted"), [("before", []), ("after", ["t1"])])
def test_any_fault_can_fail_a_submission(emulator: TrimEmulator, client: Any, when: Any, accepted: list[str]) -> None:
    emulator.fail_submission(when, HttpError(502))
    assert client.submit("t1").status_code == 502
    assert submitted(emulator) == accepted


def test_each_submission_meets_the_next_fault(emulator: TrimEmulator, client: Any) -> None:
    emulator.fail_submission("before", HttpError(502), times=2)
    emulator.fail_submission("after", HttpError(504))
    assert [client.submit(f"t{number}").status_code for number in range(1, 5)] == [502, 502, 504, 200]
    assert submitted(emulator) == ["t3", "t4"]


def test_accepted_submission_can_be_held(emulator: TrimEmulator, client: Any) -> None:
    hold = Hold()
    emulator.fail_submission("after", hold)
    call = client.in_background("t1", "submit")
    (submission,) = emulator.wait_for_submissions(1)
    hold.wait_until_held()
    assert client.post("t1").json()["data"]["status"] == 1
    hold.release()
    # The response is the one that was held, not that of a second submission.
    assert call.result().json() == {"code": 200, "message": "操作成功", "data": submission.task_id}
    assert submitted(emulator) == ["t1"]


def test_submission_held_before_acceptance_is_accepted_when_released(emulator: TrimEmulator, client: Any) -> None:
    hold = Hold()
    emulator.fail_submission("before", hold)
    call = client.in_background("t1", "submit")
    hold.wait_until_held()
    assert client.post("t1").json()["code"] == 1603
    assert submitted(emulator) == []
    hold.release()
    assert call.result().json()["code"] == 200
    assert submitted(emulator) == ["t1"]


@pytest.mark.parametrize(("when", "accepted"), [("before", []), ("after", ["t1"])])
def test_client_can_disconnect_before_or_after_acceptance(
    emulator: TrimEmulator, client: Any, when: Any, accepted: list[str]
) -> None:
    emulator.fail_submission(when, Delay(3600))
    data = client.parameters("t1", videoId="V1", seekStart=0, duration=1, filename="f")
    with pytest.raises(requests.ReadTimeout):
        requests.post(emulator.url + SUBMIT_PATH, data=data, timeout=0.05)
    (call,) = emulator.wait_for_calls(1)
    assert (call.http_status, call.fault) == (None, "Delay")
    assert submitted(emulator) == accepted


def test_half_a_response_follows_the_acceptance(emulator: TrimEmulator, client: Any) -> None:
    emulator.fail_submission("after", ResetMidResponse())
    with pytest.raises(requests.RequestException):
        client.submit("t1")
    assert submitted(emulator) == ["t1"]


def test_rejected_submission_loses_its_response_too(emulator: TrimEmulator, client: Any) -> None:
    emulator.fail_submission("after")
    with pytest.raises(requests.ConnectionError):
        client.submit("t1", duration=0)
    assert submitted(emulator) == []
    assert client.submit("t1").json()["code"] == 200


def test_faults_of_queries_do_not_affect_submissions(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave("t1", HttpError(502))
    emulator.misbehave(None, HttpError(503))
    assert client.submit("t1").json()["code"] == 200
    assert [client.post("t1").status_code for _ in range(3)] == [502, 503, 200]


def test_faults_of_submissions_do_not_affect_queries(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1")
    emulator.fail_submission("before", HttpError(502))
    assert client.post("t1").status_code == 200
    assert client.submit("t2").status_code == 502


def test_submission_without_the_token_meets_no_fault(emulator: TrimEmulator, client: Any) -> None:
    emulator.fail_submission("before", HttpError(502))
    assert client.submit("t1", token="wrong").status_code == 401
    assert client.submit("t1").status_code == 502


def test_clear_faults_drops_those_of_submissions_unless_for_one_trim(emulator: TrimEmulator, client: Any) -> None:
    emulator.fail_submission("before", ConnectionReset(), times=2)
    emulator.clear_faults("t1")
    with pytest.raises(requests.ConnectionError):
        client.submit("t1")
    emulator.clear_faults()
    assert client.submit("t1").json()["code"] == 200


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("during",), "when must be before or after"),
        (("after", None, 0), "times must be an integer of at least 1, not 0"),
    ],
)
def test_invalid_failure_raises(emulator: TrimEmulator, arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        emulator.fail_submission(*arguments)
