# SPDX-License-Identifier: Apache-2.0
"""The HTTP server that receives callbacks: one per event loop and address, closed by its last subscriber.

Unauthenticated requests are cheap: connections are bounded in number and lifetime, each serves one request, and no body
is read. A request is authenticated by its path alone. The body of an authenticated one is read, up to a limit, and
dropped: a sender may take a connection that is closed too early for a failure. All requests get the same response, and
none is logged.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable

import aiohttp
from aiohttp import web

from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.vod.callbacks import Claim, read_claim

MAX_CONNECTIONS = 256
"""Open at a time. For one more the oldest is closed, since a genuine one is served at once."""

BACKLOG = 128
"""Connections that wait to be accepted, and are accepted in one go."""

CONNECTION_TIMEOUT = 10.0
"""Seconds from the opening of a connection to its end, whatever happens on it."""

MAX_BODY = 64 * 1024
"""Bytes."""

MAX_LINE = 4096
"""Bytes of a request line, or of a header."""

MAX_HEADERS = 64

ClaimHandler = Callable[[Claim], bool]
"""Takes what a path claims, and returns whether it is genuine."""

log = contained_logger(__name__)

_null_logger = logging.Logger("callbacks", logging.CRITICAL + 1)
_null_logger.addHandler(logging.NullHandler())


class _Server(web.Server):
    """Bounds connections in number and time."""

    def __init__(self, handler: ClaimHandler) -> None:
        super().__init__(
            self._handle,
            access_log=None,
            logger=_null_logger,
            auto_decompress=False,
            lingering_time=0.0,
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            max_headers=MAX_HEADERS,
        )
        self._dispatch = handler
        self._ended = False
        self._open: dict[web.RequestHandler, tuple[asyncio.Transport, asyncio.TimerHandle]] = {}

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self._open) >= MAX_CONNECTIONS:
            next(iter(self._open.values()))[0].abort()
        end = asyncio.get_running_loop().call_later(CONNECTION_TIMEOUT, transport.abort)
        self._open[handler] = (transport, end)
        if self._ended:  # it was accepted just before; not at once, since aiohttp's task would begin after its end
            asyncio.get_running_loop().call_soon(transport.abort)

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
        if claim is not None and self._dispatch(claim):
            await _drop_body(request)
        response = web.Response()
        response.force_close()
        return response


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
    """Serves one address as long as it has subscribers.

    :param host: to listen on
    :param port: TCP
    :param on_idle: called when the last subscriber has left
    """

    def __init__(self, host: str, port: int, on_idle: Callable[[], object] = lambda: None) -> None:
        self.refused = 0
        """Requests that no subscriber took for genuine."""
        self._address = (host, port)
        self._on_idle = on_idle
        self._handlers: list[ClaimHandler] = []
        self._starting = asyncio.Lock()
        self._server: _Server | None = None
        self._accepting: asyncio.Server | None = None

    async def subscribe(self, handler: ClaimHandler) -> None:
        """Listen, until :meth:`unsubscribe`.

        :param handler: called with the claim of every request that has a callback's form
        :raises OSError: the address can't be listened on
        :raises UnicodeError: its host can't be one
        """
        self._handlers.append(handler)
        try:
            async with self._starting:
                if self._accepting is None:
                    server = _Server(self._dispatch)
                    create = asyncio.get_running_loop().create_server
                    # Not served yet: a cancellation while that begins would leave a server that can't be closed.
                    accepting = await create(server, *self._address, backlog=BACKLOG, start_serving=False)
                    self._accepting, self._server = accepting, server
                    await accepting.start_serving()
        except BaseException:
            self.unsubscribe(handler)
            raise

    def unsubscribe(self, handler: ClaimHandler) -> None:
        """Stop listening. The last subscriber closes the address, at once."""
        self._handlers.remove(handler)
        if self._handlers:
            return
        if self._accepting is not None and self._server is not None:
            self._accepting.close()
            self._server.end()
            self._accepting = self._server = None
        self._on_idle()

    def _dispatch(self, claim: Claim) -> bool:
        genuine = 0
        for handler in list(self._handlers):  # all of them: several connections may share a secret
            try:
                genuine += handler(claim)
            # What one subscriber does with a callback must not keep the others from theirs.
            except Exception:
                log.exception("A callback could not be handled")
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
