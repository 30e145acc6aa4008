# SPDX-License-Identifier: Apache-2.0
"""An HTTP proxy that tunnels (``CONNECT``), and refuses if it has a reply to send."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl

from tests.support.servers import BareServer


class TunnelProxy(BareServer):
    """Tunnels to whatever port it is asked for, on loopback.

    :param reply: bytes sent instead of opening a tunnel
    :param tls: speak TLS with the client
    """

    def __init__(self, reply: bytes | None = None, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self.requests: list[bytes] = []
        """What each client asked for."""
        self._reply = reply
        self._tls = tls

    def serve(self, connection: socket.socket) -> None:
        """Open a tunnel, or refuse."""
        with contextlib.ExitStack() as stack:
            if self._tls is not None:
                connection = stack.enter_context(self._tls.wrap_socket(connection, server_side=True))
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += connection.recv(1)
            self.requests.append(head)
            if self._reply is not None:
                connection.sendall(self._reply)
                return
            host, _, port = head.split()[1].decode().rpartition(":")
            target = ("::1" if "[" in host else "127.0.0.1", int(port))
            server = stack.enter_context(socket.create_connection(target, timeout=60))
            self._sockets.append(server)
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            while _forward(connection, server):
                pass


def _forward(one: socket.socket, other: socket.socket) -> bool:
    """Forward what comes next, in one thread since TLS sockets want it so; return whether both are open."""
    ready, _, _ = select.select([one, other], [], [], 60)
    for source, target in ((one, other), (other, one)):
        while source in ready:
            data = source.recv(65536)
            target.sendall(data)
            if not data:
                return False
            if not (isinstance(source, ssl.SSLSocket) and source.pending()):
                break
    return bool(ready)
