# SPDX-License-Identifier: Apache-2.0
"""The records of calls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import requests

from airflow_provider_trim.emulator import Call, HttpError, TrimEmulator

PATH = "/vod/videoManage/videoClipQuery"


def test_post_is_recorded_as_received(emulator: TrimEmulator, client: Any, clock: Any) -> None:
    emulator.add_trim("t1")
    clock.now += 1.5
    response = client.session.post(
        emulator.url + PATH + "?a=%20b", data=client.parameters("t1"), headers={"X-Mine": "yes"}
    )
    (call,) = emulator.calls
    assert (call.time, call.method, call.path, call.query_string) == (1001.5, "POST", PATH, "a=%20b")
    assert call.body == f"userId=emulator&token={emulator.token}&timeStamp=1516182478&transNo=t1".encode()
    assert call.parameters == client.parameters("t1")
    assert call.headers["x-mine"] == "yes"
    assert (call.trans_no, call.http_status, call.code, call.trim_status) == ("t1", 200, 200, 1)
    assert call.request_id == response.headers["X-WS-RequestId"]
    assert call.fault is None


def test_get_is_recorded_as_received(emulator: TrimEmulator, client: Any) -> None:
    client.get("片")
    (call,) = emulator.calls
    assert call.method == "GET"
    assert call.query_string.endswith("transNo=%E7%89%87")
    assert call.body == b""
    assert (call.trans_no, call.code, call.trim_status) == ("片", 1603, None)


def test_response_is_recorded(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t1", seconds=0)
    emulator.misbehave("t1", HttpError(503))
    client.post("t1", token="wrong")
    client.post("t1")
    client.post("t1")
    client.post_json(5)
    assert [(call.trans_no, call.http_status, call.code, call.trim_status) for call in emulator.calls] == [
        ("t1", 401, 401, None),
        ("t1", 503, None, None),
        ("t1", 200, 200, 2),
        (None, 200, 1602, None),
    ]


def test_repr_of_a_call_shows_no_token(emulator: TrimEmulator, client: Any) -> None:
    client.post("t1", headers={"X-Token": emulator.token})
    client.get("t1")
    assert emulator.token not in repr(emulator.calls)
    assert "'t1'" in repr(emulator.calls)


def test_calls_of_one_trim(emulator: TrimEmulator, client: Any) -> None:
    for trans_no in ("t1", "t2", "t1"):
        client.post(trans_no)
    assert [call.trans_no for call in emulator.calls_for("t1")] == ["t1", "t1"]
    assert emulator.calls_for("t3") == []


def test_clear_calls_removes_the_calls(emulator: TrimEmulator, client: Any) -> None:
    client.post("t1")
    before = emulator.calls
    emulator.clear_calls()
    assert (emulator.calls, emulator.calls_for("t1"), emulator.call_count) == ([], [], 0)
    assert len(before) == 1
    client.post("t1")
    assert len(emulator.wait_for_calls(1)) == 1


def test_wait_for_calls_returns_once_they_are_complete(emulator: TrimEmulator, client: Any) -> None:
    calls = [client.in_background("t1"), client.in_background("t2"), client.in_background("t2")]
    assert len(emulator.wait_for_calls(3)) == 3
    assert [call.trans_no for call in emulator.wait_for_calls(2, trans_no="t2")] == ["t2", "t2"]
    for call in calls:
        call.result()


def test_wait_for_calls_times_out(emulator: TrimEmulator, client: Any) -> None:
    client.post("t1")
    with pytest.raises(TimeoutError, match="1 of 2 calls"):
        emulator.wait_for_calls(2, timeout=0.01)
    with pytest.raises(TimeoutError, match="0 of 1 calls"):
        emulator.wait_for_calls(1, timeout=0.01, trans_no="t2")


@pytest.mark.asyncio
async def test_async_wait_for_calls_does_not_block_the_loop(emulator: TrimEmulator, client: Any) -> None:
    waiting = asyncio.create_task(emulator.async_wait_for_calls(1, trans_no="t1"))
    await asyncio.sleep(0)
    await asyncio.to_thread(client.post, "t1")
    assert [call.trans_no for call in await waiting] == ["t1"]


def test_without_records_calls_are_only_counted(client: Any) -> None:
    with TrimEmulator(record=False) as emulator:
        client.emulator = emulator
        client.post("t1")
        client.post("t1")
        assert emulator.calls == []
        assert emulator.call_count == 2
        with pytest.raises(RuntimeError, match="record=False"):
            emulator.wait_for_calls(1)


@pytest.mark.parametrize("record", [True, False])
def test_on_call_gets_every_call(client: Any, record: bool) -> None:
    seen: list[Call] = []
    with TrimEmulator(record=record, on_call=seen.append) as emulator:
        client.emulator = emulator
        client.post("t1")
        client.post("t2")
    assert [call.trans_no for call in seen] == ["t1", "t2"]


def test_connections_are_numbered(emulator: TrimEmulator, client: Any) -> None:
    client.post("t1")
    client.post("t1")
    requests.post(emulator.url + PATH, data=client.parameters("t1"))
    assert emulator.connections_opened == 2
    assert [call.connection for call in emulator.calls] == [1, 1, 2]
    ports = [call.peer_port for call in emulator.calls]
    assert ports[0] == ports[1] != ports[2]


def test_open_connections_are_counted(emulator: TrimEmulator, client: Any) -> None:
    client.post("t1")
    assert emulator.connections_open == 1
    emulator.stop()
    assert (emulator.connections_open, emulator.connections_opened) == (0, 1)
