# SPDX-License-Identifier: Apache-2.0
"""A connection's parts, validated. No Airflow here: the hook hands over plain values."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from limits import RateLimitItem, parse_many
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from airflow_provider_trim.vod.addresses import (
    is_loopback,
    join_base_url,
    parse_base_url,
    parse_path,
    parse_proxy_url,
    parse_storage_url,
    proxy_to_url,
    split_listen_address,
)
from airflow_provider_trim.vod.errors import TrimSettingsError
from airflow_provider_trim.vod.parameters import Parameters, parse_parameters
from airflow_provider_trim.vod.redaction import redact, truncate
from airflow_provider_trim.vod.schemes import scheme_names
from airflow_provider_trim.vod.validation import first_problem, number, on_text

DEFAULT_HOST = "https://api.cloudv.haplat.net"
"""The host of the vendor's page `Get Trimming Task Status
<https://documents.cdnetworks.com/document/cloud-vod/20391-get-trimming-task-status>`_."""

DEFAULT_WINDOW = 300.0
"""Seconds in which the vendor counts an account's calls (`overview of the API
<https://documents.cdnetworks.com/document/15923/cloudvod-newapi-overview>`_)."""

MAX_CALLS = 1_000_000
"""Calls that a quota can have: each in its window takes some 100 bytes where calls are counted."""

MAX_WINDOW = 31 * 86400
"""Seconds in which they can be counted: a ``Retry-After`` is honoured for as long."""

_FIELDS = {"base_url": "host", "host": "host", "login": "login", "password": "password"}
"""Of a connection, by the names that messages have."""

_SHOWN = re.compile(r"-?[\d.,]{1,9} ?[A-Za-z]{0,8}|nan|-?inf|True|False")
"""Values that messages show: numbers, and what was meant as one. Any other may be a secret in the wrong place."""

_SWITCH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _parse_rate(value: object) -> RateLimitItem | None:
    if value is None or value is False or (isinstance(value, str) and value.lower() == "off"):
        return None
    rates = [value] if isinstance(value, RateLimitItem) else _rates(str(value))
    if len(rates) != 1 or not (1 <= rates[0].amount <= MAX_CALLS and 1 <= rates[0].get_expiry() <= MAX_WINDOW):
        raise ValueError(
            "must be calls per time, such as '300/5 minutes', or 'off'; "
            f"at most {MAX_CALLS} calls, in 1 second to 31 days"
        )
    return rates[0]


def _rates(text: str) -> list[RateLimitItem]:
    if re.search(r"(/|per)\s*0+\s*[a-z]", text, re.IGNORECASE):
        return []  # limits takes '300/0 minutes' for '300/1 minute'
    try:
        return parse_many(text)
    except ValueError:
        return []


def _parse_verify(value: object) -> bool | str:
    if isinstance(value, bool | int) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value and value.isprintable():
        return _SWITCH.get(value.lower(), value)
    raise ValueError("must be true, false, or the path of a CA file")


def _known_scheme(value: object) -> str:
    names = scheme_names()
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"must be {', '.join(map(repr, names[:-1]))} or {names[-1]!r}")
    return value


def _listen_address(value: str) -> str:
    split_listen_address(value)
    return value


def _base_url(example: str) -> AfterValidator:
    return AfterValidator(lambda value: parse_base_url(value, example))


def _secret(parse: Callable[[str], str]) -> AfterValidator:
    """Validate the text of a secret."""
    return AfterValidator(lambda value: SecretStr(parse(value.get_secret_value())))


