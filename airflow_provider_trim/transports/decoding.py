# SPDX-License-Identifier: Apache-2.0
"""The body of a response, bounded: the service sends some kilobytes, and nothing else may fill the memory."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from airflow_provider_trim.vod.errors import TrimResponseError

MAX_BODY = 2**20
"""Bytes of a body, as sent and decompressed alike; a thousand times what the interface's example has."""

MAX_RATIO = 100
"""Bytes decompressed for each one sent. JSON gets along with 20."""

ACCEPTED_ENCODINGS = "gzip, deflate"

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS


def response_too_large() -> TrimResponseError:
    """Return the error of a body that was cut off."""
    return TrimResponseError(f"response larger than {MAX_BODY:,} bytes")


def decode(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a body without its content encoding (RFC 9110 §8.4).

    :raises TrimResponseError: it can't be decompressed, or decompresses to more than is reasonable
    """
    encoding = next((value for name, value in headers.items() if name.lower() == "content-encoding"), "")
    encoding = encoding.strip().lower()
    if encoding in ("", "identity") or not body:
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise TrimResponseError(f"unexpected Content-Encoding {encoding[:40]!r}")
    # "deflate" without zlib's header is against the standard, and common.
    wrapped = encoding != "deflate" or body[0] & 0x0F == zlib.DEFLATED
    return _decompress(body, _GZIP_OR_ZLIB if wrapped else _RAW_DEFLATE)


def _decompress(body: bytes, window_bits: int) -> bytes:
    limit = min(MAX_BODY, MAX_RATIO * len(body))
    decompressor = zlib.decompressobj(window_bits)
    try:
        content = decompressor.decompress(body, limit + 1)
    except zlib.error:
        raise TrimResponseError("response cannot be decompressed") from None
    if len(content) > limit:
        raise TrimResponseError(
            f"decompressed response larger than {MAX_BODY:,} bytes, or than {MAX_RATIO} times its compressed size"
        )
    if not decompressor.eof:
        raise TrimResponseError("compressed response is incomplete")
    return content
