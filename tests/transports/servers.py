# SPDX-License-Identifier: Apache-2.0
"""Peers that the emulator can't be: bare sockets that note what they are sent and answer fixed bytes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from types import TracebackType
from typing import IO, Self


class RawServer:
    """Answers the first request of every connection with ``answer`` and closes it.

    :param tls: speak TLS with this context
    """

    def __init__(self, answer: bytes, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[bytes] = []
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def address(self) -> str:
        return "{}:{}".format(*self._listener.getsockname())

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # of accept(), when the listener is shut down
            while True:
                connection, _ = self._listener.accept()
                with contextlib.suppress(OSError), connection:  # the client left, or did not like our certificate
                    connection.settimeout(5)
                    self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        if self._tls:
            connection = self._tls.wrap_socket(connection, server_side=True)
        with connection, connection.makefile("rb") as stream:
            self._receive(stream)
            self._reply(connection, stream)

    def _receive(self, stream: IO[bytes]) -> None:
        head = b""
        length = 0
        for line in stream:
            head += line
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
            if line == b"\r\n":
                break
        self.requests.append(head + stream.read(length))

    def _reply(self, connection: socket.socket, stream: IO[bytes]) -> None:
        connection.sendall(self._answer)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._listener.close()


class DrippingServer(RawServer):
    """Goes on after ``answer`` with a byte now and then, until the client has had enough."""

    dripped = 0

    def _reply(self, connection: socket.socket, stream: IO[bytes]) -> None:
        super()._reply(connection, stream)
        left = threading.Event()
        while not left.wait(0.02):
            connection.sendall(b"x")
            self.dripped += 1


class ClosingServer(RawServer):
    """Keeps its connections open after the first answer, and closes each as soon as it is asked again."""

    def _reply(self, connection: socket.socket, stream: IO[bytes]) -> None:
        if len(self.requests) == 1:
            super()._reply(connection, stream)
            self._receive(stream)
