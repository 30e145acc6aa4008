# SPDX-License-Identifier: Apache-2.0
"""One request at a time over a socket, for workers. h11 speaks the HTTP."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import SplitResult, urlsplit

import h11
from urllib3.util.wait import wait_for_read

from airflow_provider_trim.transports.decoding import MAX_BODY, decode, response_too_large
from airflow_provider_trim.transports.failures import Failures, MalformedResponseError
from airflow_provider_trim.transports.framing import (
    MAX_HEAD,
    Head,
    check_head,
    check_lengths,
    combined,
    is_response_or_nothing,
)
from airflow_provider_trim.transports.network import MAX_IDLE, connect_timeout, proxy_for, tls_context
from airflow_provider_trim.transports.sockets import AnySocket, Deadline, connect, start_tls
from airflow_provider_trim.vod.addresses import DEFAULT_PORTS, ProxyAddress
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.settings import TrimSettings

_CHUNK = 2**16
"""Bytes read at a time."""


class _PeerClosedError(Exception):
    """The peer closed the connection before its response began."""


class _HttpConnection:
    """One network connection, and HTTP/1.1 on it."""

    def __init__(self, sock: AnySocket) -> None:
        self.sock = sock
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        self._raw_head = bytearray()

    def exchange(self, request: h11.Request, body: bytes, deadline: Deadline) -> tuple[int, Head, bytes]:
        """Send a request and return status, headers and body of its response.

        :raises TimeoutError: the deadline passed
        :raises OSError: the connection broke
        :raises MalformedResponseError, h11.RemoteProtocolError: the response is no HTTP, or was broken off
        :raises TrimResponseError: its body is too large
        """
        events: list[h11.Event] = [request, *([h11.Data(body)] if body else []), h11.EndOfMessage()]
        data = b"".join(self._http.send(event) or b"" for event in events)
        self.sock.settimeout(deadline.left())
        self.sock.sendall(data)
        response = self._read_head(deadline)
        head = list(response.headers)
        check_head(response.status_code, head)
        body = self._read_body(deadline)
        if not is_response_or_nothing(self._http.trailing_data[0]):
            raise MalformedResponseError
        return response.status_code, head, body

    def tunnel(self, target: str, headers: Mapping[str, str], deadline: Deadline) -> int:
        """Ask a proxy for a tunnel and return the status of its response; raises as :meth:`exchange` does."""
        request = h11.Request(method="CONNECT", target=target, headers=[("Host", target), *headers.items()])
        self.sock.settimeout(deadline.left())
        self.sock.sendall((self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b""))
        response = self._read_head(deadline)
        if response.status_code == HTTPStatus.OK and self._http.trailing_data[0]:
            raise MalformedResponseError
        return response.status_code

    def _read_head(self, deadline: Deadline) -> h11.Response:
        self._raw_head.clear()
        while isinstance(event := self._next_event(deadline), h11.InformationalResponse):
            self._raw_head[:] = self._http.trailing_data[0]
        if not isinstance(event, h11.Response):
            raise MalformedResponseError
        check_lengths(bytes(self._raw_head.removesuffix(self._http.trailing_data[0])))
        return event

    def _read_body(self, deadline: Deadline) -> bytes:
        body = bytearray()
        while isinstance(event := self._next_event(deadline), h11.Data):
            body += event.data
            if len(body) > MAX_BODY:
                raise response_too_large()
        return bytes(body)

    def _next_event(self, deadline: Deadline) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self.sock.settimeout(deadline.left())
            data: Any = self.sock.recv(_CHUNK)
            if self._http.their_state is h11.SEND_RESPONSE:
                if not data:
                    raise _PeerClosedError if is_response_or_nothing(bytes(self._raw_head)) else MalformedResponseError
                if not self._raw_head and not (data := data.lstrip(b"\r\n")):
                    continue
                self._raw_head += data
            self._http.receive_data(data)
        return event

    def start_next_cycle(self) -> bool:
        """Get ready for another request; return False if the connection can't be used for one."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        if self._http.trailing_data[0]:
            return False  # a response to no request; the next one would be taken for it
        self._http.start_next_cycle()
        return True

    def is_quiet(self) -> bool:
        """Return whether the peer has neither closed the connection nor sent anything unasked."""
        return not wait_for_read(self.sock, timeout=0)  # type: ignore[arg-type]  # anything with fileno()

    def close(self) -> None:
        """Close the network connection."""
        self.sock.close()


