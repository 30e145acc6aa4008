# SPDX-License-Identifier: Apache-2.0
"""A lean server in a process of its own, so that what is measured is the client.

It responds to every form with an unfinished trim, 404 below ``/missing``, and an unfinished job run below ``/api/v2/``.
``/stats`` and ``/arrivals`` tell what it has seen; asking for them is not counted.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import resource
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Self

HOST = "127.0.0.1"
TRIM_PATH = "/vod/videoManage/videoClipQuery"
MISSING_PATH = "/missing"
DBT_PATH = "/api/v2/"

_TRIM = (
    '{"code":200,"message":"操作成功","data":{"taskId":"5f1c0ad2e4b0c2a1d8f3b6e7","transNo":"%s","status":1}}'
).encode()
_RUN = b'{"status":{"code":200,"is_success":true},"data":{"id":1,"account_id":1,"status":1}}'
_LINGER = 10.0
"""Seconds in which the process must have ended after it was asked to."""


def _response(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: application/json;charset=utf-8\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        len(body),
        body,
    )


_RUN_RESPONSE = _response(b"200 OK", _RUN)
_MISSING_RESPONSE = _response(b"404 Not Found", b"{}")


class Seen:
    """What the server has seen."""

    def __init__(self) -> None:
        self.requests = 0
        self.connections = 0
        self.asked_for: set[bytes] = set()
        self.arrivals: list[float] = []

    def stats(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "connections": self.connections,
            "distinct": len(self.asked_for),
            "cpu": time.process_time(),
        }


class Exchange(asyncio.Protocol):
    """One connection: requests in, responses out, for as long as the client keeps it open."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._counted = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        rest = self._rest + data
        while (end := rest.find(b"\r\n\r\n") + 4) > 3:
            head = rest[:end]
            _, given, length = head.lower().partition(b"content-length:")
            stop = end + (int(length.partition(b"\r\n")[0]) if given else 0)
            if len(rest) < stop:
                break
            self._transport.write(self._respond(head, rest[end:stop]))  # type: ignore[attr-defined]
            rest = rest[stop:]
        self._rest = rest

    def _respond(self, head: bytes, body: bytes) -> bytes:
        path = head.split(b" ", 2)[1].partition(b"?")[0]
        seen = self._seen
        if path == b"/stats":
            return _response(b"200 OK", json.dumps(seen.stats()).encode())
        if path == b"/arrivals":
            return _response(b"200 OK", json.dumps(seen.arrivals).encode())
        seen.requests += 1
        if not self._counted:
            self._counted = True
            seen.connections += 1
        if path.startswith(DBT_PATH.encode()):
            seen.asked_for.add(path)
            return _RUN_RESPONSE
        if path.startswith(MISSING_PATH.encode()):
            seen.asked_for.add(path)
            return _MISSING_RESPONSE
        trans_no = body.partition(b"transNo=")[2].partition(b"&")[0]
        seen.asked_for.add(trans_no)
        seen.arrivals.append(time.monotonic())
        return _response(b"200 OK", _TRIM % trans_no)


async def serve(certificate: str | None) -> None:
    """Say where, and serve until standard input ends: with the process that started this one, at the latest."""
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    seen = Seen()
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), over.set)
    server = await loop.create_server(lambda: Exchange(seen), HOST, 0, ssl=context, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await over.wait()
    server.close()


def raise_file_limit() -> None:
    """Allow as many open connections as the system does."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def ask(port: int, path: str, context: ssl.SSLContext | None = None) -> Any:
    """Ask the server on a port for ``/stats`` or ``/arrivals``."""
    if context:
        connection = http.client.HTTPSConnection(HOST, port, timeout=30, context=context)
    else:
        connection = http.client.HTTPConnection(HOST, port, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())


class Server:
    """The server in a process of its own; a context manager.

    :param tls: speak TLS, with a certificate that :attr:`ca_file` vouches for
    """

    def __init__(self, *, tls: bool = False) -> None:
        self.tls = tls
        self.ca_file = ""
        self.port = 0
        self._folder = tempfile.TemporaryDirectory(prefix="trim-benchmark-")

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{HOST}:{self.port}"

    def stats(self) -> dict[str, Any]:
        return ask(self.port, "/stats", ssl.create_default_context(cafile=self.ca_file) if self.tls else None)

    def arrivals(self) -> list[float]:
        return ask(self.port, "/arrivals")

    def _certificate(self) -> str:
        """Make a certificate; the CA file holds the public authorities too, so that reading it costs what it does."""
        import certifi
        import trustme

        folder = Path(self._folder.name)
        authority = trustme.CA()
        certificate = folder / "server.pem"
        authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
        authorities = folder / "authorities.pem"
        authorities.write_bytes(Path(certifi.where()).read_bytes() + b"\n" + authority.cert_pem.bytes())
        self.ca_file = str(authorities)
        return str(certificate)

    def __enter__(self) -> Self:
        command = [sys.executable, __file__]
        if self.tls:
            command += ["--certificate", self._certificate()]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline()
        if not line:
            self.__exit__()
            raise RuntimeError("the benchmark's server did not start")
        self.port = int(line)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(_LINGER)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--certificate", help="file with key and certificate; TLS is spoken with it")
    raise_file_limit()
    asyncio.run(serve(parser.parse_args().certificate))
