# SPDX-License-Identifier: Apache-2.0
"""What a connection and the process's environment say about proxies and certificates, for both transports alike.

The environment variables are those of requests (HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE, …), since Airflow's other
HTTP providers follow them. Credentials in ``.netrc`` are not used: a connection holds its own.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import certifi
from requests.utils import get_environ_proxies, select_proxy

from airflow_provider_trim.vod.errors import TrimSettingsError, TrimTransportError
from airflow_provider_trim.vod.http import Request
from airflow_provider_trim.vod.settings import TrimSettings

CONNECT_TIMEOUT = 10.0
"""Seconds to reach the service, at most; a connection's ``timeout`` may be shorter."""


_CLOSED = "connection closed"
_BROKEN = "malformed HTTP response"
_REASONS = {
    "ServerDisconnectedError": _CLOSED,
    "ChunkedEncodingError": _BROKEN,
    "ClientPayloadError": _BROKEN,
    "ClientResponseError": _BROKEN,
    "ProtocolError": _BROKEN,
    "BadStatusLine": _BROKEN,
}
"""What the clients' own exceptions mean, by their names."""


def proxy_url(settings: TrimSettings) -> str | None:
    """Return the URL of the proxy to use, or None."""
    if settings.proxy is not None:
        return settings.proxy.get_secret_value()
    proxy: str | None = select_proxy(settings.base_url, get_environ_proxies(settings.base_url))
    return proxy


def ca_file(settings: TrimSettings) -> str | None:
    """Return the file (or folder) of certificate authorities to trust, or None where certificates are not checked.

    :raises TrimSettingsError: the connection's or the environment's can't be read, or is none
    """
    if not settings.verify:
        return None
    if isinstance(settings.verify, str):
        if Path(settings.verify).is_dir():
            raise TrimSettingsError(f"connection extra 'verify': {settings.verify!r} as CA file: Is a directory")
        return _validated(settings.verify, "connection extra 'verify'")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        if path := os.environ.get(name):
            return _validated(path, f"environment variable {name}")
    return certifi.where()


def network_fingerprint(settings: TrimSettings) -> object:
    """Return what changes when a session must be replaced: the proxy, and the content of the CA file.

    :raises TrimSettingsError: the certificate authorities to trust can't be read
    """
    path = ca_file(settings)
    content = Path(path).read_bytes() if path is not None and Path(path).is_file() else b""
    return proxy_url(settings), path, hashlib.sha256(content).digest()


def tls_context(path: str) -> ssl.SSLContext:
    """Return a context that trusts the certificate authorities of a file or folder.

    :raises TrimSettingsError: it can't be read, or is none (retryable: files come and go)
    """
    try:
        return _load_context(path)
    except OSError as error:
        raise TrimSettingsError(f"{path!r} as CA file: {_strerror(error)}", retryable=True) from None


@functools.cache
def _validated(path: str, origin: str) -> str:
    try:
        _load_context(path)
    except OSError as error:
        raise TrimSettingsError(f"{origin}: {path!r} as CA file: {_strerror(error)}") from None
    return path


def _load_context(path: str) -> ssl.SSLContext:
    if Path(path).is_dir():
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)


def _strerror(error: OSError) -> str:
    return error.strerror or type(error).__name__  # SSLError is one


def transport_error(request: Request, error: BaseException) -> TrimTransportError:
    """Say why a request had no response, without its URL, which may hold the token.

    The clients' own exceptions name that URL, so only the operating system's or the TLS library's reason is taken.
    """
    host = urlsplit(request.url).netloc
    return TrimTransportError(f"request to {host} failed: {_reason(error)}")


def _reason(error: BaseException) -> str:
    known = None
    cause: BaseException | None = error
    while cause is not None:
        # aiohttp's own error has the number of the system's, not its type.
        cause = getattr(cause, "os_error", cause)
        if isinstance(cause, TimeoutError):
            return "timed out"
        if isinstance(cause, ssl.CertificateError):
            # aiohttp's is one of these as well, without their attributes but around one that has them.
            why = getattr(cause, "certificate_error", cause).verify_message
            return f"certificate verification failed: {why} (set the connection's 'verify' to a CA file)"
        if isinstance(cause, socket.gaierror):
            return f"{cause.strerror} (check the connection's host)"
        if isinstance(cause, OSError) and cause.errno:
            system = cause.errno in errno.errorcode and not isinstance(cause, ssl.SSLError)
            return os.strerror(cause.errno) if system else str(cause.strerror)
        if isinstance(cause, ConnectionError):
            return _CLOSED
        known = known or _REASONS.get(type(cause).__name__)
        cause = cause.__cause__ or cause.__context__
    return known or type(error).__name__
