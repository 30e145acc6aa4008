# SPDX-License-Identifier: Apache-2.0
"""Who may call: the emulator's half of the authentication schemes.

A scheme is anything with :class:`Authentication`'s one method. It sees the whole request as received, so that a scheme
that verifies a signature, a clock or a replay needs nothing else.
"""

from __future__ import annotations

from typing import Literal, Protocol

from airflow_provider_trim.emulator.wire import ServiceRequest


class AuthenticationError(Exception):
    """The call is not let in.

    ``http_status`` and ``code`` go into the answer, ``str()`` of the exception is its message. The service documents
    neither; HTTP 401 and 403 are what its neighbours answer.
    """

    def __init__(self, message: str, *, http_status: int = 401, code: int = 401) -> None:
        super().__init__(message)
        self.http_status = http_status
        self.code = code


Scheme = Literal["token", "ws3-hmac-sha256", "cnc-hmac-sha256", "api-key"]


class Authentication(Protocol):
    """An authentication scheme.

    ``user`` and ``token`` are the two halves of the credentials, under whatever names the scheme has for them; both may
    be set at run time.
    """

    user: str
    token: str

    @property
    def reads_parameters(self) -> bool:
        """Whether the proof is among the parameters, so that a body has to be understood first."""

    def authenticate(self, request: ServiceRequest) -> str:
        """The account that makes the request, to which its calls are counted.

        :raises AuthenticationError: if the request is not let in
        """


class TokenAuthentication:
    """The verification token: parameters ``userId``, ``token`` and ``timeStamp`` [the vendor's published mobile SDKs].

    With ``token_header`` the token is looked for in that header first, then in the parameters. ``token`` may be set at
    run time: tokens rotate.
    """

    reads_parameters = True

    def __init__(self, user: str, token: str, token_header: str | None = None) -> None:
        self.user = user
        self.token = token
        self.token_header = token_header

    def authenticate(self, request: ServiceRequest) -> str:
        """The account of a request with the right ``userId`` and token.

        :raises AuthenticationError: HTTP 401 if either is missing or wrong, or ``timeStamp`` is not an integer
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
