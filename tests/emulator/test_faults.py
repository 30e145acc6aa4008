# SPDX-License-Identifier: Apache-2.0
"""Faults as a client sees them."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from aiohttp import web

from airflow_provider_trim.emulator import (
    ConnectionReset,
    Delay,
    Exchange,
    Fault,
    Hold,
    HttpError,
    Late,
    NoFault,
    RawResponse,
    Repeated,
    ResetMidResponse,
    Response,
    ServiceCode,
    ServiceData,
    TrimEmulator,
)


@pytest.fixture(autouse=True)
def trim(emulator: TrimEmulator) -> None:
    emulator.add_trim("t1", seconds=0)


def test_http_error_has_a_html_page(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave("t1", HttpError(503))
    response = client.post("t1")
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "text/html"
    assert "503 Service Unavailable" in response.text
    assert response.headers["X-WS-RequestId"]


def test_http_error_takes_body_and_headers(emulator: TrimEmulator, client: Any) -> None:
    headers = {"Retry-After": "30", "Content-Type": "text/plain", "X-WS-RequestId": "its own"}
    emulator.misbehave("t1", HttpError(429, b"slow down", headers), HttpError(599))
    response = client.post("t1")
    assert (response.status_code, response.content) == (429, b"slow down")
    assert response.headers.items() >= headers.items()
    assert client.post("t1").status_code == 599


@pytest.mark.parametrize("status", [100, 600])
def test_http_error_requires_a_final_status(status: int) -> None:
    with pytest.raises(ValueError, match="200 to 599"):
        HttpError(status)


def test_raw_response_sends_its_bytes(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave("t1", RawResponse(b'{"code": 200, '), RawResponse(b"\xff", 202, {"Content-Type": "image/png"}))
    response = client.post("t1")
    assert (response.status_code, response.content) == (200, b'{"code": 200, ')
    assert response.headers["Content-Type"] == "application/json;charset=UTF-8"
    response = client.post("t1")
    assert (response.status_code, response.content, response.headers["Content-Type"]) == (202, b"\xff", "image/png")


def test_service_code_is_an_envelope(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave("t1", ServiceCode(1301, "无权限"), ServiceCode(24112000, http_status=400))
    response = client.post("t1")
    assert response.status_code == 200
    assert response.json() == {"code": 1301, "message": "无权限", "data": None}
    response = client.post("t1")
    assert (response.status_code, response.json()["code"]) == (400, 24112000)


@pytest.mark.parametrize("data", [None, "", [], {"status": 9}])
def test_service_data_is_in_a_success_envelope(emulator: TrimEmulator, client: Any, data: Any) -> None:
    emulator.misbehave("t1", ServiceData(data))
    assert client.post("t1").json() == {"code": 200, "message": "操作成功", "data": data}


def raw_call(emulator: TrimEmulator, client: Any) -> socket.socket:
    """Send a query of t1 over a plain socket, so that a test sees the bytes and the reset."""
    body = requests.Request("POST", "http://x", data=client.parameters("t1")).prepare().body
    assert isinstance(body, str)
    connection = socket.create_connection((emulator.host, emulator.port), timeout=60)
    connection.sendall(
        b"POST /vod/videoManage/videoClipQuery HTTP/1.1\r\nHost: x\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n" + f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    return connection


def receive_all(connection: socket.socket, received: bytearray) -> None:
    while chunk := connection.recv(65536):
        received += chunk


def test_connection_reset_before_any_byte(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave("t1", ConnectionReset())
    with raw_call(emulator, client) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert emulator.wait_for_calls(1)[0].http_status is None


def test_connection_reset_in_the_middle_of_the_response(emulator: TrimEmulator, client: Any) -> None:
    whole = client.post("t1").content
    emulator.misbehave("t1", ResetMidResponse())
    received = bytearray()
    with raw_call(emulator, client) as connection, pytest.raises(ConnectionResetError):
        receive_all(connection, received)
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    assert f"Content-Length: {len(whole)}".encode() in head
    assert body == whole[: len(whole) // 2]
    assert emulator.wait_for_calls(2)[1].http_status is None


def test_connection_reset_does_not_affect_the_next_call(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave("t1", ConnectionReset())
    with pytest.raises(requests.ConnectionError):
        client.post("t1")
    assert client.post("t1").json()["code"] == 200


def test_delay_precedes_the_default_response(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave("t1", Delay(0.05), Delay(0.05, then=HttpError(502)))
    for status in (200, 502):
        before = time.monotonic()
        assert client.post("t1").status_code == status
        assert time.monotonic() - before >= 0.05


def test_client_that_disconnects_is_recorded_without_a_response(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave("t1", Delay(3600))
    with pytest.raises(requests.ReadTimeout):
        client.session.post(
            emulator.url + "/vod/videoManage/videoClipQuery", data=client.parameters("t1"), timeout=0.05
        )
    (call,) = emulator.wait_for_calls(1, trans_no="t1")
    assert (call.http_status, call.code, call.fault) == (None, None, "Delay")


def test_hold_holds_calls_until_released(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t2", seconds=3600)
    hold = Hold()
    emulator.misbehave("t2", hold, repeat=True)
    calls = [client.in_background("t2"), client.in_background("t2")]
    hold.wait_until_held(2)
    assert hold.held == 2
    assert emulator.calls == []
    assert client.post("t1").json()["code"] == 200
    emulator.finish("t2")
    hold.release()
    assert [call.result().json()["data"]["status"] for call in calls] == [2, 2]
    hold.wait_until_left()
    assert client.post("t2").json()["data"]["status"] == 2


def test_hold_can_end_in_a_fault(emulator: TrimEmulator, client: Any) -> None:
    hold = Hold(then=ConnectionReset())
    emulator.misbehave("t1", hold)
    call = client.in_background("t1")
    hold.wait_until_held()
    hold.release()
    with pytest.raises(requests.ConnectionError):
        call.result()


def test_waiting_for_a_hold_times_out(emulator: TrimEmulator, client: Any) -> None:
    hold = Hold()
    with pytest.raises(TimeoutError, match="0 of 1 calls held"):
        hold.wait_until_held(timeout=0.01)
    emulator.misbehave("t1", hold)
    call = client.in_background("t1")
    hold.wait_until_held()
    with pytest.raises(TimeoutError, match="1 calls still held"):
        hold.wait_until_left(timeout=0.01)
    hold.release()
    call.result()


@pytest.mark.parametrize("fault", [Delay(3600), Hold()], ids=["Delay", "Hold"])
def test_stop_does_not_wait_for_faults(emulator: TrimEmulator, client: Any, fault: Fault) -> None:
    hold = Hold(then=fault)
    emulator.misbehave("t1", hold)
    call = client.in_background("t1")
    hold.wait_until_held()
    hold.release()
    hold.wait_until_left()
    emulator.stop()  # returns, that is
    with pytest.raises(requests.ConnectionError):
        call.result()
    assert [call.http_status for call in emulator.calls] == [None]


@dataclass(frozen=True)
class Echo(Fault):
    """A custom fault that reads the request."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        return await exchange.reply(Response(299, exchange.request.body, {}))


