# SPDX-License-Identifier: Apache-2.0
"""The verification token and the call quota."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_trim.emulator import HttpError, TrimEmulator


def assert_rejected(response: requests.Response) -> None:
    assert response.status_code == 401
    assert response.json()["code"] == 401
    assert response.json()["message"]
    assert response.json()["data"] is None


@pytest.mark.parametrize("call", ["post", "get", "post_json"])
@pytest.mark.parametrize(
    "wrong",
    [
        {"userId": None},
        {"userId": "other"},
        {"token": None},
        {"token": "wrong"},
        {"token": ""},
        {"timeStamp": None},
        {"timeStamp": ""},
        {"timeStamp": "yesterday"},
        {"timeStamp": "1.5"},
    ],
    ids=str,
)
def test_missing_or_wrong_credentials_are_rejected(
    emulator: TrimEmulator, client: Any, call: str, wrong: dict[str, Any]
) -> None:
    emulator.add_trim("t1")
    assert_rejected(getattr(client, call)("t1", **wrong))


def test_json_time_stamp_can_be_a_number(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1")
    assert client.post_json("t1", timeStamp=1516182478).json()["code"] == 200
    assert_rejected(client.post_json("t1", timeStamp=True))


def test_query_string_of_a_post_holds_no_parameters(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1")
    url = emulator.url + "/vod/videoManage/videoClipQuery"
    assert_rejected(client.session.post(url, params=client.parameters("t1")))


def test_token_can_come_in_the_configured_header(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1")
    assert client.post("t1", token=None, headers={"x-token": emulator.token}).json()["code"] == 200
    assert_rejected(client.post("t1", token=None, headers={"X-Token": "wrong"}))
    assert_rejected(client.post("t1", token=None, headers={"X-Other": emulator.token}))


def test_token_header_is_ignored_unless_configured() -> None:
    with TrimEmulator() as emulator:
        data = {"userId": emulator.user, "timeStamp": "1", "transNo": "t1"}
        url = emulator.url + "/vod/videoManage/videoClipQuery"
        assert_rejected(requests.post(url, data=data, headers={"X-Token": emulator.token}))


def test_token_can_rotate(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1")
    old = emulator.token
    emulator.token = "the next one"
    assert_rejected(client.post("t1", token=old))
    assert client.post("t1", token="the next one").json()["code"] == 200


def test_rejected_call_meets_no_fault(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave(None, HttpError(503))
    assert_rejected(client.post("t1", token="wrong"))
    assert client.post("t1").status_code == 503


def test_calls_over_the_quota_are_rejected_until_the_window_has_moved(client: Any, clock: Any) -> None:
    with TrimEmulator(clock=clock, quota=(2, 300)) as emulator:
        client.emulator = emulator
        emulator.add_trim("t1", seconds=0)
        assert client.post("t1").status_code == 200
        clock.now += 100.5
        assert client.post("t1").status_code == 200
        rejected = client.post("t1")
        assert rejected.status_code == 429
        assert rejected.headers["Retry-After"] == "200"
        assert rejected.json()["code"] == 429
        assert emulator.rate_limited == 1
        clock.now += 199.5
        assert client.post("t1").status_code == 200
        assert client.post("t1").status_code == 429
        assert emulator.rate_limited == 2
        assert [call.http_status for call in emulator.calls] == [200, 200, 429, 200, 429]


def test_quota_counts_calls_with_a_fault_but_not_rejected_ones(client: Any, clock: Any) -> None:
    with TrimEmulator(clock=clock, quota=(1, 10)) as emulator:
        client.emulator = emulator
        client.post("t1", token="wrong")
        emulator.misbehave("t1", HttpError(500))
        assert client.post("t1").status_code == 500
        assert client.post("t1").status_code == 429
        assert emulator.rate_limited == 1


def test_rejection_over_the_quota_can_lack_retry_after(client: Any) -> None:
    with TrimEmulator(quota=(1, 300), quota_retry_after=False) as emulator:
        client.emulator = emulator
        client.post("t1")
        rejected = client.post("t1")
        assert rejected.status_code == 429
        assert "Retry-After" not in rejected.headers


@pytest.mark.parametrize(
    ("quota", "message"),
    [((0, 300), "must be an integer of at least 1, not 0"), ((5, 0), "at least 1 call in more than 0 seconds")],
)
def test_invalid_quota_raises(quota: tuple[int, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrimEmulator(quota=quota)
