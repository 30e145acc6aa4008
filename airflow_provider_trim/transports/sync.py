# SPDX-License-Identifier: Apache-2.0
"""One request at a time by requests, for workers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

import requests

from airflow_provider_trim.transports.decoding import MAX_BODY, decode, response_too_large
from airflow_provider_trim.transports.failures import Failures, MalformedResponseError
from airflow_provider_trim.transports.framing import combined, is_response_or_nothing
from airflow_provider_trim.transports.network import ca_state, connect_timeout, proxy_for, tls_context
from airflow_provider_trim.transports.pooling import Adapter, Exchange
from airflow_provider_trim.transports.sockets import translated
from airflow_provider_trim.vod.errors import TrimSettingsError
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.settings import TrimSettings

_PART = 2**16
"""Bytes of a body read at a time."""


class SyncTransport:
    """Sends requests of one connection over one session, one at a time; redirects are not followed.

    A process that is forked opens a network connection of its own.

    :param clock: seconds, monotonic; for how long a network connection has been idle
    :raises TrimSettingsError: the proxy or the certificate authorities can't be used
    """

    def __init__(self, settings: TrimSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        proxy = proxy_for(settings)
        url = urlsplit(settings.base_url)
        self._settings = settings
        self._proxy = proxy
        self._ca_state = ca_state(settings, proxy)
        self._origin = f"{url.scheme}://{url.netloc}/"
        self._prepared = requests.Request(url=self._origin).prepare()
        self._secret = settings.password.get_secret_value()
        self._failures = Failures(url.netloc, proxy, settings.timeout, connect_timeout(settings))
        self._exchange = Exchange(self._failures, clock)
        self._proxies = {} if proxy is None else {url.scheme: proxy.url}
        self._session = self._open_session()

    def _open_session(self) -> requests.Session:
        session = requests.Session()
        session.mount(self._origin, Adapter(self._exchange, tls_context(self._settings, self._proxy), self._proxy))
        return session

    def _follow_authorities(self) -> None:
        """Trust what the file of certificate authorities holds now: a worker may wait for hours."""
        with contextlib.suppress(TrimSettingsError):  # it may be being written
            if (state := ca_state(self._settings, self._proxy)) != self._ca_state:
                session = self._open_session()
                self._session.close()
                self._session, self._ca_state = session, state

    def send(self, request: Request) -> Response:
        """Send a request and return its response, whatever its status.

        :raises TrimTransportError: there is none
        :raises TrimResponseError: its body is too large, or can't be decompressed
        """
        self._follow_authorities()
        self._exchange.begin(request)
        with translated(self._failures):
            with self._send(request) as response:
                body = _read(response)
            if not is_response_or_nothing(self._exchange.unread):
                raise MalformedResponseError
        headers = combined(self._exchange.head)
        return Response(response.status_code, headers, decode(headers, body, self._secret))

    def _send(self, request: Request) -> requests.Response:
        # Prepared without the session, whose defaults (.netrc, cookies, headers) would change what was signed, and
        # without the path and query, which the connection writes as they are. So the URL is prepared only once.
        prepared = self._prepared.copy()
        prepared.prepare_method(request.method)
        prepared.prepare_headers({"Host": request.host, **request.headers})
        prepared.prepare_body(request.body, None)
        return self._session.send(
            prepared, timeout=None, proxies=self._proxies, allow_redirects=False, stream=True
        )  # the time limit is the exchange's

    def close(self) -> None:
        """Close the network connection; the next request opens another."""
        self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _read(response: requests.Response) -> bytes:
    body = bytearray()
    while part := response.raw.read(_PART, decode_content=False):
        body += part
        if len(body) > MAX_BODY:
            raise response_too_large()
    return bytes(body)
