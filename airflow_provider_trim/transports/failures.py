# SPDX-License-Identifier: Apache-2.0
"""Why a request has no response, in one vocabulary for both transports: what failed, for which peer, what to check.

A transport's own exceptions name the URL, which may hold the token, so only the reasons of the operating system and of
the TLS library are shown.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
from dataclasses import dataclass

from airflow_provider_trim.vod.addresses import ProxyAddress
from airflow_provider_trim.vod.errors import TrimTransportError

CLOSED = "connection closed"
MALFORMED = "malformed HTTP response"


class MalformedResponseError(Exception):
    """A response is no HTTP, or HTTP that clients and proxies may understand differently."""


class PeerClosedError(Exception):
    """The peer closed the connection before its response began."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Makes the errors of one transport.

    :param host: host and port of the service
    :param proxy: through which it is reached, or None
    :param timeout: seconds of a call
    :param connect_timeout: seconds of a connection attempt
    """

    host: str
    proxy: ProxyAddress | None
    timeout: float
    connect_timeout: float

    def name_lookup(self, error: Exception) -> TrimTransportError:
        """The peer's name has no address."""
        return self._of_peer(f"host name lookup failed: {_reason(error)}", hint=True)

    def connect(self, error: OSError) -> TrimTransportError:
        """The peer was not connected to."""
        return self._of_peer(_reason(error))

    def connect_timed_out(self) -> TrimTransportError:
        """The peer was not connected to in time."""
        return self._of_peer(f"connecting timed out after {self.connect_timeout:g} s")

    def proxy_status(self, status: int) -> TrimTransportError:
        """The proxy answered ``CONNECT`` with another status than 200."""
        hint = " (check the proxy's user and password)" if status == 407 else ""
        return self._of_peer(f"CONNECT was answered with HTTP status {status}{hint}")

    def tls(self, error: Exception) -> TrimTransportError:
        """The TLS handshake failed, with the proxy or the service."""
        if isinstance(error, ssl.SSLCertVerificationError):
            text = f"certificate verification failed: {error.verify_message}"
            return self._error(f"{text} (set the connection's 'verify' to a CA file)")
        return self._error(f"TLS handshake failed: {_reason(error)} (check that host and port serve https)")

    def timed_out(self) -> TrimTransportError:
        """The response did not arrive in time."""
        return self._error(f"timed out after {self.timeout:g} s")

    def read(self, error: OSError) -> TrimTransportError:
        """The connection broke while the request was sent or its response read."""
        return self._error(_reason(error))

    def closed(self) -> TrimTransportError:
        """The connection was closed before the response began."""
        return self._error(CLOSED)

    def malformed(self) -> TrimTransportError:
        """The response is no HTTP, or was broken off."""
        return self._error(MALFORMED)

    def _of_peer(self, text: str, *, hint: bool = False) -> TrimTransportError:
        if self.proxy is None:
            return self._error(f"{text} (check the connection's host)" if hint else text)
        return self._error(f"proxy {self.proxy.netloc}: {text}{' (check the address of the proxy)' if hint else ''}")

    def _error(self, text: str) -> TrimTransportError:
        return TrimTransportError(f"request to {self.host} failed: {text}")


def _reason(error: Exception) -> str:
    if not isinstance(error, OSError):
        return str(error) or CLOSED
    if isinstance(error, ssl.SSLError):
        return (error.reason or error.strerror or "unknown reason").replace("_", " ").lower()
    if error.errno in errno.errorcode and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno or 0)
    return error.strerror or CLOSED
