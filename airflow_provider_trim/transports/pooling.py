# SPDX-License-Identifier: Apache-2.0
"""What requests is extended by: an adapter whose connections are opened, read and reused by this package's rules.

Neither requests nor urllib3 is given the query of a URL, which may hold the token and which they log and put into their
exceptions: the connection puts the request's target in where it writes the request line.
"""

from __future__ import annotations

import functools
import http.client
import io
import os
import ssl
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

import requests.adapters
from urllib3.connection import HTTPConnection, HTTPSConnection

from airflow_provider_trim.transports.failures import Failures, MalformedResponseError
from airflow_provider_trim.transports.framing import Head, check_head, combined
from airflow_provider_trim.transports.network import MAX_IDLE
from airflow_provider_trim.transports.reading import ChunkStream, SocketReader, read_head
from airflow_provider_trim.transports.sockets import AnySocket, Deadline, connect, translated
from airflow_provider_trim.vod.addresses import ProxyAddress
from airflow_provider_trim.vod.http import Request

_FRAMING = ("connection", "content-length", "transfer-encoding")
"""Headers that say where a body ends, and whether the connection can be used again."""

_HANDLED = (BrokenPipeError, ConnectionResetError)
"""While a request is sent: urllib3 then reads the response that may have come before the connection broke."""


class Exchange:
    """What an adapter, its connections and their responses share: the one request under way, and what came back.

    :param clock: seconds, monotonic; for how long a connection has been idle
    """

    def __init__(self, failures: Failures, clock: Callable[[], float] = time.monotonic) -> None:
        self.failures = failures
        self.clock = clock
        self.url = ""
        self.deadline = Deadline(0)
        self.head: Head = ()
        self.unread = b""
        self.idle_since = 0.0
        self.process = 0
        self.last_address: Any = None

    def begin(self, request: Request) -> None:
        """Record which request is sent, and set its deadline."""
        self.url = request.url
        self.deadline = Deadline(self.failures.timeout)

    def end(self, unread: bytes) -> None:
        """Record what came after the response."""
        self.unread = unread
        self.idle_since = self.clock()
        self.process = os.getpid()

    def is_reusable(self) -> bool:
        """Return whether the connection may carry another request."""
        if self.process != os.getpid():  # forked: the parent may send over the same socket at any time
            return False
        return not self.unread and self.clock() - self.idle_since < MAX_IDLE

    def connect_time_left(self) -> float:
        """Return the seconds that the next step of connecting may take."""
        with translated(self.failures):
            return min(self.failures.connect_timeout, self.deadline.left())


class _Response(http.client.HTTPResponse):
    """Has its head checked before ``http.client`` reads it, which then sees of it only what frames the body.

    So neither the cookies, the encodings nor the redirects of a response are acted upon by requests or urllib3.
    """

    def __init__(self, exchange: Exchange, sock: AnySocket, *_: Any, method: str | None = None) -> None:
        self._exchange = exchange
        self._reader = SocketReader(sock, exchange.deadline, exchange.failures, exchange.end)
        super().__init__(cast(Any, self._reader), method=method)

    def begin(self) -> None:
        """Read the head."""
        if self.headers is not None:
            return
        version, status, head = read_head(self._reader)
        check_head(status, head)
        self._exchange.head = head
        headers = combined(head)
        lines = [f"HTTP/{'1.0' if version in ('0.9', '1.0') else '1.1'} {status}"]
        lines += [f"{name}: {headers[name]}" for name in _FRAMING if name in headers]
        self.fp = cast(Any, io.BytesIO("\r\n".join([*lines, "", ""]).encode("latin-1", "replace")))
        super().begin()
        self.fp = cast(Any, self._reader)
        if self.chunked:
            self.chunked = False
            del self.headers["transfer-encoding"]
            self.fp = cast(Any, io.BufferedReader(ChunkStream(self._reader)))


