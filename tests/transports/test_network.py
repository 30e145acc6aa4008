# SPDX-License-Identifier: Apache-2.0
"""Names, addresses, TLS, proxies and idle connections: both clients behave alike and say the same."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest
import trustme
from hypothesis import given

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.transports.failures import Failures
from airflow_provider_trim.transports.network import MAX_IDLE, network_fingerprint
from airflow_provider_trim.transports.sockets import connect as connect_socket
from airflow_provider_trim.transports.sync import SyncTransport
from airflow_provider_trim.vod.errors import TrimSettingsError, TrimTransportError
from airflow_provider_trim.vod.protocol import build_query
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.servers import RawServer

from .conftest import AioClient, Client, SyncClient

Connect = Callable[[TrimSettings], Client]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
NOW = 1516182478
FAILURES = Failures("h", None, 30.0, 10.0)


def settings(host: str, **extra: Any) -> TrimSettings:
    return TrimSettings.from_connection(
        host=host, login="emulator", password="emulator-token", extra={"allow_http": True, **extra}
    )


# --- addresses ---


@pytest.fixture
def silent() -> Iterator[int]:
    """A port of 127.0.0.1 whose backlog is full: connections are neither accepted nor refused."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Gives the name two.example the addresses that it is called with."""
    resolve = socket.getaddrinfo

    def give(*ports: int) -> None:
        def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
            if host not in ("two.example", b"two.example"):
                return resolve(host, *args, **kwargs)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    return give


