# SPDX-License-Identifier: Apache-2.0
"""A response's body, bounded: what the service sends has some kilobytes, and nothing else may fill the memory."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from airflow_provider_trim.vod.errors import TrimResponseError
from airflow_provider_trim.vod.redaction import excerpt

MAX_BODY = 2**20
"""Bytes of a body, as sent and decompressed alike; a thousand times what the vendor's example has."""

MAX_RATIO = 100
"""Bytes decompressed for each one sent. JSON needs no more than 20."""

MAX_MEMBERS = 100
"""Members of a gzip body. Each copies the rest, so fifty thousand empty ones would take a second."""

_GZIP = 16 + zlib.MAX_WBITS


def response_too_large() -> TrimResponseError:
    """Return the error of a body that is too large."""
    return TrimResponseError(f"response larger than {MAX_BODY:,} bytes")


def decode(headers: Mapping[str, str], body: bytes, secret: str = "") -> bytes:
    """Return a body without its content encoding (RFC 9110 §8.4).

    :param headers: by their names in lower case
    :param secret: of the connection, which no error shows
    :raises TrimResponseError: it can't be decompressed, or decompresses to more than is reasonable
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity") or not body:
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise TrimResponseError(f"unexpected Content-Encoding '{excerpt(encoding, secret, 40)}'")
    if encoding != "deflate":
        return _decompress(body, _GZIP)
    # "deflate" without zlib's header is against the standard, and common.
    return _decompress(body, zlib.MAX_WBITS if body[0] & 0x0F == zlib.DEFLATED else -zlib.MAX_WBITS)


def _decompress(body: bytes, window_bits: int) -> bytes:
    limit = min(MAX_BODY, MAX_RATIO * len(body))
    content = bytearray()
    rest, members = body, 0
    try:
        while rest:
            members += 1
            decompressor = zlib.decompressobj(window_bits)
            content += decompressor.decompress(rest, limit + 1 - len(content))
            if len(content) > limit:
                bounds = f"{MAX_BODY:,} bytes, or than {MAX_RATIO} times its compressed size"
                raise TrimResponseError(f"decompressed response larger than {bounds}")
            if not decompressor.eof:
                raise TrimResponseError("compressed response is incomplete")
            rest = decompressor.unused_data
            if window_bits == _GZIP:
                # A file of several members is one (RFC 1952 §2.2); zeros after the last one are padding.
                rest = rest.lstrip(b"\0")
            if rest and members == (MAX_MEMBERS if window_bits == _GZIP else 1):
                raise TrimResponseError("response cannot be decompressed")
    except zlib.error:
        raise TrimResponseError("response cannot be decompressed") from None
    return bytes(content)
