# SPDX-License-Identifier: Apache-2.0
"""What the head of a response must be like, whichever client parsed it.

Two HTTP parsers that understand one response differently are a security hole where proxies are in between (`RFC 9112
§11.2 <https://www.rfc-editor.org/rfc/rfc9112#section-11.2>`_), and here they would make a wait depend on the process it
runs in. So what is ambiguous is refused by both transports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from airflow_provider_trim.transports.failures import MalformedResponseError

MAX_HEADERS = 100
"""Header lines of a response."""

MAX_HEAD = 2**16
"""Bytes of a response's head."""

_VERSION = b"HTTP/"
_LENGTH = re.compile(rb"[0-9]{1,19}")

Head = Sequence[tuple[bytes, bytes]]


def check_head(status: int, head: Head) -> None:
    """Check what one parser or the other has let pass.

    :param head: names and values of the header lines as received
    :raises MalformedResponseError: the head is too large, a value has a NUL, or the length of the body is ambiguous
    """
    if status < 200:
        raise MalformedResponseError  # 101: a switch of protocols, which was not asked for
    if len(head) > MAX_HEADERS or sum(len(name) + len(value) + 4 for name, value in head) > MAX_HEAD:
        raise MalformedResponseError
    if any(b"\0" in value for _, value in head):
        raise MalformedResponseError  # aiohttp 3.11 lets it pass
    lengths = _values(head, b"content-length")
    codings = _values(head, b"transfer-encoding")
    if len(lengths) + len(codings) > 1 or any(coding.lower() != b"chunked" for coding in codings):
        raise MalformedResponseError
    if any(_LENGTH.fullmatch(length) is None for length in lengths):
        raise MalformedResponseError


def is_response_or_nothing(data: bytes) -> bool:
    """Return whether bytes can be the beginning of a response, or are none but line breaks."""
    data = data.lstrip(b"\r\n")
    return data.startswith(_VERSION) or _VERSION.startswith(data)


def combined(head: Head) -> dict[str, str]:
    """Return headers by their names in lower case; the values of repeated ones are joined (RFC 9110 §5.3)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in head:
        name, value = _text(raw_name).lower(), _text(raw_value)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _values(head: Iterable[tuple[bytes, bytes]], name: bytes) -> list[bytes]:
    return [value.strip() for key, value in head if key.lower() == name]


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
