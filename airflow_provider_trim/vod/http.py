# SPDX-License-Identifier: Apache-2.0
"""What goes over the wire, as values: the seam between ``vod`` and the transports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, complete: a transport sends it as it is. Its repr shows neither query, headers nor body."""

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def host(self) -> str:
        """Host and, unless it is the scheme's default, port: what the ``Host`` header says (RFC 9110 §7.2)."""
        parts = urlsplit(self.url)
        default = {"http": 80, "https": 443}[parts.scheme]
        netloc = parts.netloc.lower()
        return netloc.removesuffix(f":{default}") if parts.port == default else netloc


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
