# SPDX-License-Identifier: Apache-2.0
"""Hosts and URLs of a connection, each checked and put into one spelling.

What is signed is what is sent, and one account has one name, because everything below the settings sees the normal form
only (`RFC 3986 §6.2 <https://www.rfc-editor.org/rfc/rfc3986#section-6.2>`_). Every error is a ``ValueError`` that shows
nothing of the URL, since it may hold a password.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

import idna

from airflow_provider_trim.vod.redaction import truncate

DEFAULT_PORTS = {"http": 80, "https": 443, "redis": 6379, "rediss": 6379}

_PROXY_EXAMPLE = "must be a URL such as http://proxy.example.com:3128"
_SCHEME_AS_HOST = re.compile(r"https?://(https?)(?::(?!\d)|(?::\d+)?//)/*(.+)", re.IGNORECASE)
"""A URL whose host is a scheme: what ``http//host``, ``http:/host`` and ``http://http://host`` become."""
_DOT_SEGMENTS = (".", "..")

_ANY = (r"[^\0]*", "without null characters")
_SWITCH = (r"(?i:true|yes|1|false|no|0)", "true or false")

_REDIS_OPTIONS = {
    "client_name": (r"[!-~]*", "ASCII without spaces"),
    "db": (r"\d{1,9}", "the number of a database, such as 0"),
    "health_check_interval": (r"\d{1,9}", "whole seconds, such as 30"),
    "max_connections": (r"0*[1-9]\d{0,8}", "a number, such as 10"),
    "password": _ANY,
    "protocol": (r"[23]", "2 or 3"),
    "username": _ANY,
}
"""Options of a Redis URL that are allowed, each with a pattern of its values, and what to write: redis-py ignores some
wrong values, and others fail at the first call. Other options break calls (``decode_responses``), are another library's
(``visibility_timeout``), or are this package's to choose (timeouts)."""

_REDIS_TLS_OPTIONS = {
    "ssl_ca_certs": _ANY,
    "ssl_ca_path": _ANY,
    "ssl_cert_reqs": (r"none|optional|required", "none, optional or required"),
    "ssl_certfile": _ANY,
    "ssl_check_hostname": _SWITCH,
    "ssl_keyfile": _ANY,
    "ssl_password": _ANY,
}
"""And with ``rediss://``."""


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """An HTTP proxy. Its repr shows no credentials.

    :param url: scheme, host and port
    :param user: None without credentials
    :param password: "" where the proxy wants a user name alone
    """

    url: str
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    @property
    def netloc(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.url).netloc

    @property
    def headers(self) -> dict[str, str]:
        """The proxy's credentials as a header (RFC 7617, in UTF-8); none without a user."""
        if self.user is None:
            return {}
        credentials = base64.b64encode(f"{self.user}:{self.password}".encode("utf-8", "surrogateescape"))
        return {"Proxy-Authorization": f"Basic {credentials.decode()}"}


def join_base_url(host: str, schema: str, port: int | None) -> str:
    """Return a URL made of an Airflow connection's fields, not checked yet.

    :param host: bare name or address, or a URL
    :param schema: of a bare name; ``https`` if it is empty
    :param port: where ``host`` has none; None for the scheme's default
    """
    scheme, separator, rest = host.strip().rpartition("://")
    name, slash, path = rest.partition("/")
    if _is_ipv6(name):
        name = f"[{name}]"
    if port and not re.search(r":\d*$", name):
        name = f"{name}:{port}"
    return f"{scheme if separator else schema.strip() or 'https'}://{name}{slash}{path}"


def parse_base_url(value: str, example: str) -> str:
    """Return the normal form of a URL that has nothing but scheme, host, port and path.

    :param example: of what is allowed, for the error
    """
    if any(character in value for character in "@?#\\"):
        raise ValueError(f"must be {example}")
    if any(not character.isprintable() or character.isspace() for character in value):
        raise ValueError("must not contain spaces or control characters")
    if meant := _SCHEME_AS_HOST.fullmatch(value):
        raise ValueError(f"must be a base URL; is {truncate(f'{meant[1].lower()}://{meant[2]}')} meant?")
    scheme, host, port, path = _split(value, f"must be {example}")
    if scheme not in ("http", "https"):
        raise ValueError(f"scheme {truncate(scheme)!r} must be http or https")
    return f"{scheme}://{_netloc(scheme, host, port)}{parse_path(path)}"


def parse_path(path: str) -> str:
    """Return a path without the slash at its end. What is refused here, clients and proxies read differently."""
    if not path.isascii():
        raise ValueError("must be ASCII, with other characters of its path percent-encoded")
    if any(unquote(segment) in _DOT_SEGMENTS for segment in path.split("/")):
        raise ValueError("must not contain '.' or '..' as a part of its path")
    return path.rstrip("/")


