# SPDX-License-Identifier: Apache-2.0
"""Both transports, held to the same: what is built is what is sent, and whatever goes wrong is a TrimTransportError."""

import asyncio
import contextlib
import logging
import multiprocessing
import pickle
import random
import shutil
import socket
import ssl
import threading
import traceback
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
import trustme

from airflow_provider_trim.emulator import (
    ConnectionReset,
    Delay,
    Hold,
    HttpError,
    RawResponse,
    ResetMidResponse,
    TrimEmulator,
)
from airflow_provider_trim.transports.aio import AioTransport
from airflow_provider_trim.transports.network import MAX_IDLE
from airflow_provider_trim.transports.sync import SyncTransport
from airflow_provider_trim.vod.errors import TrimError, TrimResponseError, TrimSettingsError, TrimTransportError
from airflow_provider_trim.vod.http import Request
from airflow_provider_trim.vod.protocol import build_query
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.parsing import parse_task
from tests.support.servers import ClosingServer, DrippingServer, RawServer

from .conftest import Client

Connect = Callable[[TrimSettings], Client]

TOKEN = "emulator-token"
NOW = 1516182478
OK = b"HTTP/1.1 200 OK\r\nX-WS-RequestId: r-1\r\nContent-Length: 2\r\n\r\n{}"


def settings(host: str, **extra: Any) -> TrimSettings:
    return TrimSettings.from_connection(host=host, login="emulator", password=TOKEN, extra=extra)


def query(connection: TrimSettings, trans_no: str = "T") -> Request:
    return build_query(connection, trans_no, NOW)


def failure(connect: Connect, host: str, **extra: Any) -> str:
    """The reason why a call with the token in its URL has no response; nothing of it may be shown."""
    connection = settings(host, method="GET", allow_token_in_url=True, allow_http=True, **extra)
    request = query(connection)
    assert TOKEN in request.url
    with pytest.raises(TrimTransportError) as caught:
        connect(connection).send(request)
    error = caught.value
    assert (error.retryable, error.http_status, error.code) == (True, None, None)
    shown = "".join(
        (str(error), repr(error), *traceback.format_exception(error), str(pickle.loads(pickle.dumps(error))))
    )
    for secret in (TOKEN, "transNo", "videoClipQuery", "proxy-password"):
        assert secret not in shown
    assert error.__cause__ is None
    assert error.__suppress_context__
    start = f"request to {host.split('://')[1]} failed: "
    assert str(error).startswith(start)
    return str(error).removeprefix(start)


# --- a call and its response ---


@pytest.mark.parametrize("http_status", [200, 201, 204, 302, 400, 401, 403, 404, 429, 500, 503, 599])
def test_any_response_comes_back_as_it_is(connect: Connect, emulator: TrimEmulator, http_status: int) -> None:
    """A status is no exception; what it means is decided in one place, from all of the response."""
    body = b"" if http_status == 204 else "\x00\xff 操作成功".encode()
    emulator.misbehave(None, RawResponse(body, http_status, {"X-One": "1", "Retry-After": "7"}))
    connection = settings(emulator.url)
    response = connect(connection).send(query(connection))
    assert (response.status, response.body) == (http_status, body)
    headers = {name.lower(): value for name, value in response.headers.items()}
    assert (headers["x-one"], headers["retry-after"]) == ("1", "7")
    assert headers["x-ws-requestid"] == emulator.calls[0].request_id


def test_a_trim_end_to_end(connect: Connect, emulator: TrimEmulator) -> None:
    emulator.add_trim("片段 1", seconds=0)
    connection = settings(emulator.url)
    response = connect(connection).send(query(connection, "片段 1"))
    task = parse_task(response.status, response.headers, response.body, trans_no="片段 1")
    assert task.video_info is not None
    assert task.video_info.raw == emulator.video_info("片段 1")
    assert task.request_id == emulator.calls[0].request_id


@pytest.mark.parametrize("trans_no", ["T", "a b/片%41~?#&=+"])
@pytest.mark.parametrize(
    "extra", [{"method": "POST"}, {"method": "GET", "allow_token_in_url": True}], ids=["POST", "GET"]
)
@pytest.mark.parametrize("auth", ["token", "ws3-hmac-sha256", "cnc-hmac-sha256", "api-key"])
def test_what_is_built_is_what_is_sent(
    connect: Connect, emulator: TrimEmulator, auth: str, extra: dict[str, Any], trans_no: str
) -> None:
    """To the byte, since it is signed."""
    connection = settings(emulator.url, auth=auth, **extra)
    request = query(connection, trans_no)
    connect(connection).send(request)
    (call,) = emulator.calls
    assert call.method == request.method
    assert f"{emulator.url}{call.path}?{call.query_string}".removesuffix("?") == request.url
    assert call.body == request.body
    sent = sorted((name.lower(), value) for name, value in call.headers.items())
    own = {"host": request.host} | ({"content-length": str(len(request.body))} if request.body else {})
    built = {name.lower(): value for name, value in request.headers.items()}
    assert [pair for pair in sent if pair[0] != "connection"] == sorted((own | built).items())


