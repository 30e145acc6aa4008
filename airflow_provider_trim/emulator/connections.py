# SPDX-License-Identifier: Apache-2.0
"""An aiohttp server that numbers its connections, and the thread that runs it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from aiohttp import web

BACKLOG = 4096
"""Connections that may wait to be accepted. Large enough for a test that opens thousands at once."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A client's connection: its number, counted from 1, and the client's port."""

    number: int
    peer_port: int


Handler = Callable[[web.BaseRequest, Connection], Awaitable[web.StreamResponse]]


class ConnectionCounter:
    """Number of connections opened, over all restarts, and number of those open now."""

    def __init__(self) -> None:
        self.opened = 0
        self.open = 0


class NumberingServer(web.Server):
    """Numbers its connections, and can abort them all."""

    def __init__(self, handler: Handler, counter: ConnectionCounter) -> None:
        super().__init__(self._handle, access_log=None, handler_cancellation=True)
        self._numbered_handler = handler
        self._counter = counter
        self._opened: dict[web.RequestHandler, tuple[Connection, asyncio.Transport]] = {}

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self._counter.opened += 1
        self._counter.open += 1
        connection = Connection(self._counter.opened, transport.get_extra_info("peername")[1])
        self._opened[handler] = (connection, transport)
        super().connection_made(handler, transport)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        self._counter.open -= 1
        del self._opened[handler]
        super().connection_lost(handler, exc)

    def abort_connections(self) -> None:
        """Close all connections, and cancel the handling of their requests."""
        for _, transport in list(self._opened.values()):
            transport.abort()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        connection, _ = self._opened[request.protocol]
        return await self._numbered_handler(request, connection)


class ServerThread:
    """A daemon thread that serves one listening socket.

    The thread runs its own event loop, so that synchronous tests and tests with another loop can use the server.

    :param background: a coroutine function that runs in that loop while it serves
    """

    def __init__(
        self,
        listener: socket.socket,
        handler: Handler,
        counter: ConnectionCounter,
        background: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._listener = listener
        self._handler = handler
        self._counter = counter
        self._background = background
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="trim-emulator", daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._stopping: asyncio.Event

    def start(self) -> None:
        """Start the thread, and return once it accepts connections."""
        self._thread.start()
        self._ready.result()

    def stop(self) -> None:
        """Close the socket and all connections, and join the thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._listener.close()
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = NumberingServer(self._handler, self._counter)
        accepting = await self._loop.create_server(server, sock=self._listener, backlog=BACKLOG)
        background = None if self._background is None else self._loop.create_task(self._background())
        self._ready.set_result(None)
        await self._stopping.wait()
        if background is not None:
            background.cancel()
        accepting.close()
        server.abort_connections()
