# SPDX-License-Identifier: Apache-2.0
"""The HTTP server that receives callbacks: one per event loop and address, closed by its last subscriber.

Unauthenticated requests are cheap: connections are bounded in number and lifetime, each serves one request, and no body
is read. A request is authenticated by its path alone. The body of an authenticated one is read, up to a limit, and
dropped: a sender may take a connection that is closed too early for a failure. All requests get the same response, and
none is logged; those that bring no callback are counted by reason.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

from airflow_provider_trim.callbacks.accepting import Acceptor, Connection, listen
from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.metrics import NO_METRICS, Metrics
from airflow_provider_trim.metrics.catalog import CALLBACKS_REFUSED, Ignored
from airflow_provider_trim.vod.callbacks import Claim, read_claim

MAX_BODY = 64 * 1024
"""Bytes."""

MAX_LINE = 16 * 1024
"""Bytes of a request line, or of a header: what load balancers let pass."""

MAX_HEADERS = 200
"""Proxies add theirs."""

MAX_HEAD = 64 * 1024
"""Bytes of a request line and all headers."""

_HEAD_END = b"\r\n\r\n"

ClaimHandler = Callable[[Claim], bool]
"""Takes what a path claims, and returns whether it is genuine."""

log = contained_logger(__name__)

_null_logger = logging.Logger("callbacks", logging.CRITICAL + 1)
_null_logger.addHandler(logging.NullHandler())


class _Handler(web.RequestHandler):
    """Serves one connection, and bounds the head of its request."""

    __slots__ = ("_head_left", "_tail", "connection")

    def __init__(self, server: web.Server, connection: Connection) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            logger=_null_logger,
            auto_decompress=False,
            lingering_time=0.0,
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            max_headers=MAX_HEADERS,
        )
        self.connection = connection
        self._head_left = MAX_HEAD
        self._tail: bytes | None = b""
        """The last bytes of the head; None if it is whole."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.connection.opened(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.connection.closed()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._tail is not None:
            received = self._tail + data
            end = received.find(_HEAD_END)
            self._head_left -= len(data) if end < 0 else end - len(self._tail)
            self._tail = received[1 - len(_HEAD_END) :] if end < 0 else None
            if self._head_left < 0:
                self.connection.abort(Ignored.MALFORMED)
                return
        super().data_received(data)

    def handle_error(self, *args: Any, **kwargs: Any) -> web.StreamResponse:
        self.connection.ignored = Ignored.MALFORMED
        response = super().handle_error(*args, **kwargs)
        if isinstance(response, web.Response):
            response.body = None  # aiohttp's shows the request, at four times its size
        return response


async def _drop_body(request: web.BaseRequest) -> None:
    read = 0
    try:
        if request.version >= (1, 1) and request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
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
    :param metrics: takes measurements
    """

    def __init__(
        self, host: str, port: int, on_idle: Callable[[], object] = lambda: None, metrics: Metrics = NO_METRICS
    ) -> None:
        self.ignored: Counter[Ignored] = Counter()
        """Connections that brought no callback, by reason."""
        self._metrics = metrics
        self._address = (host, port)
        self._on_idle = on_idle
        self._handlers: list[ClaimHandler] = []
        self._starting = asyncio.Lock()
        self._acceptor: Acceptor | None = None

    async def subscribe(self, handler: ClaimHandler) -> None:
        """Listen, until :meth:`unsubscribe`.

        :param handler: called with the claim of every request that has a callback's form
        :raises OSError: the address can't be listened on
        :raises UnicodeError: its host can't be one
        """
        self._handlers.append(handler)
        try:
            async with self._starting:
                if self._acceptor is None:
                    server = web.Server(self._handle)
                    self._acceptor = Acceptor(
                        await listen(*self._address), lambda connection: _Handler(server, connection), self._ignore
                    )
        except BaseException:
            self.unsubscribe(handler)
            raise

    def unsubscribe(self, handler: ClaimHandler) -> None:
        """Stop listening. The last subscriber closes the address, at once."""
        self._handlers.remove(handler)
        if self._handlers:
            return
        if self._acceptor is not None:
            self._acceptor.close()
            self._acceptor = None
        self._on_idle()

    def _ignore(self, reason: Ignored) -> None:
        self.ignored[reason] += 1
        self._metrics.count(CALLBACKS_REFUSED.name, reason.tag)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection: Connection = request.protocol.connection  # type: ignore[attr-defined]
        claim = read_claim(request.raw_path)
        if claim is None:
            connection.ignored = Ignored.PATH
        elif not self._dispatch(claim):
            connection.ignored = Ignored.SIGNATURE
        else:
            connection.ignored = None
            await _drop_body(request)
        response = web.Response()
        response.force_close()
        return response

    def _dispatch(self, claim: Claim) -> bool:
        genuine = 0
        for handler in list(self._handlers):  # all of them: several connections may share a secret
            try:
                genuine += handler(claim)
            # What one subscriber does with a callback must not keep the others from theirs.
            except Exception:
                log.exception("A callback could not be handled")
        return genuine > 0


_listeners: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, int], Listener]] = (
    weakref.WeakKeyDictionary()
)


def listener_for(host: str, port: int, metrics: Metrics = NO_METRICS) -> Listener:
    """Return the running event loop's listener of an address, made if there is none."""
    listeners = _listeners.setdefault(asyncio.get_running_loop(), {})
    if (host, port) not in listeners:
        listeners[host, port] = Listener(host, port, on_idle=lambda: listeners.pop((host, port), None), metrics=metrics)
    return listeners[host, port]
