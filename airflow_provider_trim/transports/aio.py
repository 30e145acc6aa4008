# SPDX-License-Identifier: Apache-2.0
"""Many requests at a time by aiohttp, for triggerers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from urllib3.util.wait import wait_for_read
from yarl import URL

from airflow_provider_trim.transports.decoding import MAX_BODY, decode, response_too_large
from airflow_provider_trim.transports.failures import Failures, MalformedResponseError
from airflow_provider_trim.transports.framing import MAX_HEAD, check_head, combined
from airflow_provider_trim.transports.network import MAX_IDLE, connect_timeout, proxy_for, tls_context
from airflow_provider_trim.vod.errors import TrimTransportError
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.settings import TrimSettings


class _Connector(aiohttp.TCPConnector):
    """Takes no connection from its pool on which a peer has sent anything unasked.

    aiohttp checks that when a connection is returned to the pool, and takes what arrives later for the response to the
    next request.

    Nor does it give each address of a host that has not responded the whole time for connecting: all have been tried by
    then, side by side.
    """

    def __init__(self, failures: Failures, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._failures = failures

    async def _wrap_create_connection(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super()._wrap_create_connection(*args, **kwargs)
        except TimeoutError:
            raise self._failures.connect_timed_out() from None

    async def _get(self, *args: Any) -> Any:
        connection: Any = await super()._get(*args)
        while connection is not None and not _is_quiet(connection):
            connection.close()
            connection = await super()._get(*args)
        return connection


class AioTransport:
    """Sends requests of one connection over one session; redirects are not followed.

    To be made, used and closed within one event loop.

    :param connections: how many requests may be under way at a time
    :raises TrimSettingsError: the proxy or the certificate authorities can't be used
    """

    def __init__(self, settings: TrimSettings, connections: int = 100) -> None:
        proxy = proxy_for(settings)
        host = urlsplit(settings.base_url).netloc
        self._failures = Failures(host, proxy, settings.timeout, connect_timeout(settings))
        self._secret = settings.password.get_secret_value()
        self._proxy = None if proxy is None else proxy.url
        self._proxy_headers = {} if proxy is None else proxy.headers
        self._tunnels = settings.base_url.startswith("https://")
        self._tls = tls_context(settings, proxy) or False
        self._session = aiohttp.ClientSession(
            connector=_Connector(self._failures, limit=connections, keepalive_timeout=MAX_IDLE),
            timeout=aiohttp.ClientTimeout(total=settings.timeout, sock_connect=connect_timeout(settings)),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=MAX_HEAD,
            max_field_size=MAX_HEAD,
        )
        # It would send a GET again by itself: the same signature twice, and a call that no quota knows of.
        self._session._retry_connection = False

    async def send(self, request: Request) -> Response:
        """Send a request and return its response, whatever its status.

        :raises TrimTransportError: there is none
        :raises TrimResponseError: its body is too large, or can't be decompressed
        """
        try:
            async with self._request(request) as response:
                try:
                    check_head(response.status, response.raw_headers)
                    body = await _read(response)
                except BaseException:
                    response.close()  # what is unread must not become the response to another request
                    raise
        except (aiohttp.ClientError, OSError, MalformedResponseError, ValueError) as error:
            make = next(make for kind, make in _FAILURES if isinstance(error, kind))
            raise make(self._failures, error) from None
        headers = combined(response.raw_headers)
        return Response(response.status, headers, decode(headers, body, self._secret))

    def _request(self, request: Request) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return self._session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=request.headers if self._tunnels else {**request.headers, **self._proxy_headers},
            data=request.body or None,
            allow_redirects=False,
            proxy=self._proxy,
            proxy_headers=self._proxy_headers if self._tunnels else None,
            ssl=self._tls,
        )

    async def close(self) -> None:
        """Close the session's network connections."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > MAX_BODY:
            raise response_too_large()
    return bytes(body)


def _is_quiet(connection: Any) -> bool:
    """Return whether nothing has arrived, neither in the event loop nor at the socket that it reads."""
    sock = connection.transport.get_extra_info("socket") if connection.transport else None
    return not connection.protocol.should_close and (sock is None or not wait_for_read(sock, timeout=0))


_FAILURES: tuple[tuple[type[Exception], Callable[[Failures, Any], TrimTransportError]], ...] = (
    (aiohttp.ClientHttpProxyError, lambda failures, error: failures.proxy_status(error.status)),
    (aiohttp.ClientConnectorDNSError, lambda failures, error: failures.name_lookup(error.os_error)),
    (aiohttp.ClientConnectorCertificateError, lambda failures, error: failures.tls(error.certificate_error)),
    (aiohttp.ClientConnectorSSLError, lambda failures, error: failures.tls(error.os_error)),
    (aiohttp.ConnectionTimeoutError, lambda failures, _: failures.connect_timed_out()),
    (TimeoutError, lambda failures, _: failures.timed_out()),
    (aiohttp.ClientConnectorError, lambda failures, error: failures.connect(error.os_error)),
    (aiohttp.ServerDisconnectedError, lambda failures, _: failures.closed()),
    (OSError, lambda failures, error: failures.read(error)),
    (Exception, lambda failures, _: failures.malformed()),
)
"""What aiohttp's exceptions mean, the first that fits. Some are subclasses of others, so the order counts."""
