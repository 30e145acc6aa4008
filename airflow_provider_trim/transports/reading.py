# SPDX-License-Identifier: Apache-2.0
"""What requests reads responses from: a socket under a deadline, and heads and chunks read strictly.

``http.client`` is more liberal than aiohttp where a head or a chunk has more than one meaning, and hides what it passed
over. So both are read here, with the outcome of aiohttp.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any, Self

from airflow_provider_trim.transports.decoding import MAX_BODY
from airflow_provider_trim.transports.failures import Failures, MalformedResponseError, PeerClosedError
from airflow_provider_trim.transports.framing import MAX_HEAD, Head, is_response_or_nothing
from airflow_provider_trim.transports.sockets import AnySocket, Deadline, translated

_BUFFER = 2**16
"""Bytes read at a time, more than a TLS record has, so that none of a record is left where ``select`` can't see it."""

_STATUS_LINE = re.compile(rb"HTTP/(0\.9|1\.[01]|2\.0) ([1-9][0-9]{2})(?: [^\0\r]*)?")
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_HEADER_LINE = re.compile(rb"(%b+):([^\0\r]*)" % _TOKEN)
_FOLDED_LINE = re.compile(rb"[ \t][^\0\r]*")
_QUOTED = rb'"(?:[^"\\\0\r\n]|\\[^\0\r\n])*"'
_EXTENSION = rb";(?:%b+(?:=(?:%b|%b*))?|=%b*)" % (_TOKEN, _QUOTED, _TOKEN, _TOKEN)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:%b)*\r\n" % _EXTENSION)
_TRAILER_LINE = re.compile(rb"(?!content-length:)%b+:[^\r\n]*\r?\n" % _TOKEN, re.IGNORECASE)
_FOLDED_TRAILER = re.compile(rb"[ \t][^\r\n]*\r?\n")


class SocketReader(io.BufferedReader):
    """Reads from a socket and waits for no bytes beyond a deadline.

    Reading raises what :func:`.translated` makes of a socket's errors.

    :param on_close: is given what was received and not read
    """

    def __init__(
        self, sock: AnySocket, deadline: Deadline, failures: Failures, on_close: Callable[[bytes], object]
    ) -> None:
        self._stream = _DeadlineStream(sock, deadline, failures)
        super().__init__(self._stream, _BUFFER)
        self._on_close = on_close

    def makefile(self, _: str) -> Self:
        """Return what ``http.client`` reads from, which takes this for a socket."""
        return self

    def close(self) -> None:
        """Close it, whatever is unread; nothing is received any more."""
        if not self.closed:
            self._stream.is_ended = True
            self._on_close(self.peek())
        super().close()


class _DeadlineStream(io.RawIOBase):
    def __init__(self, sock: AnySocket, deadline: Deadline, failures: Failures) -> None:
        super().__init__()
        self._sock = sock
        # Keeps the socket open where http.client closes it before the body is read ("Connection: close").
        self._raw: Any = sock.makefile("rb", buffering=0)
        self._deadline = deadline
        self._failures = failures
        self.is_ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self.is_ended:
            return None
        with translated(self._failures):
            self._sock.settimeout(self._deadline.left())
            return int(self._raw.readinto(buffer))

    def close(self) -> None:
        self._raw.close()
        super().close()


def read_head(stream: io.BufferedIOBase) -> tuple[str, int, Head]:
    """Read the head of a response, and pass over interim ones (RFC 9110 §15.2).

    :returns: the version of HTTP, such as ``1.1``, the status, and the header lines
    :raises PeerClosedError: the stream ended before the head did
    :raises MalformedResponseError: it is none, or larger than allowed
    """
    while True:
        lines = _lines(stream)
        match = _STATUS_LINE.fullmatch(next(lines))
        if match is None:
            raise MalformedResponseError
        head = _header_lines(lines)
        if not 100 <= int(match[2]) < 200 or int(match[2]) == 101:
            return match[1].decode(), int(match[2]), head


def _lines(stream: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield the lines of one head without their ends; blank ones before it are none of them."""
    left = MAX_HEAD
    begun = False
    while True:
        line = stream.readline(left + 1)
        left -= len(line)
        if left < 0:
            raise MalformedResponseError
        if not line.endswith(b"\n"):
            raise PeerClosedError if begun or is_response_or_nothing(line) else MalformedResponseError
        line = line[:-1].removesuffix(b"\r")
        if line:
            begun = True
            yield line
        elif begun:
            return


def _header_lines(lines: Iterator[bytes]) -> Head:
    head: list[tuple[bytes, bytes]] = []
    for line in lines:
        if match := _HEADER_LINE.fullmatch(line):
            head.append((match[1], match[2].strip(b" \t")))
        elif head and _FOLDED_LINE.fullmatch(line):
            name, value = head[-1]
            head[-1] = (name, value + b" " + line.strip(b" \t"))
        else:
            raise MalformedResponseError
    return head


class ChunkStream(io.RawIOBase):
    """A body that is sent in chunks (RFC 9112 §7.1); closing it closes the stream beneath.

    Reading it raises :exc:`.MalformedResponseError` for what is no chunk, and for an end within the chunks.
    """

    def __init__(self, stream: io.BufferedIOBase) -> None:
        super().__init__()
        self._stream = stream
        self._chunk_left = 0
        self._has_begun = False
        self._is_over = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read a part of a chunk."""
        if not self._chunk_left and not self._is_over:
            self._begin_chunk()
        if self._is_over:
            return 0
        data = self._stream.read(min(len(buffer), self._chunk_left))
        if not data:
            raise MalformedResponseError
        buffer[: len(data)] = data
        self._chunk_left -= len(data)
        return len(data)

    def _begin_chunk(self) -> None:
        if self._has_begun and self._stream.read(2) != b"\r\n":
            raise MalformedResponseError
        self._has_begun = True
        match = _CHUNK_SIZE.fullmatch(self._stream.readline(MAX_BODY))
        if match is None:
            raise MalformedResponseError
        self._chunk_left = int(match[1], 16)
        if not self._chunk_left:
            self._skip_trailers()
            self._is_over = True

    def _skip_trailers(self) -> None:
        line, left = b"", MAX_HEAD
        while (next_line := self._stream.readline(MAX_HEAD)) not in (b"\r\n", b"\n"):
            if not (_TRAILER_LINE.fullmatch(next_line) or (line and _FOLDED_TRAILER.fullmatch(next_line))):
                raise MalformedResponseError
            line, left = next_line, left - len(next_line)
            if left <= 0:
                raise MalformedResponseError

    def close(self) -> None:
        """Close the stream beneath as well."""
        self._stream.close()
        super().close()
