# SPDX-License-Identifier: Apache-2.0
"""A connection's parts, validated. No Airflow here: the hook hands over plain values."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from limits import RateLimitItem, parse_many
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from airflow_provider_trim.vod.errors import TrimSettingsError
from airflow_provider_trim.vod.redaction import truncate
from airflow_provider_trim.vod.validation import first_problem

DEFAULT_HOST = "https://api.cloudv.haplat.net"
"""The front door named by the vendor's documentation of "Get Trimming Task Status"."""

_PORTS = {"http": 80, "https": 443}

_REDIS_OPTIONS = {"client_name", "db", "health_check_interval", "max_connections", "password", "protocol", "username"}
"""Options of a Redis URL that are allowed. Others break calls (``decode_responses``), are another library's
(``visibility_timeout``), or are this package's to choose (timeouts)."""

_REDIS_TLS_OPTIONS = {
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
    "ssl_password",
}
"""And with ``rediss://``."""

Scheme = Literal["token", "ws3-hmac-sha256", "cnc-hmac-sha256", "api-key"]


def _parse_rate(value: object) -> RateLimitItem | None:
    if value is None or isinstance(value, RateLimitItem):
        return value
    if value == "off":
        return None
    try:
        rates = parse_many(str(value))
    except ValueError:
        rates = []
    if len(rates) != 1 or rates[0].amount < 1:
        raise ValueError("must be calls per time, such as '300/5 minutes', or 'off'")
    return rates[0]


def _parse_verify(value: object) -> bool | str:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value:
        return {"true": True, "false": False}.get(value.lower(), value)
    raise ValueError("must be true, false, or the path of a CA file")


def _parse_base_url(value: str, example: str) -> str:
    """Return the base URL of a web address, which holds nothing but scheme, host, port and path."""
    if not value.isascii() or any(character in value for character in "@?#"):
        raise ValueError(f"must be {example}")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"scheme {parts.scheme!r} must be http or https")
    if not parts.hostname:
        raise ValueError(f"must be {example}")
    if any(not "!" <= character <= "~" for character in value):
        raise ValueError("must not contain spaces or control characters")
    _ = parts.port  # raises ValueError for one out of range
    return value.rstrip("/")


