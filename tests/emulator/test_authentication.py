# SPDX-License-Identifier: Apache-2.0
"""Who is let in, and how often."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_trim.emulator import HttpError, TrimEmulator


def assert_refused(response: requests.Response) -> None:
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
def test_a_call_without_the_right_parameters_is_refused(
    emulator: TrimEmulator, client: Any, call: str, wrong: dict[str, Any]
) -> None:
    emulator.add_trim("t1")
    assert_refused(getattr(client, call)("t1", **wrong))


def test_a_json_time_stamp_may_be_a_number(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1")
    assert client.post_json("t1", timeStamp=1516182478).json()["code"] == 200
    assert_refused(client.post_json("t1", timeStamp=True))


def test_the_parameters_of_a_post_are_not_taken_from_its_query(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1")
    url = emulator.url + "/vod/videoManage/videoClipQuery"
    assert_refused(client.session.post(url, params=client.parameters("t1")))


def test_the_token_may_come_in_the_header_named(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1")
    assert client.post("t1", token=None, headers={"x-token": emulator.token}).json()["code"] == 200
    assert_refused(client.post("t1", token=None, headers={"X-Token": "wrong"}))
    assert_refused(client.post("t1", token=None, headers={"X-Other": emulator.token}))


def test_a_header_is_no_token_unless_named() -> None:
    with TrimEmulator() as emulator:
        data = {"userId": emulator.user, "timeStamp": "1", "transNo": "t1"}
        url = emulator.url + "/vod/videoManage/videoClipQuery"
        assert_refused(requests.post(url, data=data, headers={"X-Token": emulator.token}))


def test_a_token_can_rotate(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1")
    old = emulator.token
    emulator.token = "the next one"
    assert_refused(client.post("t1", token=old))
    assert client.post("t1", token="the next one").json()["code"] == 200


def test_a_refused_call_meets_no_fault(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave(None, HttpError(503))
    assert_refused(client.post("t1", token="wrong"))
    assert client.post("t1").status_code == 503


def test_calls_over_the_quota_are_refused_until_the_window_has_moved(client: Any, clock: Any) -> None:
    with TrimEmulator(clock=clock, quota=(2, 300)) as emulator:
        client.emulator = emulator
        emulator.add_trim("t1", seconds=0)
        assert client.post("t1").status_code == 200
        clock.now += 100.5
        assert client.post("t1").status_code == 200
        refused = client.post("t1")
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "200"
        assert refused.json()["code"] == 429
        assert emulator.rate_limited == 1
        clock.now += 199.5
        assert client.post("t1").status_code == 200
        assert client.post("t1").status_code == 429
        assert emulator.rate_limited == 2
        assert [call.http_status for call in emulator.calls] == [200, 200, 429, 200, 429]


def test_the_quota_counts_what_meets_a_fault_but_not_what_is_refused(client: Any, clock: Any) -> None:
    with TrimEmulator(clock=clock, quota=(1, 10)) as emulator:
        client.emulator = emulator
        client.post("t1", token="wrong")
        emulator.misbehave("t1", HttpError(500))
        assert client.post("t1").status_code == 500
        assert client.post("t1").status_code == 429
        assert emulator.rate_limited == 1


def test_a_quota_may_refuse_without_saying_for_how_long(client: Any) -> None:
    with TrimEmulator(quota=(1, 300), quota_retry_after=False) as emulator:
        client.emulator = emulator
        client.post("t1")
        refused = client.post("t1")
        assert refused.status_code == 429
        assert "Retry-After" not in refused.headers


@pytest.mark.parametrize("quota", [(0, 300), (5, 0)])
def test_an_impossible_quota_is_refused(quota: tuple[int, float]) -> None:
    with pytest.raises(ValueError, match="at least 1 call in more than 0 seconds"):
        TrimEmulator(quota=quota)
