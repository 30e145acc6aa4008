# SPDX-License-Identifier: Apache-2.0
"""The HTTP server that is called back: one per event loop and address, gone with the last who listens.

Whoever calls costs nothing but a connection: there are so many at a time, each lives for so long and serves one
request, and what comes beyond is not read. A request is told by its address alone. The body of a genuine one is read,
up to a limit, and dropped, since its sender may take a connection that is closed too early for a failure; nothing of
another's is. All get the same answer, and nothing is logged for any of them.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable

import aiohttp
from aiohttp import web

from airflow_provider_trim.vod.callbacks import Claim, read_claim

MAX_CONNECTIONS = 256
"""Open at a time; for one more, the oldest is closed, which is none of those that are served in a moment."""

BACKLOG = 128
"""Connections that wait to be accepted. An event loop accepts so many in one go."""

CONNECTION_TIMEOUT = 10.0
"""Seconds from the opening of a connection to its end, whatever happens on it."""

MAX_BODY = 64 * 1024
"""Bytes."""

MAX_LINE = 4096
"""Bytes of a request line, or of a header."""

MAX_HEADERS = 64

ClaimHandler = Callable[[Claim], bool]
"""Takes what an address says, and returns whether it is genuine."""

_silent = logging.Logger("callbacks", logging.CRITICAL + 1)
_silent.addHandler(logging.NullHandler())


class _Server(web.Server):
    """Bounds connections in number and time."""

    def __init__(self, told: ClaimHandler) -> None:
        super().__init__(
            self._handle,
            access_log=None,
            logger=_silent,
            auto_decompress=False,
            lingering_time=0.0,
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            max_headers=MAX_HEADERS,
        )
        self._told = told
        self._ended = False
        self._open: dict[web.RequestHandler, tuple[asyncio.Transport, asyncio.TimerHandle]] = {}

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self._open) >= MAX_CONNECTIONS:
            next(iter(self._open.values()))[0].abort()
        end = asyncio.get_running_loop().call_later(CONNECTION_TIMEOUT, transport.abort)
        self._open[handler] = (transport, end)
        if self._ended:  # it was accepted just before
            transport.abort()

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        _, end = self._open.pop(handler)
        end.cancel()
        super().connection_lost(handler, exc)

    def end(self) -> None:
        """Close all connections, those that are about to be opened as well."""
        self._ended = True
        for transport, _ in list(self._open.values()):
            transport.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        claim = read_claim(request.raw_path)
        if claim is not None and self._told(claim):
            await _drop_body(request)
        answer = web.Response()
        answer.force_close()
        return answer


async def _drop_body(request: web.BaseRequest) -> None:
    read = 0
    try:
        async for chunk in request.content.iter_any():
            read += len(chunk)
            if read >= MAX_BODY:
                break
    except (aiohttp.ClientError, web.RequestPayloadError, OSError):
        pass  # what it says is of no interest, so neither is how it ends


class Listener:
    """Serves one address as long as anybody listens.

    :param host: to listen on
    :param port: TCP
    :param on_idle: called when the last has gone
    """

    def __init__(self, host: str, port: int, on_idle: Callable[[], object] = lambda: None) -> None:
        self.refused = 0
        """Requests whose address nobody took for genuine."""
        self._address = (host, port)
        self._on_idle = on_idle
        self._told: list[ClaimHandler] = []
        self._starting = asyncio.Lock()
        self._server: _Server | None = None
        self._accepting: asyncio.Server | None = None

    async def join(self, told: ClaimHandler) -> None:
        """Listen, until :meth:`leave`.

        :param told: called with what every request of a callback's form says
        :raises OSError: the address can't be listened on
        :raises UnicodeError: its host can't be one
        """
        self._told.append(told)
        try:
            async with self._starting:
                if self._accepting is None:
                    server = _Server(self._tell)
                    create = asyncio.get_running_loop().create_server
                    # Not served yet: who is cancelled while that begins would leave a server that nobody can close.
                    accepting = await create(server, *self._address, backlog=BACKLOG, start_serving=False)
                    self._accepting, self._server = accepting, server
                    await accepting.start_serving()
        except BaseException:
            self.leave(told)
            raise

    def leave(self, told: ClaimHandler) -> None:
        """Listen no more; the last to leave closes the address, at once."""
        self._told.remove(told)
        if self._told:
            return
        if self._accepting is not None and self._server is not None:
            self._accepting.close()
            self._server.end()
            self._accepting = self._server = None
        self._on_idle()

    def _tell(self, claim: Claim) -> bool:
        genuine = sum(told(claim) for told in list(self._told))  # all of them: several connections may share a secret
        self.refused += not genuine
        return genuine > 0


_listeners: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, int], Listener]] = (
    weakref.WeakKeyDictionary()
)


def listener_for(host: str, port: int) -> Listener:
    """Return the running event loop's listener of an address, made if there is none."""
    listeners = _listeners.setdefault(asyncio.get_running_loop(), {})
    if (host, port) not in listeners:
        listeners[host, port] = Listener(host, port, on_idle=lambda: listeners.pop((host, port), None))
    return listeners[host, port]
