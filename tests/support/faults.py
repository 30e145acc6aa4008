# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a waiting sensor and the service, and what the sensor is to do about it: one table."""

from __future__ import annotations

import contextlib
import datetime
import enum
import functools
import gzip
import json
import math
import socket
import ssl
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import trustme

from airflow_provider_trim.emulator import (
    ConnectionReset,
    Fault,
    HttpError,
    RawResponse,
    ResetMidResponse,
    ServiceCode,
    ServiceData,
    TrimEmulator,
)
from tests.support.servers import Door, Spoil, head, whole_response

TOKEN = "a-token-that-must-not-leak"
TRANS_NO = "T"
VIDEO_INFO = {"videoId": "V1", "videoName": "射门", "videoSize": 5_000_000, "videoResolutions": []}
"""What every wait that succeeds returns."""

CALL_TIMEOUT = 0.3
"""Seconds after which a call is given up, where that is what the fault is about."""

BACKOFF = 0.25
"""Seconds without calls after an HTTP 429 that does not say for how long."""


class Verdict(enum.Enum):
    """What a fault means for the sensor, for the page: if it passes, and if it lasts."""

    RETRIES = ("keeps waiting", "fails after `max_consecutive_failures` polls; retries apply")
    SLOWS_DOWN = ("keeps waiting, with longer pauses", "keeps waiting until `timeout`, with longer pauses")
    KEEPS_WAITING = ("keeps waiting", "keeps waiting until `timeout`")
    RELOADS = ("reloads the connection and keeps waiting", "fails after the reload; retries apply")
    FAILS_AT_ONCE = ("fails at once; no retries", "fails at once; no retries")
    SUCCEEDS = ("succeeds", "succeeds")

    def __init__(self, when_it_passes: str, when_it_lasts: str) -> None:
        self.when_it_passes = when_it_passes
        self.when_it_lasts = when_it_lasts


@dataclass(frozen=True, slots=True)
class Service:
    """A service to wait at.

    :param host: the connection's
    :param called_at: gives the Unix seconds at which it was called, or was tried to be
    :param extra: the connection's
    """

    host: str
    called_at: Callable[[], list[float]]
    extra: dict[str, Any] = field(default_factory=dict)


Stage = Callable[[float], AbstractContextManager[Service]]
"""Starts a service whose first calls, as many as given, meet a fault; the trim is done at the first that does not."""


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table.

    :param name: of the fault, for readers
    :param says: what the error's message names; where there are several, one of them (the clients differ)
    :param call_timeout: ``timeout`` of the connection, in seconds
    :param pause: seconds that are to lie between two calls, where that is more than the interval
    """

    name: str
    verdict: Verdict
    stage: Stage
    says: tuple[str, ...] = ()
    call_timeout: float = 60.0
    pause: float = 0.0


# --- how faults are put up ---


@contextlib.contextmanager
def _emulator(port: int = 0) -> Iterator[TrimEmulator]:
    with TrimEmulator(port=port, token=TOKEN, clock=time.time) as emulator:
        emulator.add_trim(TRANS_NO, seconds=0, video_info=VIDEO_INFO)
        yield emulator


def responds(fault: Fault) -> Stage:
    """The emulator responds with it."""

    @contextlib.contextmanager
    def stage(calls: float) -> Iterator[Service]:
        with _emulator() as emulator:
            count = 1 if calls == math.inf else int(calls)
            emulator.misbehave(TRANS_NO, *[fault] * count, repeat=calls == math.inf)
            yield Service(emulator.url, lambda: [call.time for call in emulator.calls_for(TRANS_NO)])

    return stage


def spoils(spoil: Spoil) -> Stage:
    """The emulator's response is spoiled on its way."""

    @contextlib.contextmanager
    def stage(calls: float) -> Iterator[Service]:
        with _emulator() as emulator, Door(emulator, spoil, calls) as door:
            yield Service(f"http://{door.address}", lambda: list(door.called_at))

    return stage


def stalls(spoil: Spoil) -> Stage:
    """The emulator's response is spoiled so that the client gives up, and leaves.

    The client reports the calls: on a busy machine, a server may see a client when that has left.
    """

    @contextlib.contextmanager
    def stage(calls: float) -> Iterator[Service]:
        with _emulator() as emulator, Door(emulator, spoil, calls) as door:
            host, _, port = door.address.partition(":")
            with _connecting((host, int(port))) as called_at:
                yield Service(f"http://{door.address}", lambda: list(called_at))

    return stage


