# SPDX-License-Identifier: Apache-2.0
"""One request on its way to its answer: what a fault gets into its hands."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping

from aiohttp import web

from airflow_provider_trim.emulator.wire import Response, ServiceRequest

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Exchange:
    """A request that was let in, and the means to answer it.

    Exactly one of :meth:`reply` and :meth:`reset` is to be awaited, and its value returned.

    :param http_request: what the answer goes to
    :param request: the same, as faults and authentication see it
    :param default_headers: what every answer says unless it brings its own: the request id, and the date
    :param default_response: gives the answer of a service that behaves
    :param record: told what is answered before it is sent, so that who has the answer finds the record
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
        """What a service that behaves would answer now. A submission is accepted by this, once for all of its calls."""
        return self._default_response()

    async def reply(self, answer: Response) -> web.StreamResponse:
        """Send ``answer``, with :attr:`default_headers` unless it brings its own."""
        self._note(answer)
        headers = {**self.default_headers, **answer.headers}
        return web.Response(status=answer.http_status, body=answer.body, headers=headers)

    async def reset(self, answer: Response | None = None, length: int = 0) -> web.StreamResponse:
        """Reset the connection (TCP RST), after the head and first ``length`` bytes of ``answer`` if there is one."""
        self._note(None)
        response = web.StreamResponse()
        if answer is not None:
            response.set_status(answer.http_status)
            response.headers.update({**self.default_headers, **answer.headers})
            response.content_length = len(answer.body)
            await response.prepare(self._http_request)
            await response.write(answer.body[:length])
        transport = self._http_request.transport
        if transport is not None:
            # Without this, close() ends the connection in good order (FIN) and the client sees no reset.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            transport.abort()
        return response

    def abandon(self) -> None:
        """Record that the call ends without an answer, unless it has one."""
        if not self._recorded:
            self._note(None)

    def _note(self, answer: Response | None) -> None:
        self._recorded = True
        self._record(answer)
