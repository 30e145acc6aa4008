# SPDX-License-Identifier: Apache-2.0
"""Starting and stopping."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
import requests

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.emulator.connections import ConnectionCounter, ServerThread


@pytest.fixture(autouse=True)
def before() -> set[threading.Thread]:
    """The threads of other emulators, of a session's fixtures for example."""
    return set(threading.enumerate())


def threads(before: set[threading.Thread]) -> list[str]:
    return [thread.name for thread in set(threading.enumerate()) - before if thread.name == "trim-emulator"]


def test_address_is_known_once_it_runs() -> None:
    emulator = TrimEmulator()
    for name in ("port", "url"):
        with pytest.raises(RuntimeError, match="until the emulator is started"):
            getattr(emulator, name)
    with emulator:
        assert emulator.port > 0
        assert emulator.url == f"http://127.0.0.1:{emulator.port}"
        assert (emulator.host, emulator.user, emulator.token) == ("127.0.0.1", "emulator", "emulator-token")


def test_it_listens_on_ipv6() -> None:
    with TrimEmulator(host="::1") as emulator:
        assert emulator.url == f"http://[::1]:{emulator.port}"
        assert requests.get(emulator.url + "/elsewhere").status_code == 404
        assert emulator.calls[0].peer_port > 0


@pytest.mark.parametrize(("host", "reached"), [("0.0.0.0", "127.0.0.1"), ("", "127.0.0.1"), ("::", "[::1]")])
def test_the_url_of_one_that_listens_on_all_addresses_is_one_that_clients_reach(host: str, reached: str) -> None:
    with TrimEmulator(host=host) as emulator:
        assert emulator.host == host
        assert emulator.url == f"http://{reached}:{emulator.port}"
        assert requests.get(emulator.url + "/elsewhere", timeout=60).status_code == 404


def test_stop_leaves_neither_thread_nor_socket(
    before: set[threading.Thread], client: Any, emulator: TrimEmulator
) -> None:
    client.post("t1")
    emulator.stop()
    assert threads(before) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((emulator.host, emulator.port), timeout=60)
    emulator.stop()


def test_it_starts_again_on_its_port_and_remembers(client: Any, emulator: TrimEmulator) -> None:
    emulator.add_trim("t1", seconds=0)
    port = emulator.port
    client.post("t1")
    emulator.stop()
    emulator.start()
    assert emulator.port == port
    assert client.post("t1").json()["data"]["status"] == 2
    assert [call.connection for call in emulator.calls] == [1, 2]


def test_it_does_not_start_twice(emulator: TrimEmulator) -> None:
    with pytest.raises(RuntimeError, match="running already"):
        emulator.start()


def test_port_in_use_raises_and_leaves_no_thread(before: set[threading.Thread]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        emulator = TrimEmulator(port=taken.getsockname()[1])
        with pytest.raises(OSError, match="in use"):
            emulator.start()
        assert threads(before) == []
    with emulator:
        assert requests.get(emulator.url + "/elsewhere").status_code == 404


def test_start_raises_the_error_of_a_server_that_cannot_listen() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.close()

    async def never(*_: Any) -> Any:
        raise NotImplementedError

    with pytest.raises(OSError, match="Bad file descriptor"):
        ServerThread(listener, never, ConnectionCounter()).start()


def test_two_emulators_run_side_by_side(client: Any, emulator: TrimEmulator) -> None:
    with TrimEmulator() as other:
        emulator.add_trim("t1")
        assert client.post("t1").json()["code"] == 200
        client.emulator = other
        assert client.post("t1").json()["code"] == 1603
