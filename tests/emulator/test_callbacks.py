# SPDX-License-Identifier: Apache-2.0
"""Callbacks to a trim's ``notifyUrl``, and their faults."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_trim.emulator import Callback, Delivered, Forged, Late, Lost, Repeated, TrimEmulator
from tests.support.servers import RawServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture
def listener() -> Iterator[RawServer]:
    with RawServer(OK) as server:
        yield server


@pytest.fixture
def url(listener: RawServer) -> str:
    return f"http://{listener.address}/done/x"


def bodies(listener: RawServer) -> list[Any]:
    return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in listener.requests]


def test_callback_at_the_end_of_a_submitted_trim(
    emulator: TrimEmulator, client: Any, clock: Any, listener: RawServer, url: str
) -> None:
    client.submit("t1", notifyUrl=url)
    clock.now += 4.9
    client.submit("t2", notifyUrl=url)
    clock.now += 0.1
    assert emulator.wait_for_callbacks(1) == [Callback(1005.0, "t1", url, 200)]
    clock.now += 5
    assert [callback.trans_no for callback in emulator.wait_for_callbacks(2)] == ["t1", "t2"]
    assert listener.requests[0].startswith(b"POST /done/x HTTP/1.1\r\n")
    assert bodies(listener)[0] == {"transNo": "t1", "taskId": emulator.submissions[0].task_id, "status": 2}


def test_it_is_called_when_a_trim_that_began_with_its_first_poll_is_done(
    emulator: TrimEmulator, client: Any, clock: Any, url: str
) -> None:
    emulator.add_trim("t1", 5, notify_url=url, start_on_first_poll=True)
    clock.now += 60
    client.post("t1")
    clock.now += 5
    assert emulator.wait_for_callbacks(1) == [Callback(1065.0, "t1", url, 200)]


@pytest.mark.parametrize(("ending", "status"), [("finish", 2), ("fail", 3)])
def test_one_callback_when_a_test_ends_the_trim(
    emulator: TrimEmulator, clock: Any, listener: RawServer, url: str, ending: str, status: int
) -> None:
    emulator.add_trim("t1", math.inf if status == 2 else 60, notify_url=url)
    getattr(emulator, ending)("t1")
    emulator.wait_for_callbacks(1)
    clock.now += 60
    emulator.add_trim("t2", 0, notify_url=url)
    emulator.wait_for_callbacks(2)
    assert [(body["transNo"], body["status"]) for body in bodies(listener)] == [("t1", status), ("t2", 2)]


def test_no_callback_without_notify_url_or_after_removal(
    emulator: TrimEmulator, clock: Any, listener: RawServer, url: str
) -> None:
    emulator.add_trim("t1", 1)
    emulator.add_trim("t2", 1, notify_url=url)
    emulator.remove_trim("t2")
    clock.now += 1
    emulator.add_trim("t3", 0, notify_url=url)
    emulator.wait_for_callbacks(1)
    assert [callback.trans_no for callback in emulator.callbacks] == ["t3"]


@pytest.mark.parametrize("response", [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", b"", b"nonsense\r\n\r\n"])
def test_failed_callback_is_not_retried(emulator: TrimEmulator, response: bytes) -> None:
    with RawServer(response) as listener:
        url = f"http://{listener.address}/"
        emulator.add_trim("t1", 0, notify_url=url)
        emulator.wait_for_callbacks(1)
        emulator.add_trim("t2", 0, notify_url=url)
        emulator.wait_for_callbacks(2)
        assert len(listener.requests) == 2
    assert {callback.http_status for callback in emulator.callbacks} == {500 if response.startswith(b"HTTP") else None}


def test_callback_does_not_follow_redirects(emulator: TrimEmulator, listener: RawServer, url: str) -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: " + url.encode() + b"\r\nContent-Length: 0\r\n\r\n"
    with RawServer(moved) as elsewhere:
        emulator.add_trim("t1", 0, notify_url=f"http://{elsewhere.address}/")
        assert emulator.wait_for_callbacks(1)[0].http_status == 307
    assert listener.requests == []


def test_callbacks_can_be_lost_late_repeated_or_forged(
    emulator: TrimEmulator, clock: Any, listener: RawServer, url: str
) -> None:
    emulator.inject_callback_faults(None, Lost(), Late(5), Repeated(3), Delivered(), Forged())
    for number in range(1, 6):
        emulator.add_trim(f"t{number}", 0, notify_url=url)
        emulator.wait_for_callbacks([0, 0, 3, 4, 5][number - 1])
    assert [callback.trans_no for callback in emulator.callbacks] == ["t3", "t3", "t3", "t4", "t5"]
    assert [callback.url for callback in emulator.callbacks] == [url] * 4 + [f"{url[:-1]}A"]
    clock.now += 5
    assert emulator.wait_for_callbacks(6)[-1] == Callback(1005.0, "t2", url, 200)
    assert len(listener.requests) == 6


def test_faults_of_one_trim_come_first_and_can_be_cleared(
    emulator: TrimEmulator, listener: RawServer, url: str
) -> None:
    emulator.inject_callback_faults("t1", Repeated(2))
    emulator.inject_callback_faults("t2", Lost())
    emulator.inject_callback_faults(None, Lost(), repeat=True)
    emulator.clear_faults("t2")
    emulator.add_trim("t2", 0, notify_url=url)
    emulator.add_trim("t1", 0, notify_url=url)
    emulator.wait_for_callbacks(2)
    emulator.clear_faults()
    emulator.add_trim("t3", 0, notify_url=url)
    assert [callback.trans_no for callback in emulator.wait_for_callbacks(3)] == ["t1", "t1", "t3"]


def test_callback_can_be_sent_at_any_time_to_any_url(emulator: TrimEmulator, listener: RawServer, url: str) -> None:
    emulator.add_trim("t1", 60, notify_url=url)
    emulator.send_callback("t1")
    emulator.wait_for_callbacks(1)
    emulator.send_callback("unknown", f"{url}/other")
    assert [callback.url for callback in emulator.wait_for_callbacks(2)] == [url, f"{url}/other"]
    assert [body["status"] for body in bodies(listener)] == [1, 1]
    with pytest.raises(KeyError):
        emulator.send_callback("unknown")
    emulator.add_trim("t2", 60)
    with pytest.raises(ValueError, match="no notifyUrl"):
        emulator.send_callback("t2")


def test_callback_due_while_stopped_is_sent_after_the_restart(
    emulator: TrimEmulator, clock: Any, listener: RawServer, url: str
) -> None:
    emulator.add_trim("t1", 5, notify_url=url)
    emulator.stop()
    clock.now += 5
    emulator.start()
    assert emulator.wait_for_callbacks(1)[0].http_status == 200
