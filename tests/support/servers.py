# SPDX-License-Identifier: Apache-2.0
"""Peers that the emulator can't be: bare sockets that note what they are sent and respond with fixed bytes."""

from __future__ import annotations

import contextlib
import http.client
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Self

from airflow_provider_trim.emulator import TrimEmulator


class BareServer:
    """Accepts connections on loopback, and serves each in a thread of its own until it is left.

    :param host: address to listen on
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self._sockets: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.address = f"{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def connections(self) -> int:
        """How many were accepted."""
        return len(self._sockets)

    def serve(self, connection: socket.socket) -> None:
        """Serve a connection, which is closed then; an ``OSError`` ends it."""
        raise NotImplementedError

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # of accept(), when the listener is shut down
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.settimeout(60)
                self._sockets.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:  # the client left, or did not like our certificate
            self.serve(connection)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def read_request(stream: IO[bytes]) -> bytes:
    """Read a request; what there is of it where the stream ends before."""
    head = b""
    length = 0
    for line in stream:
        head += line
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
        if line == b"\r\n":
            break
    return head + stream.read(length)


class RawServer(BareServer):
    """Responds to the first request of every connection with ``response`` and closes it.

    :param tls: speak TLS with this context
    :param host: address to listen on
    """

    def __init__(self, response: bytes, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        super().__init__(host)
        self.requests: list[bytes] = []
        self._response = response
        self._tls = tls

    def serve(self, connection: socket.socket) -> None:
        """Answer one request."""
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rb") as stream:
            self._receive(stream)
            self._reply(connection, stream)

    def _receive(self, stream: IO[bytes]) -> None:
        self.requests.append(read_request(stream))

    def _reply(self, connection: socket.socket, stream: IO[bytes]) -> None:
        connection.sendall(self._response)


class DrippingServer(RawServer):
    """Goes on after ``response`` with a byte now and then, until the client has had enough."""

    def _reply(self, connection: socket.socket, stream: IO[bytes]) -> None:
        super()._reply(connection, stream)
        left = threading.Event()
        while not left.wait(0.02):
            connection.sendall(b"x")


class ClosingServer(RawServer):
    """Keeps its connections open after the first response, and closes each as soon as it is asked again."""

    def _reply(self, connection: socket.socket, stream: IO[bytes]) -> None:
        if len(self.requests) == 1:
            super()._reply(connection, stream)
            self._receive(stream)


Spoil = Callable[[socket.socket, bytes], bool | None]
"""Sends what there is instead of a response with that body. True leaves the connection open for another call."""


def head(length: int) -> bytes:
    """The head of a response of JSON."""
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length


def whole_response(connection: socket.socket, body: bytes) -> None:
    """Spoil nothing."""
    connection.sendall(head(len(body)) + body)


class Door(RawServer):
    """Stands before an emulator, spoils its responses to the first calls, and hands on all later responses.

    :param spoil: what is done to a response
    :param calls: how many
    :param tls: with what to speak TLS in the first calls and in later ones; None is for a server that does not
    """

    def __init__(
        self,
        emulator: TrimEmulator,
        spoil: Spoil = whole_response,
        calls: float = math.inf,
        tls: tuple[ssl.SSLContext | None, ssl.SSLContext] | None = None,
    ) -> None:
        super().__init__(b"")
        self.called_at: list[float] = []
        """When each call came, in Unix seconds, those that failed before they were sent as well."""
        self._emulator = emulator
        self._spoil = spoil
        self._calls = calls
        self._contexts = tls

    def serve(self, connection: socket.socket) -> None:
        """Answer one request, or several."""
        self.called_at.append(time.time())
        if self._contexts is not None:
            self._tls = self._contexts[0 if self._spoils() else 1]
            if self._tls is None:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                return
        super().serve(connection)

    def _spoils(self) -> bool:
        return len(self.called_at) <= self._calls

    def _reply(self, connection: socket.socket, stream: IO[bytes]) -> None:
        body = self._ask_emulator(self.requests[-1])
        if (self._spoil if self._spoils() else whole_response)(connection, body):
            self._receive(stream)
            if self.requests[-1]:
                self.called_at.append(time.time())
                self._reply(connection, stream)

    def _ask_emulator(self, request: bytes) -> bytes:
        with socket.create_connection((self._emulator.host, self._emulator.port), timeout=60) as connection:
            connection.sendall(request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.read()
