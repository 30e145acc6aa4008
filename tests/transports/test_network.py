# SPDX-License-Identifier: Apache-2.0
"""Names, addresses, TLS, proxies and idle connections: both clients behave alike and say the same."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.transports.failures import Failures
from airflow_provider_trim.transports.network import MAX_IDLE, network_fingerprint
from airflow_provider_trim.transports.sockets import connect as connect_socket
from airflow_provider_trim.transports.sync import SyncTransport
from airflow_provider_trim.vod.errors import TrimSettingsError, TrimTransportError
from airflow_provider_trim.vod.protocol import build_query
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.proxies import TunnelProxy
from tests.support.servers import RawServer

from .conftest import AioClient, Client, SyncClient

Connect = Callable[[TrimSettings], Client]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
FAILURES = Failures("h", None, 30.0, 10.0)


def settings(host: str, **extra: Any) -> TrimSettings:
    return TrimSettings.from_connection(
        host=host, login="emulator", password="emulator-token", extra={"allow_http": True, **extra}
    )


def call(connect: Connect, connection: TrimSettings) -> int:
    return connect(connection).send(build_query(connection, "T", 0)).status


def failure(connect: Connect, host: str, **extra: Any) -> str:
    connection = settings(host, **extra)
    with pytest.raises(TrimTransportError) as caught:
        call(connect, connection)
    return caught.value.message.removeprefix(f"request to {connection.base_url.partition('://')[2]} failed: ")


# --- names and addresses ---


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
            entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
            if not entries:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return entries

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


def test_unknown_name(connect: Connect, addresses: Callable[..., None]) -> None:
    addresses()
    reason = failure(connect, "https://two.example")
    assert reason == "host name lookup failed: Name or service not known (check the connection's host)"


@pytest.mark.parametrize("host", ["http://LOCALHOST:{port}", "http://localhost.:{port}", "http://[::1]:{port}"])
def test_host_in_any_spelling(connect: Connect, host: str) -> None:
    family = socket.AF_INET6 if "[" in host else socket.AF_INET
    with socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family) as listener:
        seen: list[bytes] = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                seen.append(connection.recv(65536))
                connection.sendall(OK)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        assert call(connect, settings(host.format(port=port), method="GET", auth="api-key")) == 200
        thread.join(10)
        name = "[::1]" if "[" in host else "localhost"
        assert f"\r\nhost: {name}:{port}\r\n".encode() in seen[0].lower()


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


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "localhost."])
def test_server_name_indication(connect: Connect, authority: trustme.CA, ca: str, host: str) -> None:
    names: list[str | None] = []
    context = tls(authority, "localhost")
    context.sni_callback = lambda sock, name, context: names.append(name)
    with RawServer(OK, context) as server:
        port = server.address.rpartition(":")[2]
        assert call(connect, settings(f"https://{host}:{port}", verify=ca)) == 200
    assert names == ["localhost"]


def test_http_where_https_is_expected(connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        reason = failure(connect, "https://{}:{}".format(*listener.getsockname()))
    assert reason.startswith("TLS handshake failed: ")
    assert reason.endswith(" (check that host and port serve https)")


def test_authorities_of_openssls_variable(
    connect: Connect, authority: trustme.CA, ca: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", ca)
    with RawServer(OK, tls(authority)) as server:
        assert call(connect, settings(f"https://{server.address}")) == 200


def test_fifo_is_no_ca_file(connect: Connect, tmp_path: Path) -> None:
    """To open one would hold the event loop up for ever."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(
        TrimSettingsError, match=r"^connection extra 'verify': '.*fifo' as CA file: not a regular file$"
    ):
        connect(settings("https://127.0.0.1", verify=str(fifo)))


