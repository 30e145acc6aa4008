# SPDX-License-Identifier: Apache-2.0
"""Accepts the connections of a listener: bounded in number, in time and in file descriptors.

asyncio's own server accepts what comes until no descriptor of the process is left, logs that for each connection, and
opens a transport some iterations of the event loop after it has accepted a connection, too late to count it. So
connections are accepted here, where each is counted from its acceptance until its descriptor is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import socket
from collections.abc import Callable, Iterable
from typing import Any

from airflow_provider_trim.metrics.catalog import Ignored

MAX_CONNECTIONS = 256
"""Open at a time. For one more the oldest is closed, since a genuine one is served at once."""

BACKLOG = 256
"""Connections that wait in the kernel to be accepted. They take no descriptor."""

MAX_ACCEPTED = 32
"""Connections that are accepted in one iteration of the event loop."""

CONNECTION_TIMEOUT = 10.0
"""Seconds from the opening of a connection to its end, whatever happens on it."""

RESERVED_DESCRIPTORS = 128
"""File descriptors that are left to the rest of the process."""

RETRY_DELAY = 1.0
"""Seconds until connections are accepted again where no descriptor was left."""

_ABORTED = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR, errno.ECONNABORTED, errno.EPROTO)
"""Errors of a connection that has gone before it was accepted."""

_NO_SUCH_FAMILY = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


class Connection:
    """An accepted connection. It says when its transport opens and has closed.

    :param acceptor: that has accepted it
    """

    __slots__ = ("_acceptor", "_end", "_is_aborted", "ignored", "opening", "transport")

    def __init__(self, acceptor: Acceptor) -> None:
        self.ignored: Ignored | None = Ignored.EMPTY
        """Why it has brought no callback so far; None if it has."""
        self.transport: asyncio.Transport | None = None
        self.opening: asyncio.Task[None] | None = None
        self._acceptor = acceptor
        self._is_aborted = False
        self._end = asyncio.get_running_loop().call_later(CONNECTION_TIMEOUT, self.abort, Ignored.SLOW)

    def opened(self, transport: asyncio.Transport) -> None:
        """Record that it has a transport."""
        self.transport = transport
        if self._is_aborted:  # not at once, since aiohttp's task would begin after its end
            asyncio.get_running_loop().call_soon(transport.abort)

    def closed(self) -> None:
        """Record that its transport has closed, or could not be opened."""
        self._end.cancel()
        self._acceptor.remove(self)

    def abort(self, reason: Ignored) -> None:
        """Close it, whatever is under way.

        :param reason: why, where it has had no request
        """
        if self.ignored is Ignored.EMPTY:
            self.ignored = reason
        self._is_aborted = True
        if self.transport is not None:
            self.transport.abort()


class Acceptor:
    """Accepts connections until it is closed.

    :param sockets: that listen
    :param protocol: makes the protocol of a connection, which calls :meth:`Connection.opened` and
        :meth:`Connection.closed`
    :param ignore: is given the reason of each connection that brought no callback
    """

    def __init__(
        self,
        sockets: Iterable[socket.socket],
        protocol: Callable[[Connection], asyncio.Protocol],
        ignore: Callable[[Ignored], object],
    ) -> None:
        self._sockets = tuple(sockets)
        self._protocol = protocol
        self._ignore = ignore
        self._loop = asyncio.get_running_loop()
        self._open: dict[Connection, None] = {}
        self._retry: asyncio.TimerHandle | None = None
        self._start()

    def _start(self) -> None:
        for sock in self._sockets:
            self._loop.add_reader(sock, self._accept, sock)

    def _stop(self) -> None:
        for sock in self._sockets:
            self._loop.remove_reader(sock)

    def _accept(self, listening: socket.socket) -> None:
        if len(self._open) >= MAX_CONNECTIONS:
            self._displace(1)
            return
        for _ in range(min(MAX_ACCEPTED, MAX_CONNECTIONS - len(self._open))):
            try:
                sock, _ = listening.accept()
            except OSError as error:
                if error.errno not in _ABORTED:
                    self._pause()
                return
            few_left = sock.fileno() > _max_descriptor()  # it is the lowest that was free (POSIX)
            if few_left and not self._open:
                sock.close()
                self._pause()
                return
            if few_left:
                self._displace(2)
            connection = Connection(self)
            self._open[connection] = None
            connection.opening = self._loop.create_task(self._open_transport(connection, sock))
            if few_left:
                return

    async def _open_transport(self, connection: Connection, sock: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: self._protocol(connection), sock)
        except BaseException as error:
            if connection.transport is None:
                sock.close()
                connection.closed()
            if not isinstance(error, OSError):
                raise

    def _displace(self, number: int) -> None:
        """Close the oldest connections. Their descriptors are free in the next iteration of the event loop."""
        for connection, _ in zip(self._open, range(number), strict=False):
            connection.abort(Ignored.DISPLACED)

    def _pause(self) -> None:
        self._ignore(Ignored.DESCRIPTORS)
        self._stop()
        self._retry = self._loop.call_later(RETRY_DELAY, self._start)

    def remove(self, connection: Connection) -> None:
        """Stop counting a connection whose descriptor is about to be closed."""
        if connection in self._open:
            del self._open[connection]
            if connection.ignored is not None:
                self._ignore(connection.ignored)

    def close(self) -> None:
        """Stop listening, and close all connections, those that are about to be opened as well."""
        if self._retry is not None:
            self._retry.cancel()
        self._stop()
        for sock in self._sockets:
            sock.close()
        for connection in list(self._open):
            connection.abort(Ignored.EMPTY)


async def listen(host: str, port: int) -> list[socket.socket]:
    """Return the sockets that listen on an address: one, or one for each address of a name.

    ``::`` is listened on with IPv4 as well.

    :raises OSError: it can't be listened on
    :raises UnicodeError: the host can't be one
    """
    if host == "::" and socket.has_dualstack_ipv6():
        return [_bind(socket.AF_INET6, (host, port), dualstack=True)]
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    with contextlib.ExitStack() as stack:
        sockets = []
        for family, address in addresses:
            try:
                sockets.append(stack.enter_context(_bind(family, address)))
            except OSError as error:
                # "localhost" may have an address of a family that this machine has not.
                if error.errno not in _NO_SUCH_FAMILY or (not sockets and (family, address) == addresses[-1]):
                    raise
        stack.pop_all()
    return sockets


def _bind(family: int, address: Any, *, dualstack: bool = False) -> socket.socket:
    try:
        sock = socket.create_server(address, family=family, backlog=BACKLOG, dualstack_ipv6=dualstack)
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0)) from None
    sock.setblocking(False)
    return sock


def _max_descriptor() -> int:
    """Return the highest descriptor that a connection may have."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (1 << 30 if limit == resource.RLIM_INFINITY else limit) - RESERVED_DESCRIPTORS