@contextlib.contextmanager
def _connecting(address: Any, before: Callable[[int], None] = lambda number: None) -> Iterator[list[float]]:
    """Note when a client begins to connect to an address.

    :param before: what is done first, given how many there were
    """
    connect = socket.socket.connect
    times: list[float] = []

    def attempt(self: socket.socket, target: Any) -> None:
        if target == address:
            times.append(time.time())
            before(len(times))
        connect(self, target)

    with mock.patch.object(socket.socket, "connect", attempt):
        yield times


@functools.cache
def _authority() -> trustme.CA:
    return trustme.CA()


def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def presents(make_context: Callable[[], ssl.SSLContext | None]) -> Stage:
    """The service presents a certificate that is not to be trusted, or none, and then a good one."""

    @contextlib.contextmanager
    def stage(calls: float) -> Iterator[Service]:
        tls = (make_context(), _context(_authority().issue_cert("127.0.0.1")))
        with (
            _authority().cert_pem.tempfile() as ca,
            _emulator() as emulator,
            Door(emulator, whole_response, calls, tls) as door,
        ):
            yield Service(f"https://{door.address}", lambda: list(door.called_at), {"verify": ca})

    return stage


def accepts_no_connection(backlog: int | None) -> Stage:
    """The service's port is not listened at (None), or its backlog is full and no connection is accepted."""

    @contextlib.contextmanager
    def stage(calls: float) -> Iterator[Service]:
        with ExitStack() as stack:
            deaf = stack.enter_context(ExitStack())
            listener = deaf.enter_context(socket.socket())
            listener.bind(("127.0.0.1", 0))
            address = listener.getsockname()
            if backlog is not None:
                listener.listen(backlog)
                for _ in range(backlog + 3):
                    waiting = deaf.enter_context(socket.socket())
                    waiting.setblocking(False)
                    waiting.connect_ex(address)

            def open_up(number: int) -> None:
                if number == calls + 1:
                    deaf.close()
                    stack.enter_context(_emulator(address[1]))

            # Only the client knows of attempts that are refused or get no response.
            called_at = stack.enter_context(_connecting(address, open_up))
            yield Service("http://{}:{}".format(*address), lambda: list(called_at))

    return stage


@contextlib.contextmanager
def has_no_address(calls: float) -> Iterator[Service]:
    """The service's name is not known."""
    getaddrinfo = socket.getaddrinfo
    called_at: list[float] = []

    def resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "nowhere.invalid":
            return getaddrinfo(host, *args, **kwargs)
        called_at.append(time.time())
        if len(called_at) <= calls:
            # Not asked for: some networks' resolvers take their time, or know an address for any name.
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return getaddrinfo("127.0.0.1", *args, **kwargs)

    with _emulator() as emulator, mock.patch.object(socket, "getaddrinfo", resolve):
        yield Service(f"http://nowhere.invalid:{emulator.port}", lambda: list(called_at), {"allow_http": True})


# --- certificates ---


def _expired() -> ssl.SSLContext:
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    return _context(_authority().issue_cert("127.0.0.1", not_after=yesterday))


def _of_another_host() -> ssl.SSLContext:
    return _context(_authority().issue_cert("example.com"))


def _of_unknown_authority() -> ssl.SSLContext:
    return _context(trustme.CA().issue_cert("127.0.0.1"))


def _self_signed() -> ssl.SSLContext:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "certificate.pem"
        file.write_bytes(authority.private_key_pem.bytes() + authority.cert_pem.bytes())
        context.load_cert_chain(file)
    return context


# --- responses that don't arrive whole ---


def _silence(connection: socket.socket, body: bytes) -> None:
    connection.recv(1)  # until the client has left


def _drip_after(sent: bytes) -> Spoil:
    def drip(connection: socket.socket, body: bytes) -> None:
        connection.sendall(sent)
        while True:  # until the client has left
            time.sleep(0.02)
            connection.sendall(b"x")

    return drip


