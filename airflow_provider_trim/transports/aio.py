# SPDX-License-Identifier: Apache-2.0
"""One request by aiohttp, for triggerers."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from airflow_provider_trim.transports.decoding import MAX_BODY, decode, response_too_large
from airflow_provider_trim.transports.network import (
    CONNECT_TIMEOUT,
    ca_file,
    proxy_url,
    tls_context,
    transport_error,
)
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.settings import TrimSettings


class AioTransport:
    """Sends requests of one connection over one session; redirects are not followed.

    To be made, used and closed within one event loop.

    :param connections: how many requests may be under way at a time
    :param keep_alive: whether a connection is kept for the next request
    :raises TrimSettingsError: the certificate authorities to trust can't be read
    """

    def __init__(self, settings: TrimSettings, connections: int = 100, *, keep_alive: bool = True) -> None:
        self._proxy = proxy_url(settings)
        path = ca_file(settings)
        tls = settings.base_url.startswith("https://") or self._proxy is not None
        self._ssl: ssl.SSLContext | bool = (tls_context(path) if tls else True) if path else False
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, force_close=not keep_alive),
            timeout=aiohttp.ClientTimeout(
                total=settings.timeout, sock_connect=min(CONNECT_TIMEOUT, settings.timeout), sock_read=settings.timeout
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        # It would send a GET again by itself: the same signature twice, and a call that no quota knows of.
        self._session._retry_connection = False

    async def send(self, request: Request) -> Response:
        """Send a request and return its response, whatever its status.

        :raises TrimTransportError: there is none
        :raises TrimResponseError: its body is longer than is reasonable, or can't be decompressed
        """
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=request.headers,
                data=request.body or None,
                allow_redirects=False,
                proxy=self._proxy,
                ssl=self._ssl,
            ) as response:
                body = bytearray()
                async for part in response.content.iter_any():
                    body += part
                    if len(body) > MAX_BODY:
                        raise response_too_large()
                return Response(response.status, response.headers, decode(response.headers, bytes(body)))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise transport_error(request, error) from None

    async def close(self) -> None:
        """Close the session's connections."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
