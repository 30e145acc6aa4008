# SPDX-License-Identifier: Apache-2.0
"""Oddities of the wire: what servers, gateways and proxies send, and the one outcome of each in both clients.

The next request gets the response that is its own, whatever came before.
"""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from dataclasses import dataclass

from airflow_provider_trim.transports.failures import CLOSED, MALFORMED
from tests.support.servers import BareServer, read_request

BODY = b'{"code": 200}'
NEXT = b'{"code": 1603}'
"""Body of the response to the request after the odd one."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """What is sent in response to a request, and what both clients make of it.

    :param name: row of the table
    :param sent: bytes, in parts that are sent one after the other and may arrive so
    :param status: of the response that is read; None where there is none
    :param body: of that response
    :param error: what the message says where there is none
    :param closes: whether the server closes the connection after it
    """

    name: str
    sent: tuple[bytes, ...]
    status: int | None = 200
    body: bytes = BODY
    error: str | None = None
    closes: bool = False


def taken(name: str, *sent: bytes, status: int = 200, body: bytes = BODY, closes: bool = False) -> Oddity:
    """Return an oddity that both clients take."""
    return Oddity(name, sent, status, body, None, closes)


def refused(name: str, *sent: bytes, error: str = MALFORMED, closes: bool = True) -> Oddity:
    """Return an oddity that both clients refuse."""
    return Oddity(name, sent, None, b"", error, closes)


def ok(*lines: str, body: bytes = BODY, length: bool = True, version: str = "HTTP/1.1 200 OK") -> bytes:
    """Return a response with these header lines."""
    head = [version, *lines, *([f"Content-Length: {len(body)}"] if length else [])]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def chunked(*chunks: bytes, extension: bytes = b"", trailer: bytes = b"", size: bytes = b"%x") -> bytes:
    """Return a body in chunks."""
    parts = [size % len(chunk) + extension + b"\r\n" + chunk + b"\r\n" for chunk in chunks]
    return b"".join([*parts, b"0\r\n", trailer, b"\r\n"])


def coded(body: bytes, *lines: str) -> bytes:
    """Return a chunked response."""
    return ok("Transfer-Encoding: chunked", *lines, length=False, body=body)


def _deflate(content: bytes, window_bits: int) -> bytes:
    compressor = zlib.compressobj(wbits=window_bits)
    return compressor.compress(content) + compressor.flush()


_HALVES = (BODY[:5], BODY[5:])
_MEMBERS = b"".join(gzip.compress(half) for half in _HALVES)
_CHUNKED = chunked(*_HALVES)
_INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n"

ODDITIES: tuple[Oddity, ...] = (
    # Interim responses (RFC 9110 §15.2).
    taken("100 Continue before the response", b"HTTP/1.1 100 Continue\r\n\r\n" + ok()),
    taken("102 Processing before the response", b"HTTP/1.1 102 Processing\r\n\r\n" + ok()),
    taken("103 Early Hints before the response", _INTERIM + ok()),
    taken("103 Early Hints, and the response later", _INTERIM, ok()),
    taken("several interim responses", _INTERIM * 3, b"HTTP/1.1 100 Continue\r\n\r\n", ok()),
    taken("a hundred interim responses", b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + ok()),
    taken("an interim response with an unknown status", b"HTTP/1.1 199 Odd\r\nA: b\r\n\r\n" + ok()),
    refused(
        "101 Switching Protocols", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    ),
    # The status line.
    taken("no reason phrase", ok(version="HTTP/1.1 200")),
    taken("no reason phrase, but a space", ok(version="HTTP/1.1 200 ")),
    taken("a reason phrase in Latin-1", ok(version="HTTP/1.1 200 D'accord é")),
    taken("an unknown status", ok(version="HTTP/1.1 799 Odd"), status=799),
    taken("HTTP/1.0", ok(version="HTTP/1.0 200 OK"), closes=True),
    taken("HTTP/1.0 with keep-alive", ok("Connection: keep-alive", version="HTTP/1.0 200 OK")),
    taken("HTTP/2.0 in the status line", ok(version="HTTP/2.0 200 OK")),
    refused("HTTP/0.9: a body alone", b"<html>hello</html>\r\n"),
    refused("ICY 200 OK", ok(version="ICY 200 OK")),
    refused("http/1.1 in lower case", ok(version="http/1.1 200 OK")),
    refused("a status of two digits", ok(version="HTTP/1.1 20 OK")),
    refused("a status of four digits", ok(version="HTTP/1.1 2000 OK")),
    refused("a status that is no number", ok(version="HTTP/1.1 abc OK")),
    refused("status 099", ok(version="HTTP/1.1 099 Odd")),
    taken("a blank line before the response", b"\r\n" + ok()),
    taken("blank lines before the response", b"\r\n\r\n" + ok()),
    refused("a space before the status line", b" " + ok()),
    # Header lines.
    taken("header names in odd cases", ok("cOnTeNt-LeNgTh: 13", length=False)),
    taken("no space after the colon", ok("A:b")),
    taken("white space around values", ok("A: \t b \t", "Content-Length:   13  ", length=False)),
    taken("an empty value", ok("A:")),
    taken("a value in Latin-1", ok("A: é")),
    taken("a value with a tab", ok("A: b\tc")),
    taken("100 header lines", ok(*(f"X-{n}: {n}" for n in range(99)))),
    taken("a header line of 60,000 bytes", ok(f"A: {'b' * 60_000}")),
    taken("a head of 65,000 bytes", ok(*(f"X-{n}: {'b' * 6490}" for n in range(10)))),
    taken("lines end with LF alone", ok("A: b").replace(b"\r\n", b"\n")),
    refused("101 header lines", ok(*(f"X-{n}: {n}" for n in range(100)))),
    refused("a header line of 70,000 bytes", ok(f"A: {'b' * 70_000}")),
    refused("a head of 90,000 bytes", ok(*(f"X-{n}: {'b' * 1000}" for n in range(90)))),
    refused("a line without a colon", ok("garbage")),
    refused("a space before the colon", ok("A : b")),
    refused("an empty name", ok(": b")),
    refused("a name with a space", ok("A b: c")),
    refused("a NUL in a value", ok("A: b\0c")),
    refused("a CR in a value", ok("A: b\rc")),
    taken("a value that goes on in the next line", ok("A: b", " c")),
    # The body's length (RFC 9112 §6.3).
    taken("no length: the body ends with the connection", ok("Connection: close", length=False), closes=True),
    taken("length 0", ok(body=b""), body=b""),
    taken("204 without a body", b"HTTP/1.1 204 No Content\r\n\r\n", status=204, body=b""),
    taken(
        "304 with a length and without a body",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 13\r\n\r\n",
        status=304,
        body=b"",
    ),
    refused("two equal lengths", ok("Content-Length: 13")),
    refused("two different lengths", ok("Content-Length: 5")),
    refused("a list of lengths", ok("Content-Length: 13, 13", length=False)),
    refused("a length with a sign", ok("Content-Length: +13", length=False)),
    refused("a negative length", ok("Content-Length: -13", length=False)),
    refused("a length in hexadecimal", ok("Content-Length: 0xd", length=False)),
    refused("a length of a hundred digits", ok(f"Content-Length: {'9' * 100}", length=False)),
    refused("an empty length", ok("Content-Length:", length=False)),
    refused("closed before the end of the body", ok("Content-Length: 99", length=False)),
    refused("closed within the head", ok()[:30], error=CLOSED),
    refused("closed without a response", b"", error=CLOSED),
    # Chunks.
    taken("chunks", coded(_CHUNKED)),
    taken("chunks that arrive byte by byte", *(bytes([byte]) for byte in coded(_CHUNKED))),
    taken("sizes of chunks in capitals and with zeros", coded(b"000D\r\n" + BODY + b"\r\n0\r\n\r\n")),
    taken("extensions of chunks", coded(chunked(*_HALVES, extension=b";a=b;c"))),
    taken("quoted extensions of chunks", coded(chunked(*_HALVES, extension=b';a="b c"'))),
    taken("trailers", coded(chunked(*_HALVES, trailer=b"A: b\r\nC: d\r\n"))),
    taken("fifty trailers", coded(chunked(*_HALVES, trailer=b"".join(b"A-%d: b\r\n" % n for n in range(50))))),
    taken("a trailer that goes on in the next line", coded(chunked(*_HALVES, trailer=b"A: b\r\n c\r\n"))),
    refused("a trailer that frames the body", coded(chunked(*_HALVES, trailer=b"Content-Length: 5\r\n"))),
    refused("a trailer without a colon", coded(chunked(*_HALVES, trailer=b"garbage\r\n"))),
    refused("a trailer with a space before the colon", coded(chunked(*_HALVES, trailer=b"A : b\r\n"))),
    refused("a trailer of 70,000 bytes", coded(chunked(*_HALVES, trailer=b"A: " + b"b" * 70_000 + b"\r\n"))),
    taken("an extension of 70,000 bytes", coded(chunked(*_HALVES, extension=b";a=" + b"b" * 70_000))),
    taken("white space after a chunk's size", coded(chunked(*_HALVES, extension=b" \t"))),
    refused("an empty extension", coded(chunked(*_HALVES, extension=b";"))),
    refused("white space in an extension", coded(chunked(*_HALVES, extension=b"; a = b"))),
    refused("an extension that is no token", coded(chunked(*_HALVES, extension=b";a\xe9"))),
    taken("Transfer-Encoding in capitals", ok("Transfer-Encoding: CHUNKED", length=False, body=_CHUNKED)),
    taken("no chunk", coded(chunked()), body=b""),
    refused(
        "chunks and a length",
        ok("Transfer-Encoding: chunked", f"Content-Length: {len(_CHUNKED)}", length=False, body=_CHUNKED),
    ),
    refused(
        "Transfer-Encoding gzip, chunked", ok("Transfer-Encoding: gzip, chunked", length=False, body=chunked(_MEMBERS))
    ),
    refused(
        "Transfer-Encoding chunked, twice",
        ok("Transfer-Encoding: chunked", "Transfer-Encoding: chunked", length=False, body=_CHUNKED),
    ),
    refused("Transfer-Encoding gzip", ok("Transfer-Encoding: gzip", length=False, body=gzip.compress(BODY))),
    refused("Transfer-Encoding identity", ok("Transfer-Encoding: identity")),
    refused("an unknown Transfer-Encoding", ok("Transfer-Encoding: xchunked", length=False, body=_CHUNKED)),
    refused("a chunk's size with 0x", coded(chunked(BODY, size=b"0x%x"))),
    refused("a chunk's size with a sign", coded(chunked(BODY, size=b"+%x"))),
    refused("a chunk's size with an underscore", coded(chunked(BODY, size=b"0_%x"))),
    refused("a negative chunk", coded(b"-1\r\n" + BODY + b"\r\n0\r\n\r\n")),
    refused("a chunk's size of 17 digits", coded(b"1" + b"0" * 16 + b"\r\n" + BODY)),
    refused("no line break after a chunk", coded(b"d\r\n" + BODY + b"0\r\n\r\n")),
    refused("closed within the chunks", coded(_CHUNKED[:-4])),
    refused("closed before the last line break", coded(_CHUNKED[:-2])),
    # Content codings (RFC 9110 §8.4).
    taken("gzip", ok("Content-Encoding: gzip", body=gzip.compress(BODY))),
    taken("gzip of two members", ok("Content-Encoding: gzip", body=_MEMBERS)),
    taken(
        "gzip with an empty member",
        ok("Content-Encoding: gzip", body=gzip.compress(b"") + _MEMBERS + gzip.compress(b"")),
    ),
    taken("gzip padded with zeros", ok("Content-Encoding: gzip", body=gzip.compress(BODY) + b"\0" * 9)),
    taken("x-gzip in capitals", ok("Content-Encoding: X-GZIP", body=gzip.compress(BODY))),
    taken("gzip in chunks", coded(chunked(_MEMBERS[:9], _MEMBERS[9:]), "Content-Encoding: gzip")),
    taken("gzip of nothing", ok("Content-Encoding: gzip", body=gzip.compress(b"")), body=b""),
    taken("gzip declared, and an empty body", ok("Content-Encoding: gzip", body=b""), body=b""),
    taken("deflate", ok("Content-Encoding: deflate", body=zlib.compress(BODY))),
    taken("deflate without its header", ok("Content-Encoding: deflate", body=_deflate(BODY, -15))),
    taken("deflate of nothing", ok("Content-Encoding: deflate", body=zlib.compress(b"")), body=b""),
    refused(
        "deflate, twice in a row",
        ok("Content-Encoding: deflate", body=zlib.compress(BODY[:5]) + zlib.compress(BODY[5:])),
        error="response cannot be decompressed",
        closes=False,
    ),
    taken("identity", ok("Content-Encoding: identity")),
    taken("an empty Content-Encoding", ok("Content-Encoding:")),
    refused(
        "gzip declared, and plain JSON",
        ok("Content-Encoding: gzip"),
        error="response cannot be decompressed",
        closes=False,
    ),
    refused(
        "gzip followed by something else",
        ok("Content-Encoding: gzip", body=gzip.compress(BODY) + b"{}"),
        error="response cannot be decompressed",
        closes=False,
    ),
    refused(
        "half a gzip",
        ok("Content-Encoding: gzip", body=gzip.compress(BODY)[:-9]),
        error="compressed response is incomplete",
        closes=False,
    ),
    refused(
        "a second member that is a bomb",
        ok("Content-Encoding: gzip", body=gzip.compress(BODY) + gzip.compress(b" " * 2**20)),
        error="decompressed response larger than",
        closes=False,
    ),
    refused(
        "gzip twice",
        ok("Content-Encoding: gzip, gzip", body=gzip.compress(gzip.compress(BODY))),
        error="unexpected Content-Encoding 'gzip, gzip'",
        closes=False,
    ),
    refused(
        "gzip twice, in two lines",
        ok("Content-Encoding: gzip", "Content-Encoding: gzip", body=gzip.compress(gzip.compress(BODY))),
        error="unexpected Content-Encoding 'gzip, gzip'",
        closes=False,
    ),
    refused("br", ok("Content-Encoding: br"), error="unexpected Content-Encoding 'br'", closes=False),
    # What is declared of the content: JSON is UTF-8 (RFC 8259 §8.1), whatever the head says.
    taken("no Content-Type", ok()),
    taken("text/html", ok("Content-Type: text/html; charset=iso-8859-1")),
    taken("an unknown charset", ok("Content-Type: application/json; charset=nonsense")),
    taken("a Content-Type that is none", ok("Content-Type: ;;;=")),
    taken("a cookie that is none", ok("Set-Cookie: ;=;\x7f; Expires=never")),
    taken("a redirect", ok("Location: /elsewhere", version="HTTP/1.1 307 Moved"), status=307),
    taken("a Location that is none", ok("Location: http://[", version="HTTP/1.1 302 Found"), status=302),
    # Connections.
    taken("Connection: Keep-Alive", ok("Connection: Keep-Alive", "Keep-Alive: timeout=5, max=9")),
    taken("Connection: CLOSE", ok("Connection: CLOSE"), closes=True),
    taken("closed after a response that promised more", ok("Connection: keep-alive"), closes=True),
    refused("bytes after the response that are none", ok() + b"{}", closes=False),
    taken("a second response after the response", ok() + ok(body=b'{"code": 5}')),
    taken("a second response, later", ok(), ok(body=b'{"code": 5}')),
    refused("a body after 204", b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n{}", closes=False),
    taken("a line break after the body", ok() + b"\r\n"),
)


class WireServer(BareServer):
    """Sends an oddity in response to the first request, and an ordinary response to each later one.

    :param oddity: what to send
    """

    def __init__(self, oddity: Oddity) -> None:
        super().__init__()
        self.requests = 0
        self.url = f"http://{self.address}"
        self.sent = threading.Event()
        """Set when all of the oddity has been sent."""
        self._oddity = oddity
        self._lock = threading.Lock()

    def serve(self, connection: socket.socket) -> None:
        """Respond to each request."""
        with connection.makefile("rb") as stream:
            while read_request(stream):
                with self._lock:
                    self.requests += 1
                    first = self.requests == 1
                if not first:
                    connection.sendall(ok(body=NEXT))
                    continue
                try:
                    for part in self._oddity.sent:
                        connection.sendall(part)
                    if self._oddity.closes:
                        connection.shutdown(socket.SHUT_WR)
                finally:
                    self.sent.set()