def parse_proxy_url(value: str) -> ProxyAddress:
    """Return a proxy; without a scheme, plain http is meant, as in other software."""
    text = value.strip()
    if re.match(r"socks\w*://", text, re.IGNORECASE):
        raise ValueError("SOCKS proxies are not supported; name an HTTP proxy such as http://proxy.example.com:3128")
    if "://" not in text:
        text = f"http://{text}"
    credentials, _, rest = text.partition("://")[2].rpartition("@")
    scheme, host, port, path = _split(f"{text.partition('://')[0]}://{rest}", _PROXY_EXAMPLE)
    if scheme not in ("http", "https") or path.strip("/"):
        raise ValueError(_PROXY_EXAMPLE)
    url = f"{scheme}://{_netloc(scheme, host, port)}"
    if not credentials:
        return ProxyAddress(url)
    user, _, password = credentials.partition(":")
    return ProxyAddress(url, unquote(user), unquote(password))


def proxy_to_url(proxy: ProxyAddress) -> str:
    """Return the URL of a proxy with its credentials."""
    if proxy.user is None:
        return proxy.url
    scheme, _, rest = proxy.url.partition("://")
    return f"{scheme}://{quote(proxy.user, safe='')}:{quote(proxy.password, safe='')}@{rest}"


def parse_storage_url(value: str) -> str:
    """Return the normal form of the URL of a quota's storage."""
    scheme = value.strip().partition("://")[0].lower()
    if scheme == "memory" and "://" in value:
        return "memory://"
    if scheme not in ("redis", "rediss") or "://" not in value:
        raise ValueError("must be memory://, redis://… or rediss://…")
    text = value.strip()
    if password := re.search(r"(?s)[/?#].*@", text.partition("://")[2]):
        character = password[0][0]
        raise ValueError(f"the password contains a {character!r}, which must be written as {quote(character, safe='')}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("must be a URL such as redis://host:6379/0") from None
    if port == 0 or not re.fullmatch(r"/?|/\d{1,9}/?", parts.path):
        raise ValueError("must have a port from 1 to 65535 and the number of a database, such as redis://host:6379/0")
    _check_redis_options(scheme, parts.query)
    credentials, at, _ = parts.netloc.rpartition("@")
    host = (parts.hostname or "").removesuffix(".")
    netloc = f"{credentials}{at}{_netloc(scheme, f'[{host}]' if ':' in host else host, port)}"
    path = parts.path.rstrip("/").removesuffix("/0")
    return urlunsplit((scheme, netloc, path, parts.query, ""))


def split_listen_address(value: str) -> tuple[str, int]:
    """Return host and port of ``host:port`` or ``[address]:port``."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.-]+)):([0-9]{1,5})", value)
    if match is None or not 0 < int(match[3]) < 65536:
        raise ValueError("must be address:port, such as 0.0.0.0:8790 or [::]:8790")
    return match[1] or match[2], int(match[3])


def is_loopback(url: str) -> bool:
    """Return whether a URL in normal form names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(url: str, error: str) -> tuple[str, str, int | None, str]:
    """Return scheme, host (an IPv6 address in brackets), port and path.

    :param error: message of the ``ValueError`` for what is no URL
    """
    try:
        parts = urlsplit(url)
        host = _normalize_host(parts.hostname or "")
    except ValueError:
        raise ValueError(error) from None
    if not host or "@" in parts.netloc:
        raise ValueError(error)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("port must be a number from 1 to 65535")
    return parts.scheme.lower(), host, port, parts.path


def _normalize_host(name: str) -> str:
    """Return a host in lower case, without the root's dot, in ASCII (IDNA), and an IPv6 address in brackets."""
    if "%" in name:
        raise ValueError  # an IPv6 zone, which names an interface of one machine
    if ":" in name:
        return f"[{ipaddress.IPv6Address(name).compressed}]"
    name = name.removesuffix(".")
    if not name.isascii():
        name = idna.encode(name, uts46=True).decode()
    if not re.fullmatch(r"[0-9a-z_-]+(\.[0-9a-z_-]+)*", name):
        raise ValueError
    return name


def _netloc(scheme: str, host: str, port: int | None) -> str:
    return host if port in (None, DEFAULT_PORTS[scheme]) else f"{host}:{port}"


def _is_ipv6(name: str) -> bool:
    try:
        ipaddress.IPv6Address(name)
    except ValueError:
        return False
    return True


def _check_redis_options(scheme: str, query: str) -> None:
    allowed = _REDIS_OPTIONS | (_REDIS_TLS_OPTIONS if scheme == "rediss" else {})
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in allowed:
            raise ValueError(f"option {truncate(name)!r} is not allowed; allowed are {', '.join(sorted(allowed))}")
        pattern, expected = allowed[name]
        if value and not re.fullmatch(pattern, value, re.ASCII):  # redis-py ignores an empty one
            raise ValueError(f"option {name!r} must be {expected}")