class SyncTransport:
    """Sends requests of one connection, one at a time, over one network connection; redirects are not followed.

    :param clock: seconds, monotonic; for how long a network connection has been idle
    :raises TrimSettingsError: the proxy or the certificate authorities can't be used
    """

    def __init__(self, settings: TrimSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._proxy = proxy_for(settings)
        self._tls = tls_context(settings, self._proxy)
        self._url = urlsplit(settings.base_url)
        self._secret = settings.password.get_secret_value()
        self._timeout = settings.timeout
        self._connect_timeout = connect_timeout(settings)
        self._failures = Failures(self._url.netloc, self._proxy, self._timeout, self._connect_timeout)
        self._clock = clock
        self._idle: _HttpConnection | None = None
        self._idle_since = 0.0
        self._last_address: Any = None

    def send(self, request: Request) -> Response:
        """Send a request and return its response, whatever its status.

        :raises TrimTransportError: there is none
        :raises TrimResponseError: its body is too large, or can't be decompressed
        """
        deadline = Deadline(self._timeout)
        connection = self._take_idle() or self._open(deadline)
        try:
            with self._translated():
                status, head, body = connection.exchange(self._prepare(request), request.body, deadline)
        except BaseException:
            connection.close()
            raise
        if connection.start_next_cycle():
            self._idle, self._idle_since = connection, self._clock()
        else:
            connection.close()
        headers = combined(head)
        return Response(status, headers, decode(headers, body, self._secret))

    def _prepare(self, request: Request) -> h11.Request:
        headers = [("Host", request.host), *request.headers.items()]
        if request.body:
            headers.append(("Content-Length", str(len(request.body))))
        target = request.url
        if self._proxy is None or self._url.scheme == "https":
            target = "/" + request.url.split("/", 3)[3]
        else:
            headers += self._proxy.headers.items()
        return h11.Request(method=request.method, target=target, headers=headers)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Translate what goes wrong once there is a connection."""
        try:
            yield
        except TimeoutError:
            raise self._failures.timed_out() from None
        except _PeerClosedError:
            raise self._failures.closed() from None
        except (h11.ProtocolError, MalformedResponseError):
            raise self._failures.malformed() from None
        except OSError as error:
            raise self._failures.read(error) from None

    def _take_idle(self) -> _HttpConnection | None:
        connection, self._idle = self._idle, None
        if connection is None:
            return None
        if self._clock() - self._idle_since < MAX_IDLE and connection.is_quiet():
            return connection
        connection.close()
        return None

    def _open(self, deadline: Deadline) -> _HttpConnection:
        peer = self._url if self._proxy is None else urlsplit(self._proxy.url)
        port = _port(peer)
        sock: AnySocket = connect(
            peer.hostname or "", port, self._connect_timeout, self._failures, preferred=self._last_address
        )
        self._last_address = sock.getpeername()  # type: ignore[union-attr]
        if self._tls is None:
            return _HttpConnection(sock)
        try:
            if peer.scheme == "https":
                sock = self._start_tls(sock, peer.hostname or "", deadline)
            if self._proxy is not None and self._url.scheme == "https":
                self._open_tunnel(sock, self._proxy, deadline)
                sock = self._start_tls(sock, self._url.hostname or "", deadline)
        except BaseException:
            sock.close()
            raise
        return _HttpConnection(sock)

    def _start_tls(self, sock: AnySocket, host: str, deadline: Deadline) -> AnySocket:
        assert self._tls is not None
        with self._translated():
            timeout = min(self._connect_timeout, deadline.left())
        return start_tls(sock, self._tls, host, timeout, self._failures)

    def _open_tunnel(self, sock: AnySocket, proxy: ProxyAddress, deadline: Deadline) -> None:
        target = self._url.netloc if self._url.port else f"{self._url.netloc}:{_port(self._url)}"
        with self._translated():
            status = _HttpConnection(sock).tunnel(target, proxy.headers, deadline)
        if status != HTTPStatus.OK:
            raise self._failures.proxy_status(status) from None

    def close(self) -> None:
        """Close the network connection; the next request opens another."""
        connection, self._idle = self._idle, None
        if connection is not None:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _port(url: SplitResult) -> int:
    return url.port or DEFAULT_PORTS[url.scheme]
