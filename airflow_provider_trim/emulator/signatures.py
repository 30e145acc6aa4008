# SPDX-License-Identifier: Apache-2.0
"""The schemes that prove the secret without sending it: HMAC-SHA256 under two labels, and the API key.

Written from the vendor's pages on authentication, independently of the client's implementation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import threading
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import get_args
from urllib.parse import unquote

from airflow_provider_trim.emulator.authentication import (
    Authentication,
    AuthenticationError,
    Scheme,
    TokenAuthentication,
)
from airflow_provider_trim.emulator.wire import ServiceRequest

CLOCK_TOLERANCE = 300.0
"""Seconds that a client's clock may be off, and seconds that a used signature stays invalid."""

_AUTHORIZATION = re.compile(r"(\S+) Credential=([^,]+), ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})")


class SignatureAuthentication:
    """``WS3-HMAC-SHA256`` and ``CNC-HMAC-SHA256``: one algorithm, two labels, different header names.

    :param label: ``WS3-HMAC-SHA256`` or ``CNC-HMAC-SHA256``
    :param user: the accepted AccessKey ID
    :param token: its AccessKey Secret
    :param wall_clock: gives Unix seconds
    """

    reads_parameters = False

    def __init__(self, label: str, user: str, token: str, wall_clock: Callable[[], float]) -> None:
        self.user = user
        self.token = token
        self._label = label
        self._prefix = "X-WS" if label.startswith("WS") else "x-cnc"
        self._wall_clock = wall_clock
        self._lock = threading.Lock()
        self._seen: dict[str, float] = {}

    def authenticate(self, request: ServiceRequest) -> str:
        """Return the account of a request with a right, recent and unused signature.

        :raises AuthenticationError: naming what is wrong
        """
        headers = request.headers
        match = _AUTHORIZATION.fullmatch(headers.get("Authorization", ""))
        if match is None or match[1] != self._label:
            raise AuthenticationError(f"Authorization is not of the scheme {self._label}")
        if match[2] != self.user or headers.get(f"{self._prefix}-AccessKey") != self.user:
            raise AuthenticationError("the AccessKey is unknown")
        if self._prefix == "x-cnc" and headers.get("x-cnc-auth-method") != "AKSK":
            raise AuthenticationError("x-cnc-auth-method is not AKSK")
        names = match[3].split(";")
        if not {"content-type", "host"} <= set(names):
            raise AuthenticationError("content-type and host must be signed")
        time_stamp = headers.get(f"{self._prefix}-Timestamp", "")
        if not (time_stamp.isascii() and time_stamp.isdigit()):
            raise AuthenticationError("the timestamp is not an integer")
        check_clock(float(time_stamp[:15]), self._wall_clock())
        if not hmac.compare_digest(match[4], self._signature(request, names, time_stamp)):
            raise AuthenticationError("the signature is wrong")
        self._check_first_use(match[4])
        return self.user

    def _signature(self, request: ServiceRequest, names: list[str], time_stamp: str) -> str:
        canonical_headers = "".join(f"{name}:{request.headers.get(name, '')}\n".lower() for name in names)
        body = request.body if request.method != "GET" else b""
        canonical = "\n".join(
            [
                request.method,
                request.path,
                unquote(request.query_string) if request.method == "GET" else "",
                canonical_headers,
                ";".join(names),
                hashlib.sha256(body).hexdigest(),
            ]
        )
        digest = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
        to_sign = f"{self._label}\n{time_stamp}\n{digest}"
        return hmac.new(self.token.encode(), to_sign.encode(), hashlib.sha256).hexdigest()

    def _check_first_use(self, signature: str) -> None:
        now = self._wall_clock()
        with self._lock:
            for seen in [seen for seen, at in self._seen.items() if at <= now - CLOCK_TOLERANCE]:
                del self._seen[seen]
            if signature in self._seen:
                raise AuthenticationError("the signature has been used already")
            self._seen[signature] = now


class ApiKeyAuthentication:
    """HTTP Basic with a password that is the HMAC-SHA1 of the date under the API key.

    :param user: the accepted user name
    :param token: its API key
    :param wall_clock: gives Unix seconds
    """

    reads_parameters = False

    def __init__(self, user: str, token: str, wall_clock: Callable[[], float]) -> None:
        self.user = user
        self.token = token
        self._wall_clock = wall_clock

    def authenticate(self, request: ServiceRequest) -> str:
        """Return the account of a request with a recent date and the password of that date.

        :raises AuthenticationError: naming what is wrong
        """
        headers = request.headers
        date = headers.get("x-cnc-date") or headers.get("Date", "")
        try:
            sent_at = parsedate_to_datetime(date)
        except (ValueError, OverflowError):
            raise AuthenticationError("Date is not an RFC 1123 date") from None
        if sent_at.tzinfo is None:
            raise AuthenticationError("Date is not an RFC 1123 date: it has no time zone")
        check_clock(sent_at.timestamp(), self._wall_clock())
        if headers.get("x-cnc-auth-method") != "BASIC":
            raise AuthenticationError("x-cnc-auth-method is not BASIC")
        digest = hmac.new(self.token.encode(), date.encode("utf-8", "surrogateescape"), hashlib.sha1).digest()
        expected = f"{self.user}:{base64.b64encode(digest).decode()}".encode()
        if not hmac.compare_digest(expected, _basic(headers.get("Authorization", ""))):
            raise AuthenticationError("user name or API key is wrong")
        return self.user


def check_clock(sent_at: float, now: float) -> None:
    """Verify that a request was sent within the last or next :data:`CLOCK_TOLERANCE` seconds.

    :param sent_at: Unix seconds
    :param now: Unix seconds
    :raises AuthenticationError: if it was not
    """
    if abs(sent_at - now) > CLOCK_TOLERANCE:
        raise AuthenticationError(f"the time of the request is more than {CLOCK_TOLERANCE:.0f} s off")


def _basic(authorization: str) -> bytes:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def build_authentication(
    scheme: str, user: str, token: str, token_header: str | None, wall_clock: Callable[[], float]
) -> Authentication:
    """Return the authentication of a scheme.

    :param token_header: a header that may carry the token of the scheme ``token``
    :param wall_clock: gives Unix seconds
    :raises ValueError: if ``scheme`` is unknown
    """
    match scheme:
        case "token":
            return TokenAuthentication(user, token, token_header)
        case "api-key":
            return ApiKeyAuthentication(user, token, wall_clock)
        case "ws3-hmac-sha256" | "cnc-hmac-sha256":
            return SignatureAuthentication(scheme.upper(), user, token, wall_clock)
    raise ValueError(f"auth must be one of {', '.join(get_args(Scheme))}, not {scheme!r}")