def test_custom_fault(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave("t1", Echo())
    response = client.post("t1")
    assert (response.status_code, response.content) == (299, emulator.calls[0].body)


def test_each_call_meets_the_next_fault(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave("t1", HttpError(500), NoFault(), HttpError(502))
    emulator.misbehave("t1", HttpError(503))
    assert [client.post("t1").status_code for _ in range(6)] == [500, 200, 502, 503, 200, 200]
    assert [call.fault for call in emulator.calls] == ["HttpError", "NoFault", "HttpError", "HttpError", None, None]


def test_repeated_faults_start_again_until_cleared(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave("t1", HttpError(500), HttpError(502), repeat=True)
    assert [client.post("t1").status_code for _ in range(5)] == [500, 502, 500, 502, 500]
    emulator.clear_faults("t1")
    assert client.post("t1").status_code == 200


def test_faults_of_one_trim_affect_no_other_and_come_before_those_of_any(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t2", seconds=0)
    emulator.misbehave(None, HttpError(500))
    emulator.misbehave("t1", HttpError(502))
    assert [client.post(trans_no).status_code for trans_no in ("t1", "t2", "t1", "t2")] == [502, 500, 200, 200]


def test_fault_of_any_query_affects_one_without_a_trans_no(emulator: TrimEmulator, client: Any) -> None:
    emulator.misbehave(None, HttpError(500))
    assert client.post().status_code == 500
    assert client.post().json()["code"] == 1601


def test_clear_faults_of_one_trim_or_of_all(emulator: TrimEmulator, client: Any) -> None:
    emulator.add_trim("t2", seconds=0)
    emulator.misbehave("t1", HttpError(500), repeat=True)
    emulator.misbehave("t2", HttpError(500), repeat=True)
    emulator.clear_faults("t1")
    assert [client.post(trans_no).status_code for trans_no in ("t1", "t2")] == [200, 500]
    emulator.misbehave(None, HttpError(500))
    emulator.clear_faults()
    assert [client.post(trans_no).status_code for trans_no in ("t1", "t2")] == [200, 200]


@pytest.mark.parametrize("fault", [HttpError, [HttpError(500)], "502", None], ids=repr)
def test_what_is_no_fault_is_refused(emulator: TrimEmulator, fault: Any) -> None:
    """Otherwise a test would meet another failure than it asks for, and pass."""
    for inject in (emulator.misbehave, emulator.inject_callback_faults):
        with pytest.raises(TypeError, match="must be an instance of"):
            inject(None, fault)
    if fault is not None:  # which stands for a reset connection
        with pytest.raises(TypeError, match="must be an instance of"):
            emulator.fail_submission("before", fault)


def test_misbehave_requires_a_fault(emulator: TrimEmulator) -> None:
    with pytest.raises(ValueError, match="at least one fault"):
        emulator.misbehave("t1")


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (
            lambda emulator: emulator.add_trim("n", seconds="5"),
            "duration must be a number of 0 seconds or more, not '5'",
        ),
        (lambda emulator: emulator.add_trim("n", seconds=True), "duration must be a number of 0 seconds or more"),
        (lambda emulator: emulator.add_trim("n", seconds=-1), "duration must be a number of 0 seconds or more"),
        (lambda emulator: emulator.add_trim(5), "transNo must have 1 to 32 characters, not 5"),
        (lambda emulator: setattr(emulator, "duration", "5"), "duration must be a number of 0 seconds or more"),
        (lambda _: TrimEmulator(duration="5"), "duration must be a number of 0 seconds or more"),
        (
            lambda _: TrimEmulator(quota="300/5 minutes"),
            r"quota must be \(calls, seconds\), such as \(300, 300\), not '300",
        ),
        (lambda _: TrimEmulator(quota=300), r"quota must be \(calls, seconds\)"),
        (lambda _: TrimEmulator(quota=("300", 300)), "quota's calls must be an integer of at least 1, not '300'"),
        (lambda _: TrimEmulator(quota=(300, "5")), "quota's time must be a number of 0 seconds or more, not '5'"),
        (lambda _: HttpError("503"), "status must be a final HTTP status, 200 to 599, not '503'"),
        (lambda _: Delay("5"), "seconds must be a number of 0 seconds or more"),
        (lambda _: Late("5"), "seconds must be a number of 0 seconds or more"),
        (lambda _: Repeated("2"), "times must be an integer of at least 1, not '2'"),
        (lambda _: Repeated(2, "1"), "interval must be a number of 0 seconds or more"),
        (lambda emulator: emulator.fail_submission("after", times="2"), "times must be an integer of at least 1"),
    ],
)
def test_a_wrong_number_is_refused_where_it_is_given(emulator: TrimEmulator, act: Any, message: str) -> None:
    """Otherwise it fails in the emulator's thread, as a call that gets no response."""
    with pytest.raises(ValueError, match=message):
        act(emulator)


def test_a_fault_within_another_is_checked(emulator: TrimEmulator) -> None:
    for make in (lambda: Delay(1, HttpError), lambda: Hold(HttpError)):
        with pytest.raises(TypeError, match="must be an instance of Fault"):
            make()


def test_a_trim_that_is_not_there_is_named(emulator: TrimEmulator) -> None:
    for act in (emulator.finish, emulator.fail):
        with pytest.raises(KeyError, match=r"there is no trim 'nope'; add_trim\(\) or a submission starts one"):
            act("nope")