def test_changed_ca_file_or_proxy_is_another_network(ca: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = settings("https://127.0.0.1", verify=ca)
    before = network_fingerprint(connection)
    assert network_fingerprint(connection) == before
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert network_fingerprint(connection) != before
    monkeypatch.delenv("HTTPS_PROXY")
    trustme.CA().cert_pem.write_to_path(ca)
    assert network_fingerprint(connection) != before


# --- proxies ---


@pytest.mark.parametrize("proxy_tls", [False, True], ids=["http proxy", "https proxy"])
def test_tunnel(connect: Connect, authority: trustme.CA, ca: str, proxy_tls: bool) -> None:
    with (
        RawServer(OK, tls(authority)) as server,
        TunnelProxy(tls=tls(authority) if proxy_tls else None) as proxy,
    ):
        scheme = "https" if proxy_tls else "http"
        address = f"{scheme}://ü:p%40ss@{proxy.address}"
        assert call(connect, settings(f"https://{server.address}", verify=ca, proxy=address)) == 200
        (head,) = proxy.heads
        assert head.startswith(f"CONNECT {server.address} HTTP/1.1\r\n".encode())
        assert b"\r\nproxy-authorization: basic w7w6cebzcw==\r\n" in head.lower()  # ü:p@ss in UTF-8
        (request,) = server.requests
        assert b"authorization" not in request.lower()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("form", ["{}", "http://{}", "HTTP://{}/", "u:p@{}"])
def test_environment_in_any_form(
    connect: Connect, authority: trustme.CA, ca: str, name: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(OK, tls(authority)) as server, TunnelProxy() as proxy:
        monkeypatch.setenv(name, form.format(proxy.address))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca)
        assert call(connect, settings(f"https://{server.address}")) == 200
        assert len(proxy.heads) == 1


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
def test_environment_without_a_scheme(connect: Connect, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(OK) as proxy:
        monkeypatch.setenv(name, f"u:p@{proxy.address}")
        assert call(connect, settings("http://trim.invalid")) == 200
        assert proxy.requests[0].startswith(b"POST http://trim.invalid/vod/")
        assert b"\r\nproxy-authorization: basic dTpw".lower() in proxy.requests[0].lower()


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "SOCKS5h://u:geheim@127.0.0.1:1080"])
def test_socks_proxy_of_the_environment(connect: Connect, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", url)
    with pytest.raises(TrimSettingsError) as caught:
        connect(settings("https://trim.invalid"))
    assert caught.value.message == (
        "environment variable HTTPS_PROXY or ALL_PROXY: SOCKS proxies are not supported; "
        "name an HTTP proxy such as http://proxy.example.com:3128"
    )


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            "CONNECT was answered with HTTP status 407 (check the proxy's user and password)",
        ),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "CONNECT was answered with HTTP status 502"),
        (b"HTTP/1.0 403 Forbidden\r\n\r\n<html>", "CONNECT was answered with HTTP status 403"),
    ],
)
def test_proxy_that_opens_no_tunnel(connect: Connect, reply: bytes, reason: str) -> None:
    with TunnelProxy(reply) as proxy:
        said = failure(connect, "https://trim.invalid", proxy=f"http://u:geheim@{proxy.address}")
        assert said == f"proxy {proxy.address}: {reason}"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [(b"", "connection closed"), (b"garbage\r\n\r\n", "malformed HTTP response")],
    ids=["closed", "garbage"],
)
def test_proxy_that_is_none(connect: Connect, reply: bytes, reason: str) -> None:
    with TunnelProxy(reply) as proxy:
        assert failure(connect, "https://trim.invalid", proxy=proxy.address) == reason


@pytest.mark.parametrize("host", ["http://trim.invalid", "https://trim.invalid"])
def test_proxy_with_an_unknown_name(connect: Connect, addresses: Callable[..., None], host: str) -> None:
    addresses()
    assert failure(connect, host, proxy="two.example:3128") == (
        "proxy two.example:3128: host name lookup failed: Name or service not known (check the address of the proxy)"
    )


def test_service_behind_the_proxy_has_another_certificate(connect: Connect, authority: trustme.CA) -> None:
    with RawServer(OK, tls(authority)) as server, TunnelProxy() as proxy:
        reason = failure(connect, f"https://{server.address}", proxy=proxy.address)
        assert reason == (
            "certificate verification failed: unable to get local issuer certificate "
            "(set the connection's 'verify' to a CA file)"
        )
