# SPDX-License-Identifier: Apache-2.0
"""The authentication schemes, verified on the service's side.

A scheme gets the whole request as received, so that it can verify a signature, a clock or a replay.
"""

from __future__ import annotations

from typing import Literal, Protocol

from airflow_provider_trim.emulator.wire import ServiceRequest


class AuthenticationError(Exception):
    """The credentials of a call are wrong. ``str()`` of the exception becomes the message of the response."""


Scheme = Literal["token", "ws3-hmac-sha256", "cnc-hmac-sha256", "api-key"]


class Authentication(Protocol):
    """An authentication scheme.

    ``user`` and ``token`` are the two halves of the credentials, whatever the scheme calls them. Both may be set at any
    time.
    """

    user: str
    token: str

    @property
    def reads_parameters(self) -> bool:
        """Whether the credentials are among the parameters, so that the body must be parsed first."""

    def authenticate(self, request: ServiceRequest) -> str:
        """Return the account that makes the request; the quota counts its calls.

        :raises AuthenticationError: if the credentials are wrong
        """


class TokenAuthentication:
    """The verification token: parameters ``userId``, ``token`` and ``timeStamp`` [the vendor's published mobile SDKs].

    :param user: the accepted ``userId``
    :param token: its token; may be set at any time, because tokens rotate
    :param token_header: a request header that may carry the token; it takes precedence over the parameter
    """

    reads_parameters = True

    def __init__(self, user: str, token: str, token_header: str | None = None) -> None:
        self.user = user
        self.token = token
        self.token_header = token_header

    def authenticate(self, request: ServiceRequest) -> str:
        """Return the account of a request with the right ``userId`` and token.

        :raises AuthenticationError: if either is missing or wrong, or ``timeStamp`` is not an integer
        """
        parameters = request.parameters
        token = request.headers.get(self.token_header) if self.token_header else None
        if token is None:
            token = parameters.get("token")
        if parameters.get("userId") != self.user or token != self.token:
            raise AuthenticationError("userId or token is wrong")
        time_stamp = str(parameters.get("timeStamp"))
        if not (time_stamp.isascii() and time_stamp.isdigit()):
            raise AuthenticationError("timeStamp is not an integer")
        return self.user