def test_one_connection_serves_many_calls(connect: Connect, emulator: TrimEmulator) -> None:
    emulator.misbehave(None, *(HttpError(status) for status in (500, 404, 302, 429)))
    connection = settings(emulator.url)
    client = connect(connection)
    assert [client.send(query(connection)).status for _ in range(6)] == [500, 404, 302, 429, 200, 200]
    assert emulator.connections_opened == 1


@pytest.mark.parametrize(("idle", "connections"), [(MAX_IDLE - 1, 1), (MAX_IDLE, 2)])
def test_a_connection_idle_for_too_long_is_not_used_again(
    emulator: TrimEmulator, idle: float, connections: int
) -> None:
    now = [1000.0]
    connection = settings(emulator.url)
    with SyncTransport(connection, clock=lambda: now[0]) as transport:
        transport.send(query(connection))
        now[0] += idle
        transport.send(query(connection))
    assert emulator.connections_opened == connections


def test_a_forked_process_opens_a_connection_of_its_own(emulator: TrimEmulator) -> None:
    """Over one socket, either might read the other's response."""
    connection = settings(emulator.url)
    with SyncTransport(connection) as transport:

        def send_twice(trans_no: str) -> None:
            for _ in range(2):
                assert transport.send(query(connection, trans_no)).status == 200

        send_twice("parent")
        forked = multiprocessing.get_context("fork").Process(target=send_twice, args=("child",))
        forked.start()
        forked.join()
        assert forked.exitcode == 0
        send_twice("parent")
    connections = [call.connection for call in emulator.calls]
    assert connections == [1, 1, 2, 2, 1, 1]


@pytest.mark.parametrize("location", ["/elsewhere", "http://elsewhere.invalid/", "http://[", "ftp://x/", "", "\xff"])
def test_redirects_are_not_followed(connect: Connect, emulator: TrimEmulator, location: str) -> None:
    """The proof of identity is for the connection's host only."""
    emulator.misbehave(None, *(HttpError(status, b"", {"Location": location}) for status in (301, 307)))
    connection = settings(emulator.url)
    client = connect(connection)
    assert [client.send(query(connection)).status for _ in range(2)] == [301, 307]
    assert emulator.call_count == 2


def test_cookies_are_not_kept(connect: Connect, emulator: TrimEmulator) -> None:
    emulator.misbehave(None, HttpError(200, b"", {"Set-Cookie": "session=1; Path=/"}))
    connection = settings(emulator.url)
    client = connect(connection)
    for _ in range(2):
        client.send(query(connection))
    assert not any("Cookie" in call.headers for call in emulator.calls)


