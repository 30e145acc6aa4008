# SPDX-License-Identifier: Apache-2.0
"""One request by requests, for workers."""

from __future__ import annotations

import http.client
import io
import math
import socket
import time
from types import TracebackType
from typing import Any, Self

import requests
import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from airflow_provider_trim.transports.decoding import MAX_BODY, decode, response_too_large
from airflow_provider_trim.transports.network import CONNECT_TIMEOUT, ca_file, proxy_url, transport_error
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.settings import TrimSettings

_PART = 2**16
"""Bytes of a body read at a time."""


class _Deadline:
    """When a call has to be over as a whole: a socket only knows how long it may wait for its next bytes."""

    def __init__(self) -> None:
        self._at = math.inf

    def set(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left.

        :raises TimeoutError: there are none
        """
        seconds = self._at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


class _TimelyReader(io.RawIOBase):
    """Reads from a socket, and waits for no bytes beyond a deadline."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        super().__init__()
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._deadline.left())
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimelySocket:
    """As much of a socket as ``http.client`` reads a response from."""

    def __init__(self, sock: socket.socket, deadline: _Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimelyReader(self._sock, self._deadline))


class _Adapter(requests.adapters.HTTPAdapter):
    """Reads responses under a deadline."""

    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._kinds = {
            "http": _timely(HTTPConnection, deadline),
            "https": _timely(HTTPSConnection, deadline),
        }

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = self._kinds[pool.scheme]
        return pool


def _timely(kind: type[Any], deadline: _Deadline) -> type[Any]:
    class Timely(kind):  # type: ignore[misc]
        def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
            as_socket: Any = _TimelySocket(sock, deadline)
            return http.client.HTTPResponse(as_socket, *args, **kwargs)

    return Timely


class _Session(requests.Session):
    """Ignores redirects: ``Session.send`` resolves even one it does not follow, and fails on a bad ``Location``."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _read(response: requests.Response) -> bytes:
    body = bytearray()
    for part in response.raw.stream(_PART, decode_content=False):
        body += part
        if len(body) > MAX_BODY:
            raise response_too_large()
    return bytes(body)


class SyncTransport:
    """Sends requests of one connection over one session, one at a time; redirects are not followed."""

    def __init__(self, settings: TrimSettings) -> None:
        proxy = proxy_url(settings)
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._verify = ca_file(settings) or False
        self._timeout = settings.timeout
        self._deadline = _Deadline()
        self._session = _Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._deadline))

    def send(self, request: Request) -> Response:
        """Send a request and return its response, whatever its status.

        :raises TrimTransportError: there is none
        :raises TrimResponseError: its body is longer than is reasonable, or can't be decompressed
        """
        try:
            self._deadline.set(self._timeout)
            with self._send(request) as response:
                body = _read(response)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            raise transport_error(request, error) from None
        return Response(response.status_code, response.headers, decode(response.headers, body))

    def _send(self, request: Request) -> requests.Response:
        # Prepared without the session, whose defaults (.netrc, cookies, headers) would change what was signed.
        prepared = requests.Request(request.method, request.url, dict(request.headers), data=request.body).prepare()
        return self._session.send(
            prepared,
            timeout=(min(CONNECT_TIMEOUT, self._timeout), self._timeout),
            verify=self._verify,
            proxies=self._proxies,
            allow_redirects=False,
            stream=True,
        )

    def close(self) -> None:
        """Close the session's connections."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
