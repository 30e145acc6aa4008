# SPDX-License-Identifier: Apache-2.0
"""No signature twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial
from typing import Any

import pytest

from airflow_provider_trim.client.signing import sign_once
from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.vod.protocol import build_query
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.emulators import connection_parts
from tests.support.pages import ROOT
from tests.support.redis_server import RedisServer
from tests.support.signing_client import MAX_CALLS


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


def calls_of_processes(emulator: TrimEmulator, **extra: Any) -> list[int]:
    """Query one trim from two processes, all in one second, and return the calls that each query took."""
    emulator.add_trim("T", seconds=60)
    now = int(time.time())
    connection = connection_parts(emulator, auth="cnc-hmac-sha256", **extra)
    argument = json.dumps({"connection": connection, "now": now, "count": 5, "begin_at": now + 2.0})
    command = [sys.executable, "-m", "tests.support.signing_client", argument]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    return [calls for output in outputs for calls in json.loads(output)]


@pytest.mark.parametrize("emulator_options", [{"auth": "cnc-hmac-sha256"}])
def test_processes_that_share_redis_use_no_signature_twice(emulator: TrimEmulator) -> None:
    """One was refused, and failed for good."""
    with RedisServer() as redis:
        assert calls_of_processes(emulator, quota="1000/minute", quota_storage=redis.url) == [1] * 10


@pytest.mark.parametrize("emulator_options", [{"auth": "cnc-hmac-sha256"}])
def test_processes_that_share_nothing_collide_and_go_on(emulator: TrimEmulator) -> None:
    calls = calls_of_processes(emulator, quota="off")
    assert sum(calls) > 10
    assert max(calls) < MAX_CALLS
