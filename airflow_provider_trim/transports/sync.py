# SPDX-License-Identifier: Apache-2.0
"""One request by requests, for workers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import requests
import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from airflow_provider_trim.transports.content import LONGEST_BODY, decode, too_long
from airflow_provider_trim.transports.environment import CONNECT_TIMEOUT, ca_file, proxy_url, transport_error
from airflow_provider_trim.vod.messages import Request, Response
from airflow_provider_trim.vod.settings import TrimSettings

_PART = 2**16
"""Bytes of a body read at a time."""


class _Deadline:
    """Ends a call that takes too long as a whole: a socket only knows how long it may wait for its next bytes."""

    def __init__(self) -> None:
        self.passed = False
        self._connection: HTTPConnection | None = None

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Allow so many seconds for what is done in this context."""
        self.passed, self._connection = False, None
        timer = threading.Timer(seconds, self._pass)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def watch(self, connection: HTTPConnection) -> None:
        """Take note of the connection that the call goes over.

        :raises TimeoutError: it is too late
        """
        self._connection = connection
        if self.passed:
            raise TimeoutError

    def _pass(self) -> None:
        self.passed = True
        sock = getattr(self._connection, "sock", None)
        if sock is not None:
            with contextlib.suppress(OSError):
                # Not TLS's own shutdown, which may wait for the other side.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)


class _Adapter(requests.adapters.HTTPAdapter):
    """Tells a deadline which connection a call goes over."""

    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._kinds = {
            "http": _watched(HTTPConnection, deadline),
            "https": _watched(HTTPSConnection, deadline),
        }

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = self._kinds[pool.scheme]
        return pool


def _watched(kind: type[Any], deadline: _Deadline) -> type[Any]:
    class Watched(kind):  # type: ignore[misc]
        def connect(self) -> None:
            deadline.watch(self)
            super().connect()

        def request(self, *args: Any, **kwargs: Any) -> None:
            deadline.watch(self)
            super().request(*args, **kwargs)

    return Watched


class _Session(requests.Session):
    """Looks at no redirect: ``Session.send`` resolves even one it does not follow, and fails on a bad ``Location``."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


def _read(answer: requests.Response) -> bytes:
    body = bytearray()
    for part in answer.raw.stream(_PART, decode_content=False):
        body += part
        if len(body) > LONGEST_BODY:
            raise too_long()
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
        """Send a request and return its answer, whatever its status.

        :raises TrimTransportError: there is none
        :raises TrimResponseError: its body is longer than is reasonable, or can't be decompressed
        """
        try:
            with self._deadline.within(self._timeout), self._send(request) as answer:
                body = _read(answer)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, UnicodeError) as error:
            raise transport_error(request, TimeoutError() if self._deadline.passed else error) from None
        if self._deadline.passed:  # a body that ends with its connection looks complete
            raise transport_error(request, TimeoutError()) from None
        return Response(answer.status_code, answer.headers, decode(answer.headers, body))

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