class TrimSettings(BaseModel):
    """How to reach one account of the service. Its repr shows no secret.

    Built from a connection with :meth:`from_connection`. Each field except ``base_url``, ``login`` and ``password`` is
    an extra of the connection type ``trim``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True)

    base_url: Annotated[str, _base_url(f"a host name, or a base URL such as {DEFAULT_HOST}")] = DEFAULT_HOST
    login: str = Field(default="", repr=False)
    password: SecretStr = SecretStr("")

    auth: Annotated[str, BeforeValidator(_known_scheme), on_text(str.lower)] = "token"
    """See :mod:`airflow_provider_trim.vod.schemes`."""
    token_header: Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")] | None = None
    """Name of a header (RFC 9110, token) that takes the verification token, instead of a request parameter."""
    method: Annotated[Literal["POST", "GET"], on_text(str.upper)] = "POST"
    timeout: Annotated[float, Field(gt=0, le=600), BeforeValidator(number)] = 30.0
    """Seconds for one whole call; at most 10 of them to connect."""
    verify: Annotated[bool | str, PlainValidator(_parse_verify)] = True
    proxy: Annotated[SecretStr, _secret(lambda url: proxy_to_url(parse_proxy_url(url)))] | None = None
    """URL of an HTTP proxy, which may hold a password; by default what HTTPS_PROXY and NO_PROXY say."""
    parameters: Annotated[Parameters, PlainValidator(parse_parameters)] = Field(default=(), repr=False)
    """Parameters that each call has as well, by name; ``timeStamp`` among them replaces the current time."""
    allow_http: bool = False
    allow_token_in_url: bool = False
    quota: Annotated[RateLimitItem | None, PlainValidator(_parse_rate)] = Field(
        default="300/5 minutes", validate_default=True
    )
    """Calls that the account may make; by default what the vendor's documentation allows; None for no quota."""
    quota_storage: Annotated[SecretStr, _secret(parse_storage_url)] = SecretStr("memory://")
    """Where calls are counted: ``memory://`` for this process, or the URL of a Redis for all processes that name it."""
    api_path: Annotated[str, Field(pattern=r"^/[!$-;=@-Z_a-z~]*$"), AfterValidator(parse_path)] = "/vod/videoManage"
    """Path of the API on the host."""
    callback_listen: Annotated[str, AfterValidator(_listen_address)] | None = None
    """Address and port at which a triggerer listens for callbacks, such as ``0.0.0.0:8790``."""
    callback_url: Annotated[str, _base_url("a base URL such as https://airflow.example.com/trims")] | None = None
    """Base URL of that address, as the service sees it."""
    callback_poll_factor: Annotated[float, Field(ge=1, le=100_000), BeforeValidator(number)] = 60.0
    """By how much the poll interval of a trim is multiplied while its callback is expected."""

    @field_validator("login", "password")
    @classmethod
    def _no_control_characters(cls, value: str | SecretStr) -> str | SecretStr:
        text = value if isinstance(value, str) else value.get_secret_value()
        if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
            raise ValueError("contains control characters (a stray newline from pasting?)")
        return value.strip() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _reject_insecure(self) -> Self:
        for name, url, what in (
            ("host", self.base_url, "the credentials"),
            ("callback_url", self.callback_url or "", "where callbacks go"),
        ):
            if url.startswith("http://") and not self.allow_http and not is_loopback(url):
                raise ValueError(
                    f"{name}: plain http would show {what} to the network; use https, or set the extra allow_http"
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
        return f"{urlsplit(self.base_url).netloc}/{self.login}"

    @property
    def account_label(self) -> str:
        """A name of the account for metrics: its host, and a digest instead of its login, which may be confidential."""
        digest = hashlib.blake2b(self.account.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
        host = urlsplit(self.base_url).hostname or ""
        return f"{host.replace(':', '-')}/{digest}"  # a colon ends a name of StatsD

    @property
    def max_retry_after(self) -> float:
        """Seconds of a ``Retry-After`` that are honoured: after one window the account has its whole quota again."""
        return DEFAULT_WINDOW if self.quota is None else float(self.quota.get_expiry())

    @property
    def callback_socket(self) -> tuple[str, int] | None:
        """Host and port to listen on for callbacks; None without ``callback_listen``, or a secret to sign with."""
        if self.callback_listen is None or not self.password.get_secret_value():
            return None
        return split_listen_address(self.callback_listen)

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
        :param port: port, where the host names none; without a host, 443 alone can be right, and https for ``schema``
        :param extra: the connection's extras; an empty value counts as not given
        :raises TrimSettingsError: naming the field and what is allowed
        """
        stripped = {name: value.strip() if isinstance(value, str) else value for name, value in (extra or {}).items()}
        given = {name: value for name, value in stripped.items() if value not in (None, "")}
        reserved = given.keys() & {"base_url", "login", "password"}
        if reserved:
            raise TrimSettingsError(f"extra {sorted(reserved)[0]!r} is a connection field, not an extra")
        try:
            return cls(
                base_url=_join_host((host or "").strip(), (schema or "").strip(), port),
                login=login or "",
                password=SecretStr(password or ""),
                **given,
            )
        except ValidationError as error:
            raise TrimSettingsError(redact(_error_message(error, given), password or "")) from None


def _join_host(host: str, schema: str, port: int | None) -> str:
    if host:
        return join_base_url(host, schema, port)
    for name, value, allowed in (("port", port, (0, 443)), ("schema", schema.lower(), ("https",))):
        if value and value not in allowed:  # it belongs to another host, which must not be the one to get credentials
            raise TrimSettingsError(
                f"connection {name} is given without a host: set the host, such as http://127.0.0.1:8766, or leave "
                f"both out for {DEFAULT_HOST}"
            )
    return DEFAULT_HOST


_ALLOWED = {
    "token_header": "must be the name of an HTTP header, such as X-Token",
    "timeout": "must be a number of seconds without a unit, more than 0 and at most 600, such as 30",
    "proxy": "must be a URL such as http://proxy.example.com:3128",
    "allow_http": "must be true or false",
    "allow_token_in_url": "must be true or false",
    "quota_storage": "must be memory://, redis://… or rediss://…",
    "api_path": "must begin with a slash and have no spaces, ? or #, such as /vod/videoManage; percent-encode others",
    "callback_listen": "must be address:port, such as 0.0.0.0:8790 or [::]:8790",
    "callback_url": "must be a base URL such as https://airflow.example.com/trims",
    "callback_poll_factor": "must be a number from 1 to 100000, such as 60",
}


def _error_message(error: ValidationError, given: Mapping[str, Any]) -> str:
    (name, *_), text, unknown = first_problem(error, _ALLOWED)
    if unknown:
        extras = sorted(TrimSettings.model_fields.keys() - _FIELDS.keys())
        return f"connection extra {truncate(name)!r} is unknown; allowed are {', '.join(extras)}"
    if _SHOWN.fullmatch(str(given.get(name))):
        text += f" (given: {given[name]!r})"
    return f"connection {_FIELDS.get(name) or f'extra {name!r}'}: {text}"