class _Connection(HTTPConnection):
    """Opened and read under the deadline of its exchange."""

    def __init__(self, exchange: Exchange, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._exchange = exchange
        self.response_class: Any = functools.partial(_Response, exchange)
        self._unsent: bytearray | None = None

    def _new_conn(self) -> Any:
        failures = self._exchange.failures
        host, timeout = self.host.strip("[]"), self._exchange.connect_time_left()
        self.sock = sock = connect(host, self.port, timeout, failures, preferred=self._exchange.last_address)
        with translated(failures):
            self._exchange.last_address = sock.getpeername()
        sock.settimeout(self._exchange.connect_time_left())
        return sock

    @property
    def is_connected(self) -> bool:
        """Whether the connection is open, quiet, and may carry another request; urllib3 asks before it does."""
        return self._exchange.is_reusable() and super().is_connected

    def putrequest(self, method: str, url: str, *args: Any, **kwargs: Any) -> None:
        """Write the request line, with the target as it was signed."""
        target = self._exchange.url
        if self.proxy is None or self._tunnel_host is not None:
            target = "/" + target.split("/", 3)[3]
        super().putrequest(method, target, *args, **kwargs)

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request in one go: urllib3 would send its head and its body in a packet each."""
        self._unsent = bytearray()
        try:
            super().request(*args, **kwargs)
            request = bytes(self._unsent)
        finally:
            self._unsent = None
        self.send(request)

    def send(self, data: Any) -> None:
        """Send bytes before the deadline."""
        if self._unsent is not None:
            self._unsent += data
            return
        if self.sock is None:
            self.connect()
        with translated(self._exchange.failures, passing=_HANDLED):
            self.sock.settimeout(self._exchange.deadline.left())
            super().send(data)

    def _tunnel(self) -> None:
        """Ask the proxy for a tunnel; the superclass tells the status of its response by an error's text only."""
        host = (self._tunnel_host or "").strip("[]")
        target = f"{f'[{host}]' if ':' in host else host}:{self._tunnel_port}"
        lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
        lines += [f"{name}: {value}" for name, value in self._tunnel_headers.items()]  # type: ignore[attr-defined]
        with translated(self._exchange.failures):
            self.send("\r\n".join([*lines, "", ""]).encode("ascii"))
            with self.response_class(self.sock, method="CONNECT") as response:
                response.begin()
            if response.status != HTTPStatus.OK:
                raise self._exchange.failures.proxy_status(response.status) from None
            if self._exchange.unread:
                raise MalformedResponseError
        self.sock.settimeout(self._exchange.connect_time_left())


class _TlsConnection(_Connection, HTTPSConnection):
    def __init__(self, exchange: Exchange, tls: ssl.SSLContext | None, **kwargs: Any) -> None:
        # Whatever requests, in whichever version, has made of its own settings for certificates.
        super().__init__(exchange, **{**kwargs, "ssl_context": tls, "cert_reqs": None})

    def connect(self) -> None:
        """Connect; the methods above report what fails on the way, so that what is left is TLS."""
        try:
            super().connect()
        except TimeoutError:
            raise self._exchange.failures.connect_timed_out() from None
        except OSError as error:
            raise self._exchange.failures.tls(error) from None


class Adapter(requests.adapters.HTTPAdapter):
    """Has requests' connections made by this package's rules.

    :param tls: for the service and the proxy alike
    """

    def __init__(self, exchange: Exchange, tls: ssl.SSLContext | None, proxy: ProxyAddress | None) -> None:
        self._kinds: dict[str, Any] = {
            "http": functools.partial(_Connection, exchange),
            "https": functools.partial(_TlsConnection, exchange, tls),
        }
        self._tls = tls
        self._proxy = proxy
        self._pools: set[Any] = set()
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """Return a pool whose connections are this package's."""
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = self._kinds[pool.scheme]
        self._pools.add(pool)
        return pool

    def close(self) -> None:
        """Close the network connections; urllib3 leaves those of a pool open while an exception refers to it."""
        super().close()
        while self._pools:
            self._pools.pop().close()

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pools of a proxy, with the TLS context."""
        return super().proxy_manager_for(proxy, proxy_ssl_context=self._tls, **kwargs)

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """Return the proxy's credentials, in UTF-8 where requests has Latin-1."""
        return {} if self._proxy is None else dict(self._proxy.headers)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave certificates to the TLS context."""