def test_netrc_is_not_used(
    connect: Connect, emulator: TrimEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {emulator.host} login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for auth in ("token", "ws3-hmac-sha256"):
        connection = settings(emulator.url, auth=auth)
        request = query(connection)
        connect(connection).send(request)
        assert emulator.calls[-1].headers.get("Authorization") == request.headers.get("Authorization")


def test_closing_twice_is_harmless(connect: Connect, emulator: TrimEmulator) -> None:
    connection = settings(emulator.url)
    client = connect(connection)
    client.send(query(connection))
    client.close()
    client.close()


def test_trailers_are_bounded() -> None:
    """In a worker; aiohttp bounds them by their number, which differs from version to version."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    with RawServer(head + b"A: b\r\n" * 100_000 + b"\r\n") as server:
        connection = settings(f"http://{server.address}")
        with SyncTransport(connection) as transport, pytest.raises(TrimTransportError, match="malformed HTTP response"):
            transport.send(query(connection))


class _Leftover(RawServer):
    """Sends more than its response has, and tells when the client closes the connection."""

    def __init__(self) -> None:
        super().__init__(OK + b"left over")
        self.closed = threading.Event()

    def _reply(self, connection: socket.socket, stream: IO[bytes]) -> None:
        super()._reply(connection, stream)
        stream.read()
        self.closed.set()


def test_closing_closes_the_connection_while_an_error_refers_to_it(connect: Connect) -> None:
    with _Leftover() as server:
        connection = settings(f"http://{server.address}")
        client = connect(connection)
        with pytest.raises(TrimTransportError) as held:
            client.send(query(connection))
        client.close()
        assert server.closed.wait(30)
        del held


async def test_leaving_the_context_closes_the_connections(emulator: TrimEmulator) -> None:
    connection = settings(emulator.url)
    with SyncTransport(connection) as transport:
        assert transport.send(query(connection)).status == 200
    async with AioTransport(connection) as other:
        assert (await other.send(query(connection))).status == 200
        assert other._session.closed is False
    assert other._session.closed
    assert emulator.connections_opened == 2


async def test_no_more_connections_than_allowed(emulator: TrimEmulator) -> None:
    connection = settings(emulator.url)
    hold = Hold()
    emulator.misbehave(None, hold, repeat=True)
    async with AioTransport(connection, connections=2) as transport:
        calls = [asyncio.ensure_future(transport.send(query(connection))) for _ in range(5)]
        await asyncio.to_thread(hold.wait_until_held, 2)
        hold.release()
        assert [response.status for response in await asyncio.gather(*calls)] == [200] * 5
    assert emulator.connections_opened == 2


# --- no response ---


@pytest.mark.parametrize(
    ("fault", "reasons"),
    [
        (ConnectionReset(), {"Connection reset by peer"}),
        (ResetMidResponse(), {"Connection reset by peer", "malformed HTTP response"}),
    ],
)
def test_connection_reset(connect: Connect, emulator: TrimEmulator, fault: Any, reasons: set[str]) -> None:
    emulator.misbehave(None, fault, repeat=True)
    assert failure(connect, emulator.url) in reasons


def test_no_response_in_time(connect: Connect, emulator: TrimEmulator) -> None:
    emulator.misbehave(None, Delay(3600), repeat=True)
    assert failure(connect, emulator.url, timeout=0.2) == "timed out after 0.2 s"


CLOSED = "connection closed"
BROKEN = "malformed HTTP response"


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"", CLOSED),
        (b"garbage\r\n\r\n", BROKEN),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", BROKEN),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}", BROKEN),
    ],
    ids=["nothing", "garbage", "too-short", "bad-chunk"],
)
def test_response_that_is_not_http(connect: Connect, response: bytes, reason: str) -> None:
    with RawServer(response) as server:
        assert failure(connect, f"http://{server.address}") == reason
        assert server.requests


# --- bodies ---


def answered(connect: Connect, body: bytes, *head: str, **extra: Any) -> bytes:
    """What a transport makes of a body."""
    lines = ["HTTP/1.1 200 OK", *head]
    if not any(line.startswith("Transfer-Encoding") for line in head):
        lines.append(f"Content-Length: {len(body)}")
    with RawServer("\r\n".join([*lines, "", ""]).encode() + body) as server:
        connection = settings(f"http://{server.address}", **extra)
        return connect(connection).send(query(connection)).body


JSON = '{"code": 200, "message": "操作成功"}'.encode()


def deflated(content: bytes, window_bits: int) -> bytes:
    compressor = zlib.compressobj(wbits=window_bits)
    return compressor.compress(content) + compressor.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("identity", JSON),
        ("gzip", deflated(JSON, 31)),
        ("GZIP", deflated(JSON, 31)),
        ("x-gzip", deflated(JSON, 31)),
        ("deflate", deflated(JSON, 15)),
        ("deflate", deflated(JSON, -15)),
    ],
)
def test_a_compressed_body_is_decompressed(connect: Connect, encoding: str, body: bytes) -> None:
    assert answered(connect, body, f"Content-Encoding: {encoding}") == JSON


def test_a_body_of_just_a_mebibyte_is_read(connect: Connect) -> None:
    assert answered(connect, b" " * 2**20) == b" " * 2**20


@pytest.mark.parametrize(
    ("body", "head", "why"),
    [
        (b" " * (2**20 + 1), [], "response larger than 1,048,576 bytes"),
        (b" " * 50_000_000, [], "response larger than 1,048,576 bytes"),
        (
            b"".join(b"10000\r\n%b\r\n" % (b" " * 65536) for _ in range(17)),
            ["Transfer-Encoding: chunked"],
            "response larger than 1,048,576 bytes",
        ),
        (deflated(b" " * 100_000, 31), ["Content-Encoding: gzip"], "or than 100 times its compressed size"),
        (deflated(random.Random(1).randbytes(700_000).hex().encode(), 31), ["Content-Encoding: gzip"], "decompressed"),
        (b"{}", ["Content-Encoding: gzip"], "cannot be decompressed"),
        (b"", ["Content-Encoding: gzip"], None),
        (deflated(b"", 31) * 50_000, ["Content-Encoding: gzip"], "cannot be decompressed"),
        (deflated(JSON, 31)[:-9], ["Content-Encoding: gzip"], "compressed response is incomplete"),
        (b"{}", ["Content-Encoding: br"], "unexpected Content-Encoding 'br'"),
        (b"{}", ["Content-Encoding: gzip, gzip"], "unexpected Content-Encoding 'gzip, gzip'"),
    ],
    ids=["one too many", "50 MB", "chunked", "bomb", "long", "no gzip", "empty", "members", "half", "br", "twice"],
)
def test_a_body_beyond_reason_is_cut_off(connect: Connect, body: bytes, head: list[str], why: str | None) -> None:
    if why is None:
        assert answered(connect, body, *head) == b""
        return
    with pytest.raises(TrimResponseError, match=why) as caught:
        answered(connect, body, *head)
    assert caught.value.retryable


@pytest.mark.parametrize("part", ["head", "body"])
def test_dripping_response_times_out(connect: Connect, part: str) -> None:
    """``timeout`` is for the whole call: each byte in time is not enough."""
    head = b"HTTP/1.1 200 OK\r\n" + (b"X: " if part == "head" else b"Content-Length: 9999\r\n\r\n")
    with DrippingServer(head) as server:
        assert failure(connect, f"http://{server.address}", timeout=0.5) == "timed out after 0.5 s"


def test_get_is_not_retried_by_the_http_library(connect: Connect) -> None:
    """A server that closes a connection it kept open has maybe counted the call, and seen its signature."""
    ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    with ClosingServer(ok) as server:
        connection = settings(f"http://{server.address}", method="GET", auth="cnc-hmac-sha256")
        client = connect(connection)
        assert client.send(query(connection)).status == 200
        with pytest.raises(TrimTransportError):
            client.send(query(connection))
    assert len(server.requests) == 2


# --- certificates ---


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> str:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return str(file)


def tls_server(authority: trustme.CA, name: str = "127.0.0.1") -> RawServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return RawServer(OK, context)


def test_certificate_of_another_host(connect: Connect, authority: trustme.CA, ca: str) -> None:
    with tls_server(authority, "example.com") as server:
        reason = failure(connect, f"https://{server.address}", verify=ca)
        assert reason.startswith("certificate verification failed: IP address mismatch")
        assert not server.requests


def test_given_authority(connect: Connect, authority: trustme.CA, ca: str) -> None:
    with tls_server(authority) as server:
        connection = settings(f"https://{server.address}", verify=ca)
        response = connect(connection).send(query(connection))
        assert (response.status, response.body, response.headers["x-ws-requestid"]) == (200, b"{}", "r-1")


def test_a_file_that_holds_no_authorities(connect: Connect, tmp_path: Path) -> None:
    """Said at once and for good, not after ten failed calls."""
    text = tmp_path / "text"
    text.write_text("no certificate")
    for path, reason in [(tmp_path / "none", "No such file"), (tmp_path, "Is a directory"), (text, "certificate")]:
        with pytest.raises(TrimSettingsError, match=r"^connection extra 'verify': ") as caught:
            connect(settings("https://127.0.0.1", verify=str(path)))
        assert reason in str(caught.value)
        assert str(path) in str(caught.value)


def test_authorities_that_are_gone_later_may_come_back(connect: Connect, ca: str, tmp_path: Path) -> None:
    """A file that is being replaced ends no wait."""
    file = tmp_path / "authorities"
    shutil.copy(ca, file)
    connection = settings("https://127.0.0.1:9", verify=str(file))
    connect(connection)
    file.unlink()
    with pytest.raises(TrimError) as caught:
        connect(connection).send(query(connection))
    assert caught.value.retryable


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_authorities_of_the_environment_that_are_none(
    connect: Connect, tmp_path: Path, content: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "authorities"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    with pytest.raises(TrimSettingsError, match=r"^environment variable REQUESTS_CA_BUNDLE: '.*authorities' as CA"):
        connect(settings("https://127.0.0.1"))


# --- other loggers ---


@pytest.mark.parametrize(
    "response",
    [
        OK,
        b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: \x7f=;;\r\nContent-Length: 2\r\n\r\n{}",
        b"",
    ],
    ids=["ok", "bad header", "bad cookie", "closed"],
)
def test_no_logger_sees_the_token(connect: Connect, caplog: pytest.LogCaptureFixture, response: bytes) -> None:
    """Other packages' loggers write URLs, and a task's log has them at DEBUG."""
    caplog.set_level(logging.DEBUG)
    with RawServer(response) as server:
        connection = settings(f"http://{server.address}", method="GET", allow_token_in_url=True)
        with contextlib.suppress(TrimTransportError):
            connect(connection).send(query(connection))
        assert TOKEN.encode() in server.requests[0]
    assert TOKEN not in caplog.text
    assert "videoClipQuery" not in caplog.text