def _split_address(value: str) -> tuple[str, int]:
    """Return host and port, or port 0 for what is neither."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.-]+)):([0-9]{1,5})", value)
    return (match[1] or match[2], int(match[3])) if match else ("", 0)


def _check_redis_options(url: str) -> None:
    """Raise ValueError for an option of a Redis URL that is not a known one. Shows no part of a password."""
    try:
        query = urlsplit(url).query
    except ValueError:
        raise ValueError("must be a URL such as redis://host:6379/0") from None
    if "@" in query:
        raise ValueError("the password holds a '?', which must be written as %3F")
    allowed = _REDIS_OPTIONS | (_REDIS_TLS_OPTIONS if url.startswith("rediss://") else set())
    for name, _ in parse_qsl(query, keep_blank_values=True):
        if name not in allowed:
            raise ValueError(f"option {truncate(name)!r} is not allowed; allowed are {', '.join(sorted(allowed))}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class TrimSettings(BaseModel):
    """How to reach one account of the service. Its repr shows no secret.

    Built from a connection with :meth:`from_connection`. Each field beside ``base_url``, ``login`` and ``password`` is
    an extra of the connection type ``trim``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    base_url: str = DEFAULT_HOST
    login: str = Field(default="", repr=False)
    password: SecretStr = SecretStr("")

    auth: Scheme = "token"
    token_header: Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")] | None = None
    """Name of a header (RFC 9110, token) that takes the verification token, instead of a request parameter."""
    method: Literal["POST", "GET"] = "POST"
    timeout: Annotated[float, Field(gt=0, le=600)] = 30.0
    """Seconds for one whole call; to connect, at most 10 of them."""
    verify: Annotated[bool | str, PlainValidator(_parse_verify)] = True
    proxy: SecretStr | None = None
    """URL of a proxy, which may hold a password. Without it the environment's HTTPS_PROXY and NO_PROXY count."""
    allow_http: bool = False
    allow_token_in_url: bool = False
    quota: Annotated[RateLimitItem | None, PlainValidator(_parse_rate)] = Field(
        default="300/5 minutes", validate_default=True
    )
    """Calls that the account may make; by default what the vendor's documentation allows; None for no quota."""
    quota_storage: SecretStr = SecretStr("memory://")
    """Where calls are counted: ``memory://`` for this process, or the URL of a Redis for all processes that name it."""
    api_path: Annotated[str, Field(pattern=r"^/[!$-;=@-Z_a-z~]*$"), AfterValidator(lambda path: path.rstrip("/"))] = (
        "/vod/videoManage"
    )
    """Where below the host the interface is served."""
    callback_listen: str | None = None
    """Address and port at which a triggerer listens for callbacks, such as ``0.0.0.0:8790``."""
    callback_url: str | None = None
    """Base URL of that address, as the service sees it."""
    callback_poll_factor: Annotated[float, Field(ge=1, le=100_000)] = 60.0
    """How many times rarer a trim is asked about while a callback is expected of it."""

    @field_validator("quota_storage")
    @classmethod
    def _known_storage(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if not url.startswith(("memory://", "redis://", "rediss://")):
            raise ValueError("must be memory://, redis://… or rediss://…")
        _check_redis_options(url)
        return value

    @field_validator("proxy")
    @classmethod
    def _proxy_is_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(("http://", "https://")):
            raise ValueError("must be a URL such as http://proxy.example.com:3128")
        return value

    @field_validator("login", "password")
    @classmethod
    def _no_control_characters(cls, value: str | SecretStr) -> str | SecretStr:
        text = value if isinstance(value, str) else value.get_secret_value()
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
            raise ValueError("contains control characters (a stray newline from pasting?)")
        return value

    @field_validator("base_url")
    @classmethod
    def _absolute_url(cls, value: str) -> str:
        return _parse_base_url(value, "a host name, or a base URL such as https://api.cloudv.haplat.net")

    @field_validator("callback_url")
    @classmethod
    def _public_url(cls, value: str | None) -> str | None:
        return None if value is None else _parse_base_url(value, "a base URL such as https://airflow.example.com/trims")

    @field_validator("callback_listen")
    @classmethod
    def _address_and_port(cls, value: str | None) -> str | None:
        if value is not None and not (0 < _split_address(value)[1] < 65536):
            raise ValueError("must be address:port, such as 0.0.0.0:8790 or [::]:8790")
        return value

    @model_validator(mode="after")
    def _reject_insecure(self) -> Self:
        for name, url in (("host", self.base_url), ("callback_url", self.callback_url or "")):
            parts = urlsplit(url)
            if parts.scheme == "http" and not self.allow_http and not _is_loopback(parts.hostname or ""):
                raise ValueError(
                    f"{name}: plain http would show the credentials to the network; use https, or set allow_http"
                )
        in_header = {"login": self.login} if self.auth.endswith("hmac-sha256") else {}
        if self.auth == "token" and self.token_header:
            in_header["password"] = self.password.get_secret_value()
        for name, value in in_header.items():
            if not (value.isascii() and value.isprintable()) or value != value.strip():
                raise ValueError(f"{name}: goes into a header, so it must be ASCII without surrounding spaces")
        if self.auth == "token" and self.method == "GET" and not self.token_header and not self.allow_token_in_url:
            raise ValueError(
                "method: GET puts the token into the URL, where proxies and servers log it; "
                "use POST, or token_header, or set allow_token_in_url"
            )
        return self

    @property
    def account(self) -> str:
        """What the service counts its quota by: host and login, in one spelling."""
        parts = urlsplit(self.base_url)
        port = "" if parts.port in (None, _PORTS[parts.scheme]) else f":{parts.port}"
        return f"{(parts.hostname or '').removesuffix('.')}{port}/{self.login.strip()}"

    @property
    def callback_socket(self) -> tuple[str, int] | None:
        """Host and port to listen on for callbacks; None without ``callback_listen``, or a secret to sign with."""
        if self.callback_listen is None or not self.password.get_secret_value():
            return None
        return _split_address(self.callback_listen)

    @classmethod
    def from_connection(
        cls,
        *,
        host: str | None = None,
        login: str | None = None,
        password: str | None = None,
        schema: str | None = None,
        port: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Self:
        """Validate a connection's parts.

        :param host: bare name (https is meant), a whole base URL, or empty for :data:`DEFAULT_HOST`
        :param login: user id, AccessKey ID or user name, by scheme
        :param password: verification token, AccessKey Secret or API key, by scheme
        :param schema: ``http`` or ``https`` for a bare host, as in Airflow's HTTP connections
        :param port: port, where the host names none
        :param extra: the connection's extras; an empty value counts as not given
        :raises TrimSettingsError: naming the field and what is allowed
        """
        given = {name: value for name, value in (extra or {}).items() if value not in (None, "")}
        reserved = given.keys() & {"base_url", "login", "password"}
        if reserved:
            raise TrimSettingsError(f"extra {sorted(reserved)[0]!r} is a connection field, not an extra")
        try:
            return cls(
                base_url=_base_url(host or "", schema or "", port),
                login=login or "",
                password=SecretStr(password or ""),
                **given,
            )
        except ValidationError as error:
            raise TrimSettingsError(_error_message(error)) from None


def _base_url(host: str, schema: str, port: int | None) -> str:
    host = host.strip()
    if not host:
        return DEFAULT_HOST
    scheme, separator, rest = host.rpartition("://")
    name, slash, path = rest.partition("/")
    if port and not re.search(r":\d*$", name):
        name = f"{name}:{port}"
    return f"{scheme if separator else schema or 'https'}://{name}{slash}{path}"


def _error_message(error: ValidationError) -> str:
    path, text, unknown = first_problem(error)
    name = path[0] if path else ""
    if unknown:
        extras = sorted(TrimSettings.model_fields.keys() - {"base_url", "login", "password"})
        return f"connection extra {name!r} is unknown; allowed are {', '.join(extras)}"
    if not name:
        return f"connection {text}"
    fields = {"base_url": "host", "login": "login", "password": "password"}
    return f"connection {fields.get(name) or f'extra {name!r}'}: {text}"
