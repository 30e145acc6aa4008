# SPDX-License-Identifier: Apache-2.0
"""What goes over the wire: a received request, an answer, and the envelope of the service's JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeGuard
from urllib.parse import parse_qsl

JSON_HEADERS: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json;charset=UTF-8"})
"""The headers of every answer of the service's logic."""

REQUEST_ID_HEADER = "X-WS-RequestId"
"""The response header that carries the request id for the vendor's support."""

SUCCESS_CODE = 200
SUCCESS_MESSAGE = "操作成功"
PARAMETER_ERROR = 1000


class UnreadableBody(ValueError):
    """The body is neither a form nor a JSON object; the message says why."""


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """One request as received.

    ``parameters`` comes from the body of a POST and from the query of a GET; a form's values are strings, a JSON body's
    are whatever they were. ``query_string`` and ``body`` are as on the wire.
    """

    method: str
    path: str
    query_string: str
    headers: Mapping[str, str]
    body: bytes
    parameters: Mapping[str, Any]

    @property
    def trans_no(self) -> str | None:
        """The ``transNo`` asked for, or None where there is none or it is no string."""
        value = self.parameters.get("transNo")
        return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Response:
    """One answer, ready to be sent.

    ``code`` is the envelope's code, ``trim_status`` the ``status`` in its ``data``; both are None where there is none.
    """

    http_status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=lambda: JSON_HEADERS)
    code: int | None = None
    trim_status: int | None = None


def to_json(value: object) -> bytes:
    """``value`` as UTF-8 JSON, with Chinese text as it is rather than escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def is_text(value: object) -> TypeGuard[str]:
    """Whether ``value`` is a string that UTF-8 can hold; one of JSON's may be half a surrogate pair, which it can't."""
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
    """An answer whose body is the service's ``{"code": …, "message": …, "data": …}``.

    Errors of the service's logic come with HTTP status 200, hence the default.
    """
    body = to_json({"code": code, "message": message, "data": data})
    return Response(http_status, body, headers, code, trim_status)


def parse_parameters(method: str, query_string: str, content_type: str, body: bytes) -> dict[str, Any]:
    """The parameters of a request: from the query of a GET, from the form or JSON body of anything else.

    :param content_type: the media type alone, without its charset; the empty string counts as a form
    :raises UnreadableBody: if the body is not what ``content_type`` says, or neither a form nor JSON
    """
    if method == "GET":
        return dict(parse_qsl(query_string, keep_blank_values=True))
    if content_type in ("application/x-www-form-urlencoded", ""):
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    if content_type != "application/json":
        raise UnreadableBody(f"content type {content_type} is neither a form nor JSON")
    try:
        parameters = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableBody("the body is not JSON") from error
    if not isinstance(parameters, dict):
        raise UnreadableBody("the body is not a JSON object")
    return parameters
