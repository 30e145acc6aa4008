# SPDX-License-Identifier: Apache-2.0
"""One request and the means to respond to it: what a fault works with."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping

from aiohttp import web

from airflow_provider_trim.emulator.wire import Response, ServiceRequest

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
"""The value of SO_LINGER that makes ``close()`` send a TCP RST."""


class Exchange:
    """An authorized request, and the means to respond to it.

    Await exactly one of :meth:`reply` and :meth:`reset`, and return its value.

    :param http_request: the request that aiohttp received
    :param request: the same, as faults and authentication see it
    :param default_headers: headers of every response that does not set them itself: the request id and the date
    :param default_response: builds the response that the service gives without a fault
    :param record: called with the response before it is sent, so a client that has its response finds the record; None
        stands for no response
    """

    __slots__ = ("_default_response", "_http_request", "_record", "_recorded", "default_headers", "request")

    def __init__(
        self,
        http_request: web.BaseRequest,
        request: ServiceRequest,
        default_headers: Mapping[str, str],
        default_response: Callable[[], Response],
        record: Callable[[Response | None], None],
    ) -> None:
        self._http_request = http_request
        self.request = request
        self.default_headers = default_headers
        self._default_response = default_response
        self._record = record
        self._recorded = False

    def default_response(self) -> Response:
        """Return the response that the service gives now without a fault. The first call accepts a submission."""
        return self._default_response()

    async def reply(self, response: Response) -> web.StreamResponse:
        """Send ``response`` with :attr:`default_headers`, which its own headers override."""
        self._record_once(response)
        headers = {**self.default_headers, **response.headers}
        return web.Response(status=response.http_status, body=response.body, headers=headers)

    async def reset(self, response: Response | None = None, length: int = 0) -> web.StreamResponse:
        """Reset the connection (TCP RST).

        :param response: sent in part before the reset; None sends nothing
        :param length: bytes of its body that are sent after its headers
        """
        self._record_once(None)
        stream = web.StreamResponse()
        if response is not None:
            stream.set_status(response.http_status)
            stream.headers.update({**self.default_headers, **response.headers})
            stream.content_length = len(response.body)
            await stream.prepare(self._http_request)
            await stream.write(response.body[:length])
        transport = self._http_request.transport
        if transport is not None:
            # Without this option, closing sends a FIN, and the client sees no reset.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            transport.abort()
        return stream

    def abandon(self) -> None:
        """Record that the call ended without a response, unless one is recorded."""
        if not self._recorded:
            self._record_once(None)

    def _record_once(self, response: Response | None) -> None:
        self._recorded = True
        self._record(response)