def test_dead_address_leaves_time_for_the_next(silent: int, addresses: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        addresses(silent, silent, port)
        with connect_socket("two.example", 443, 1.0, FAILURES) as sock:
            assert sock.getpeername()[1] == port


def test_address_that_refuses_is_passed_over(addresses: Callable[..., None]) -> None:
    with socket.socket() as deaf, socket.create_server(("127.0.0.1", 0)) as listener:
        deaf.bind(("127.0.0.1", 0))
        addresses(deaf.getsockname()[1], listener.getsockname()[1])
        with connect_socket("two.example", 443, 10.0, FAILURES) as sock:
            assert sock.getpeername() == listener.getsockname()


def test_address_that_worked_is_tried_first(silent: int, addresses: Callable[..., None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        addresses(first.getsockname()[1], silent, second.getsockname()[1])
        with connect_socket("two.example", 443, 10.0, FAILURES, preferred=second.getsockname()) as sock:
            assert sock.getpeername() == second.getsockname()


def test_all_addresses_dead(silent: int, addresses: Callable[..., None]) -> None:
    addresses(silent, silent)
    with pytest.raises(TrimTransportError, match="connecting timed out"):
        connect_socket("two.example", 443, 0.2, FAILURES)


def test_tcp_probes_silent_peers() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        connect_socket("127.0.0.1", listener.getsockname()[1], 10.0, FAILURES) as sock,
    ):
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# --- what is sent ---


@pytest.mark.parametrize("path", ["", "/gate way".replace(" ", "%20"), "/a//b"])
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("auth", ["token", "ws3-hmac-sha256", "cnc-hmac-sha256", "api-key"])
def test_both_clients_send_the_same_bytes(auth: str, method: str, path: str) -> None:
    sent = []
    with RawServer(OK) as server:
        connection = settings(
            f"http://{server.address}{path}", auth=auth, method=method, allow_token_in_url=True, api_path="/v/%7e"
        )
        for kind in (SyncClient, AioClient):
            client = kind(connection)
            assert client.send(build_query(connection, "片/?&=", 0)).status == 200
            client.end()
        sent = server.requests
    assert sent[0] == sent[1]
    assert f"{method} {path}/v/%7e/".encode() in sent[0]


# --- idle connections ---


def test_idle_connection_is_not_used_again(emulator: TrimEmulator) -> None:
    now = 0.0
    connection = settings(emulator.url)
    with SyncTransport(connection, clock=lambda: now) as transport:
        for seconds in (0.0, MAX_IDLE - 1, MAX_IDLE + 1):
            now += seconds
            assert transport.send(build_query(connection, "T", 0)).status == 200
    assert emulator.connections_opened == 2


# --- TLS ---


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> str:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return str(tmp_path / "ca.pem")


def tls(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_fifo_is_no_ca_file(connect: Connect, tmp_path: Path) -> None:
    """To open one would hold the event loop up for ever."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(
        TrimSettingsError, match=r"^connection extra 'verify': '.*fifo' as CA file: not a regular file$"
    ):
        connect(settings("https://127.0.0.1", verify=str(fifo)))


def test_a_name_that_no_file_can_have_is_no_ca_file(connect: Connect) -> None:
    with pytest.raises(TrimSettingsError, match=r"^connection extra 'verify': '/x+' as CA file: File name too long$"):
        connect(settings("https://127.0.0.1", verify="/" + "x" * 300))


def test_changed_ca_file_or_proxy_is_another_network(ca: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = settings("https://127.0.0.1", verify=ca)
    before = network_fingerprint(connection)
    assert network_fingerprint(connection) == before
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert network_fingerprint(connection) != before
    monkeypatch.delenv("HTTPS_PROXY")
    trustme.CA().cert_pem.write_to_path(ca)
    assert network_fingerprint(connection) != before


def test_worker_follows_a_changed_ca_file(authority: trustme.CA, ca: str) -> None:
    """A wait in poke mode may hold its session for hours; the triggerer's is in tests/client/test_session.py."""
    trustme.CA().cert_pem.write_to_path(ca)
    with RawServer(OK, tls(authority)) as server:
        connection = settings(f"https://{server.address}", verify=ca)
        with SyncTransport(connection) as transport:
            for content in (None, b"half a certificate"):
                if content:
                    Path(ca).write_bytes(content)
                with pytest.raises(TrimTransportError, match="certificate verification failed"):
                    transport.send(build_query(connection, "T", 0))
            authority.cert_pem.write_to_path(ca)
            assert transport.send(build_query(connection, "T", 0)).status == 200


# --- any settings ---

_texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)
_names = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,8}", fullmatch=True).filter(lambda name: name != "token")


@given(
    auth=st.sampled_from(["token", "ws3-hmac-sha256", "cnc-hmac-sha256", "api-key"]),
    method=st.sampled_from(["POST", "GET"]),
    path=st.lists(st.from_regex(r"[A-Za-z0-9_~!$&'()*+,;=:@-]{0,5}(%[0-9A-Fa-f]{2})?", fullmatch=True), max_size=3),
    login=st.text("abcXYZ019-_.", min_size=1, max_size=10),
    password=_texts,
    trans_no=_texts,
    parameters=st.dictionaries(_names, _texts, max_size=3),
)
@hypothesis.settings(max_examples=40, deadline=None)
def test_any_request_is_sent_alike_and_its_signature_is_valid(
    auth: str, method: str, path: list[str], parameters: dict[str, str], login: str, password: str, trans_no: str
) -> None:
    extra = {"auth": auth, "method": method, "allow_token_in_url": True, "parameters": parameters}
    account = {"login": login, "password": password}
    try:
        TrimSettings.from_connection(extra=extra, **account)
        prefix = TrimSettings.from_connection(host=f"h/{'/'.join(path)}").base_url.removeprefix("https://h")
    except TrimSettingsError:
        hypothesis.reject()  # the name of a documented parameter, or dots
    with RawServer(OK) as server:
        connection = TrimSettings.from_connection(host=f"http://{server.address}{prefix}", extra=extra, **account)
        for kind in (SyncClient, AioClient):
            client = kind(connection)
            client.send(build_query(connection, trans_no, NOW))
            client.end()
        first, second = server.requests
    assert first == second
    with TrimEmulator(auth=auth, user=login, token=password, wall_clock=lambda: NOW) as emulator:
        connection = TrimSettings.from_connection(host=emulator.url, extra=extra, **account)
        with SyncTransport(connection) as transport:
            transport.send(build_query(connection, trans_no, NOW))
        (record,) = emulator.calls
        assert (record.code, record.trans_no) == (1603, trans_no)
