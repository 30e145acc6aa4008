# SPDX-License-Identifier: Apache-2.0
"""The wire format: a received request, a response, and the envelope of the service's JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeGuard
from urllib.parse import parse_qsl

JSON_HEADERS: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json;charset=UTF-8"})
"""The headers of every JSON response."""

REQUEST_ID_HEADER = "X-WS-RequestId"
"""The response header with the request id, which the vendor's support asks for."""

SUCCESS_CODE = 200
SUCCESS_MESSAGE = "操作成功"
PARAMETER_ERROR = 1000


class UnreadableBodyError(ValueError):
    """The body is neither a form nor a JSON object. The message says why."""


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """One request as received.

    ``parameters`` holds those of the body for a POST and those of the query string for a GET. Values of a form are
    strings; values of a JSON body keep their types. ``query_string`` and ``body`` are as received.
    """

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    parameters: Mapping[str, Any]

    @property
    def trans_no(self) -> str | None:
        """The ``transNo`` parameter, or None if it is missing or not a string."""
        value = self.parameters.get("transNo")
        return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Response:
    """One response, ready to send.

    ``code`` is the code in the envelope and ``trim_status`` the ``status`` in its ``data``. Each is None if the body
    has none.
    """

    http_status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_HEADERS)
    code: int | None = None
    trim_status: int | None = None


def to_json(value: object) -> bytes:
    """Return ``value`` as UTF-8 JSON; non-ASCII text is not escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def is_text(value: object) -> TypeGuard[str]:
    """Return whether ``value`` is a string that UTF-8 can encode. A JSON string may hold an unpaired surrogate."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def envelope(
    code: int,
    message: str,
    data: object = None,
    *,
    http_status: int = 200,
    headers: Mapping[str, str] = JSON_HEADERS,
    trim_status: int | None = None,
) -> Response:
    """Return a response with the body ``{"code": …, "message": …, "data": …}``.

    The service reports its own errors with HTTP status 200, hence the default.
    """
    body = to_json({"code": code, "message": message, "data": data})
    return Response(http_status, body, headers, code, trim_status)


def parse_parameters(method: str, query_string: str, content_type: str, body: bytes) -> dict[str, Any]:
    """Return the parameters of a request: those of the query string for a GET, else those of the body.

    :param content_type: the media type without its charset; the empty string means a form
    :raises UnreadableBodyError: if the body does not match ``content_type``, or is neither a form nor JSON
    """
    if method == "GET":
        return dict(parse_qsl(query_string, keep_blank_values=True))
    if content_type in ("application/x-www-form-urlencoded", ""):
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if content_type != "application/json":
        raise UnreadableBodyError(f"content type {content_type} is neither a form nor JSON")
    try:
        parameters = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableBodyError("the body is not JSON") from error
    if not isinstance(parameters, dict):
        raise UnreadableBodyError("the body is not a JSON object")
    return parameters
