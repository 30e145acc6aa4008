# SPDX-License-Identifier: Apache-2.0
"""No signature twice."""

from functools import partial

import pytest

from airflow_provider_trim.client.signing import sign_once
from airflow_provider_trim.vod.protocol import build_query
from airflow_provider_trim.vod.settings import TrimSettings


def settings(auth: str, login: str = "someone") -> TrimSettings:
    return TrimSettings.from_connection(login=login, password="a-secret", extra={"auth": auth})


@pytest.mark.parametrize("auth", ["ws3-hmac-sha256", "cnc-hmac-sha256"])
def test_equal_requests_within_a_second_differ(auth: str) -> None:
    build = partial(build_query, settings(auth), f"T {auth}")
    now = 2_000_000_000.0
    requests = [sign_once(build, now + tenth / 10) for tenth in (0, 1, 2, 9, 10, 11)]
    assert len({request.headers["Authorization"] for request in requests}) == 6
    header = "X-WS-Timestamp" if auth.startswith("ws3") else "x-cnc-timestamp"
    assert [int(request.headers[header]) - int(now) for request in requests] == [0, 1, 2, 3, 4, 5]
    assert {(request.method, request.url, request.body) for request in requests} == {
        (requests[0].method, requests[0].url, requests[0].body)
    }


def test_different_requests_share_a_second() -> None:
    now = 2_000_001_000.0
    connections = (settings("cnc-hmac-sha256"), settings("cnc-hmac-sha256", "another"))
    for connection, name in ((connections[0], "T1"), (connections[0], "T2"), (connections[1], "T1")):
        request = sign_once(partial(build_query, connection, name), now)
        assert request.headers["x-cnc-timestamp"] == "2000001000"


@pytest.mark.parametrize("auth", ["token", "api-key"])
def test_unsigned_requests_are_left_alone(auth: str) -> None:
    build = partial(build_query, settings(auth), "T")
    assert sign_once(build, 2_000_002_000.0) == sign_once(build, 2_000_002_000.5) == build(2_000_002_000.0)