def _reset_after_the_response(connection: socket.socket, body: bytes) -> None:
    whole_response(connection, body)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _content_length_too_short(connection: socket.socket, body: bytes) -> bool:
    connection.sendall(head(len(body) // 2) + body)
    return True  # what is left over lies in the way of the next response


def _50_megabytes(connection: socket.socket, body: bytes) -> None:
    connection.sendall(head(50_000_000))
    for _ in range(50):
        connection.sendall(b" " * 1_000_000)


def _chunked(connection: socket.socket, *parts: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(parts))


# --- bodies ---

DONE = {"taskId": "task", "transNo": TRANS_NO, "status": 2, "videoInfo": VIDEO_INFO}
BODY = json.dumps({"code": 200, "message": "ok", "data": DONE}, ensure_ascii=False).encode()


def _with(old: str, new: str | bytes) -> Fault:
    """The response of a finished trim, with a part of it replaced."""
    part = old.encode()
    assert BODY.count(part) == 1, old
    return RawResponse(BODY.replace(part, new if isinstance(new, bytes) else new.encode()))


def _data(**changes: Any) -> Fault:
    """The response of a finished trim, with other data; None leaves a part out."""
    return ServiceData({name: value for name, value in {**DONE, **changes}.items() if value is not None})


def _encoded(encoding: str, body: bytes) -> Fault:
    return RawResponse(body, headers={"Content-Type": "application/json", "Content-Encoding": encoding})


_NOON = "Tue, 16 Jan 2018 12:00:00 GMT"
_A_SECOND_LATER = "Tue, 16 Jan 2018 12:00:01 GMT"

_W, _F = Verdict.RETRIES, Verdict.FAILS_AT_ONCE
_CLOSED = "connection closed"
_BROKEN = "malformed HTTP response"
_RESET = "Connection reset by peer"
_SHAPE = "unexpected response"
_NO_JSON = "unexpected response (not JSON)"
_CALLED_TOO_OFTEN = ("rate limit exceeded", "quota is exhausted")
_TROUBLE = "service unavailable"
_REFUSED = "authentication failed"
_SLOW = "timed out"

CASES: tuple[Case, ...] = (
    # No connection.
    Case("connection refused", _W, accepts_no_connection(None), ("Connection refused",)),
    Case("unknown host name", _W, has_no_address, ("Name or service not known",)),
    Case("no response to a connection attempt", _W, accepts_no_connection(0), (_SLOW,), CALL_TIMEOUT),
    Case("certificate has expired", _W, presents(_expired), ("certificate has expired",)),
    Case("certificate of another host", _W, presents(_of_another_host), ("IP address mismatch",)),
    Case("self-signed certificate", _W, presents(_self_signed), ("self-signed certificate",)),
    Case(
        "certificate of an unknown authority",
        _W,
        presents(_of_unknown_authority),
        ("unable to get local issuer certificate",),
    ),
    Case("plain HTTP where TLS is expected", _W, presents(lambda: None), ("TLS handshake failed",)),
    # No whole response.
    Case("no response in time", _W, stalls(_silence), (_SLOW,), CALL_TIMEOUT),
    Case("headers that drip", _W, stalls(_drip_after(b"HTTP/1.1 200 OK\r\nX: ")), (_SLOW,), CALL_TIMEOUT),
    Case("body that drips", _W, stalls(_drip_after(head(9999))), (_SLOW,), CALL_TIMEOUT),
    Case("reset before the response", _W, responds(ConnectionReset()), (_RESET,)),
    Case("reset in the middle of the response", _W, responds(ResetMidResponse()), (_RESET, _BROKEN)),
    Case("reset after the response", Verdict.SUCCEEDS, spoils(_reset_after_the_response)),
    Case("connection closed without a response", _W, spoils(lambda connection, body: None), (_CLOSED,)),
    Case("no HTTP", _W, spoils(lambda connection, body: connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")), (_BROKEN,)),
    Case(
        "header of a megabyte",
        _W,
        spoils(lambda connection, body: connection.sendall(b"HTTP/1.1 200 OK\r\nX: %b\r\n\r\n" % (b"x" * 2**20))),
        (_BROKEN, _RESET),
    ),
    Case(
        "truncated body",
        _W,
        spoils(lambda connection, body: connection.sendall(head(len(body)) + body[: len(body) // 2])),
        (_BROKEN,),
    ),
    Case(
        "Content-Length too large",
        _W,
        spoils(lambda connection, body: connection.sendall(head(len(body) + 10) + body)),
        (_BROKEN,),
    ),
    Case("Content-Length too small", _W, spoils(_content_length_too_short), (_SHAPE, _BROKEN)),
    Case("chunks of nonsense", _W, spoils(lambda connection, body: _chunked(connection, b"zz\r\n", body)), (_BROKEN,)),
    Case(
        "last chunk missing",
        _W,
        spoils(lambda connection, body: _chunked(connection, b"%x\r\n%b\r\n" % (len(body), body))),
        (_BROKEN,),
    ),
    # HTTP statuses.
    Case(
        "HTTP 301",
        _W,
        responds(HttpError(301, headers={"Location": "http://127.0.0.1:1/"})),
        ("redirects are not followed",),
    ),
    Case("HTTP 204", _W, responds(RawResponse(b"", 204)), ("HTTP status 204",)),
    Case("HTTP 400 with HTML", _W, responds(HttpError(400)), ("HTTP status 400",)),
    Case("HTTP 401", Verdict.RELOADS, responds(HttpError(401)), (_REFUSED,)),
    Case("HTTP 403", Verdict.RELOADS, responds(HttpError(403)), (_REFUSED,)),
    Case("HTTP 404", _W, responds(HttpError(404)), ("check the connection's host and api_path",)),
    Case("HTTP 408", _W, responds(HttpError(408)), (_TROUBLE,)),
    Case(
        "HTTP 403 with Retry-After",
        Verdict.SLOWS_DOWN,
        responds(HttpError(403, headers={"Retry-After": "1"})),
        _CALLED_TOO_OFTEN,
        pause=1.0,
    ),
    Case(
        "HTTP 429 without Retry-After",
        Verdict.SLOWS_DOWN,
        responds(HttpError(429)),
        _CALLED_TOO_OFTEN,
        pause=BACKOFF,
    ),
    Case(
        "HTTP 429, Retry-After in seconds",
        Verdict.SLOWS_DOWN,
        responds(HttpError(429, headers={"Retry-After": "1"})),
        _CALLED_TOO_OFTEN,
        pause=1.0,
    ),
    Case(
        "HTTP 429, Retry-After as a date",
        Verdict.SLOWS_DOWN,
        responds(HttpError(429, headers={"Date": _NOON, "Retry-After": _A_SECOND_LATER})),
        _CALLED_TOO_OFTEN,
        pause=1.0,
    ),
    Case(
        "HTTP 429, Retry-After is nonsense",
        Verdict.SLOWS_DOWN,
        responds(HttpError(429, headers={"Retry-After": "soon"})),
        _CALLED_TOO_OFTEN,
        pause=BACKOFF,
    ),
    Case("HTTP 500", _W, responds(HttpError(500)), (_TROUBLE,)),
    Case("HTTP 502 with HTML", _W, responds(HttpError(502)), (_TROUBLE,)),
    Case("HTTP 503", _W, responds(HttpError(503, headers={"Retry-After": "0"})), (_TROUBLE,)),
    Case("HTTP 504", _W, responds(HttpError(504)), (_TROUBLE,)),
    # Bodies that are not the service's.
    Case("HTTP 200 with HTML", _W, responds(HttpError(200)), (_NO_JSON,)),
    Case(
        "page that repeats the token",
        _W,
        responds(RawResponse(f"<p>Bad request: userId=emulator&token={TOKEN}</p>".encode())),
        ("token=***",),
    ),
    Case("empty body", _W, responds(RawResponse(b"")), (_NO_JSON,)),
    Case("body of NUL bytes", _W, responds(RawResponse(b"\0" * 1000)), (_NO_JSON,)),
    Case("NUL byte in a value", _W, responds(_with("射门", b"\0")), (_NO_JSON,)),
    Case("invalid UTF-8 in a value", _W, responds(_with("射门", b"\xff\xfe")), (_NO_JSON,)),
    Case("invalid UTF-8 around the values", _W, responds(RawResponse(b"\xff" + BODY)), (_NO_JSON,)),
    Case("UTF-16", _W, responds(RawResponse(BODY.decode().encode("utf-16"))), (_NO_JSON,)),
    Case("byte order mark", Verdict.SUCCEEDS, responds(RawResponse(b"\xef\xbb\xbf" + BODY))),
    Case("body of 50 MB", _W, spoils(_50_megabytes), ("response larger than 1,048,576 bytes",)),
    Case("300,000 values", _W, responds(RawResponse(b"[" + b"[]," * 300_000)), ("more than 10,000 values",)),
    Case("9,000 nested lists", _W, responds(RawResponse(b"[" * 9_000)), (_NO_JSON,)),
    Case(
        "gzip bomb",
        _W,
        responds(_encoded("gzip", gzip.compress(b" " * 3_000_000))),
        ("decompressed response larger than 1,048,576 bytes",),
    ),
    Case("gzip that is none", _W, responds(_encoded("gzip", BODY)), ("cannot be decompressed",)),
    Case("Content-Encoding br", _W, responds(_encoded("br", BODY)), ("unexpected Content-Encoding 'br'",)),
    # Envelopes.
    Case("a list instead of an envelope", _W, responds(RawResponse(b"[]")), (_SHAPE,)),
    Case("`code` missing", _W, responds(_with('"code": 200, ', "")), ("code: Field required",)),
    Case('`code` as a string, "200"', Verdict.SUCCEEDS, responds(_with("200", '"200"'))),
    Case("`code` NaN", _W, responds(_with("200", "NaN")), (_NO_JSON,)),
    Case("`code` of 4,001 digits", _W, responds(_with("200", f"1{'0' * 4000}")), (_SHAPE,)),
    Case("`message` missing", Verdict.SUCCEEDS, responds(_with('"message": "ok", ', ""))),
    Case(
        "code 1301: no permission",
        Verdict.RELOADS,
        responds(ServiceCode(1301, "no permission")),
        ("code 1301",),
    ),
    Case(
        "code 1560: being processed",
        Verdict.KEEPS_WAITING,
        responds(ServiceCode(1560, "being processed")),
        ("not finished within the timeout",),
    ),
    Case("code 1601: empty transNo", _F, responds(ServiceCode(1601, "empty")), ("code 1601",)),
    Case("code 1602: illegal transNo", _F, responds(ServiceCode(1602, "illegal")), ("code 1602",)),
    Case("code 1603: unknown transNo", _F, responds(ServiceCode(1603, "not exist")), ("code 1603",)),
    Case("code 9999, which is not documented", _F, responds(ServiceCode(9999, "surprise")), ("code 9999",)),
    # What is in them.
    Case("`data` null", _W, responds(ServiceData(None)), ("data must be an object",)),
    Case('`data` ""', _W, responds(ServiceData("")), ("data must be an object",)),
    Case("`data` a list", _W, responds(ServiceData([DONE])), ("data must be an object",)),
    Case("`data` of another transNo", _W, responds(_data(transNo="U")), ("response is for another transNo",)),
    Case("`status` missing", _W, responds(_data(status=None)), ("data.status: Field required",)),
    Case("`status` null", _W, responds(_with('"status": 2', '"status": null')), ("data.status",)),
    Case("`status` true", _W, responds(_data(status=True)), ("data.status: must be an integer",)),
    Case("`status` NaN", _W, responds(_with('"status": 2', '"status": NaN')), (_NO_JSON,)),
    Case("`status` of 4,001 digits", _W, responds(_with('"status": 2', f'"status": 1{"0" * 4000}')), ("data.status",)),
    Case("`status` 0", _F, responds(_data(status=0)), ("unknown status 0",)),
    Case("`status` 3: failed", _F, responds(_data(status=3)), ("failed: status 3. Submit it again",)),
    Case("`status` 4", _F, responds(_data(status=4)), ("unknown status 4",)),
    Case('`status` as a string, "2"', Verdict.SUCCEEDS, responds(_data(status="2"))),
    Case(
        "`status` 2 without `videoInfo`",
        _W,
        responds(_data(videoInfo=None)),
        ("status 2 (successful) without videoInfo",),
    ),
    Case("`videoInfo` that is no object", _W, responds(_data(videoInfo="V1")), ("data.videoInfo",)),
)
