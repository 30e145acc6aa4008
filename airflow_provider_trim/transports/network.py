# SPDX-License-Identifier: Apache-2.0
"""What a connection and the process's environment say about proxies and certificates, for both transports alike.

The environment variables are those of requests (HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE, …), since Airflow's other
HTTP providers follow them. Credentials in ``.netrc`` are not used: a connection has its own.
"""

from __future__ import annotations

import functools
import os
import ssl
import stat
import weakref
from pathlib import Path

import certifi
from requests.utils import get_environ_proxies, select_proxy

from airflow_provider_trim.vod.addresses import ProxyAddress, parse_proxy_url
from airflow_provider_trim.vod.errors import TrimSettingsError
from airflow_provider_trim.vod.settings import TrimSettings

MAX_CONNECT_TIMEOUT = 10.0
"""Seconds to connect, at most."""

CONNECT_FRACTION = 0.9
"""Part of a call's timeout that may pass until it is connected, so that it is known which of the two was too slow."""

MAX_IDLE = 15.0
"""Seconds after which an idle connection is not used again. Firewalls and NAT gateways forget connections silently,
some of them after 30 s, and a request over a forgotten one gets no response."""

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""Environment variables that name a file or folder of certificate authorities, the first one first."""


def connect_timeout(settings: TrimSettings) -> float:
    """Return the seconds that a connection attempt may take."""
    return min(MAX_CONNECT_TIMEOUT, CONNECT_FRACTION * settings.timeout)


def proxy_for(settings: TrimSettings) -> ProxyAddress | None:
    """Return the proxy to use, or None.

    :raises TrimSettingsError: the environment's proxy can't be used
    """
    if settings.proxy is not None:
        return parse_proxy_url(settings.proxy.get_secret_value())
    url = select_proxy(settings.base_url, get_environ_proxies(settings.base_url))
    if not url:
        return None
    try:
        return parse_proxy_url(url)
    except ValueError as error:
        scheme = settings.base_url.partition(":")[0].upper()
        raise TrimSettingsError(f"environment variable {scheme}_PROXY or ALL_PROXY: {error}") from None


def _uses_tls(settings: TrimSettings, proxy: ProxyAddress | None) -> bool:
    return settings.base_url.startswith("https://") or (proxy is not None and proxy.url.startswith("https://"))


def _ca_file(settings: TrimSettings, proxy: ProxyAddress | None) -> str | None:
    """Return the file (or folder) of certificate authorities to trust, or None where no certificate is verified.

    :raises TrimSettingsError: the connection's or the environment's can't be read, or has no certificates
    """
    if not settings.verify or not _uses_tls(settings, proxy):
        return None
    if isinstance(settings.verify, str):
        if os.path.isdir(settings.verify):  # noqa: PTH112  Path.is_dir() may raise an OSError
            raise TrimSettingsError(f"connection extra 'verify': {settings.verify!r} as CA file: Is a directory")
        return _validated(settings.verify, "connection extra 'verify'")
    for name in CA_VARIABLES:
        if path := os.environ.get(name):
            return _validated(path, f"environment variable {name}")
    return certifi.where()


_CaState = tuple[str, tuple[int, ...] | None] | None


def ca_state(settings: TrimSettings, proxy: ProxyAddress | None) -> _CaState:
    """Return what changes with the certificate authorities, without reading them.

    :returns: None where no certificate is verified: for plain http, as requests has it, nothing is read
    :raises TrimSettingsError: the connection's or the environment's can't be read, or has no certificates
    """
    path = _ca_file(settings, proxy)
    if path is None:
        return None
    try:
        found = Path(path).stat()
    except OSError:
        return path, None
    return path, (found.st_mtime_ns, found.st_size, found.st_ino)


def network_fingerprint(settings: TrimSettings) -> object:
    """Return what changes when a session must be replaced: the proxy, and the certificate authorities.

    :raises TrimSettingsError: the proxy or the certificate authorities can't be used
    """
    proxy = proxy_for(settings)
    return proxy, ca_state(settings, proxy)


_contexts: weakref.WeakValueDictionary[_CaState, ssl.SSLContext] = weakref.WeakValueDictionary()
"""Those in use, by :func:`ca_state`: each takes 20 ms to make, and half a mebibyte."""


def tls_context(settings: TrimSettings, proxy: ProxyAddress | None) -> ssl.SSLContext | None:
    """Return the TLS settings of a connection, or None where neither the service nor the proxy uses https.

    Connections with the same certificate authorities share them.

    :raises TrimSettingsError: the certificate authorities can't be read (retryable: files come and go)
    """
    if not _uses_tls(settings, proxy):
        return None
    path, state = _ca_file(settings, proxy), ca_state(settings, proxy)
    if (shared := _contexts.get(state)) is not None:
        return shared
    try:
        context = _unverified() if path is None else _load(path)
    except OSError as error:
        raise TrimSettingsError(f"{path!r} as CA file: {_strerror(error)}", retryable=True) from None
    context.set_alpn_protocols(["http/1.1"])
    _contexts[state] = context
    return context


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@functools.cache
def _validated(path: str, origin: str) -> str:
    try:
        _load(path)
    except OSError as error:
        raise TrimSettingsError(f"{origin}: {path!r} as CA file: {_strerror(error)}") from None
    return path


def _load(path: str) -> ssl.SSLContext:
    """Return a context that trusts the authorities of a file or folder.

    Anything else is refused before it is opened: a FIFO, say, would hold its reader up for ever.
    """
    mode = Path(path).stat().st_mode
    if stat.S_ISDIR(mode):
        return ssl.create_default_context(capath=path)
    if not stat.S_ISREG(mode):
        raise OSError(0, "not a regular file")
    return ssl.create_default_context(cafile=path)


def _strerror(error: OSError) -> str:
    return error.strerror or type(error).__name__  # SSLError may have none
