# SPDX-License-Identifier: Apache-2.0
"""Parses a response: from HTTP to ``data`` of its envelope, or to an error."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from airflow_provider_trim.vod.advice import credentials_note
from airflow_provider_trim.vod.errors import (
    ERRORS_BY_CODE,
    TrimApiError,
    TrimAuthError,
    TrimError,
    TrimQuotaExceededError,
    TrimResponseError,
    TrimTransportError,
)
from airflow_provider_trim.vod.http import Response
from airflow_provider_trim.vod.models import Integer
from airflow_provider_trim.vod.redaction import excerpt, redact, redact_json
from airflow_provider_trim.vod.settings import TrimSettings
from airflow_provider_trim.vod.validation import first_problem

_SUCCESS = 200
_SERVER_ERRORS = range(500, 600)
"""Codes that gateways of the service give in the envelope, with HTTP status 200, as if they were HTTP statuses."""
MIN_REPORTED_SKEW = 30.0
"""Seconds. The signing schemes allow 300, ``Date`` has whole ones, and responses take time."""
MAX_VALUES = 10_000
"""Values in a response, about: commas, and beginnings of objects and arrays. A trim's has some hundreds at most.

Each value costs some microseconds of the event loop and up to a hundred times its bytes, so a mebibyte of them would
hold up all waits for a second.
"""
_UTF8_BOM = b"\xef\xbb\xbf"


def _as_text(value: object) -> str:
    """Return what should be a string; any other type must not hide the code in the same envelope."""
    return value if isinstance(value, str) else "" if value is None else repr(value)


class _Envelope(BaseModel):
    """What every response is wrapped in (`Return Result` of the vendor's documentation)."""

    model_config = ConfigDict(extra="ignore")

    code: Annotated[Integer, Field(ge=-(2**63), lt=2**63)]
    message: Annotated[str, BeforeValidator(_as_text)] = ""
    data: Any = None


class ParsedResponse:
    """One response on its way from HTTP to ``data``.

    :param settings: of the connection; no error shows its secret
    :param now: Unix seconds by this machine's clock, which is compared with the service's if authentication failed
    """

    def __init__(self, response: Response, settings: TrimSettings, now: float) -> None:
        self.http_status = response.status
        self.headers = response.headers
        self.body = response.body
        self.code: int | None = None
        self._settings = settings
        self._secret = settings.password.get_secret_value()
        self._now = now
        request_id = self.headers.get("x-ws-requestid") or self.headers.get("x-cnc-request-id")
        self.request_id = None if request_id is None else self.excerpt(request_id)

    def data(self) -> Any:
        """Return ``data`` of a success.

        :raises TrimError: the response is an error, or not of the documented shape
        """
        try:
            envelope = self._envelope()
        except TrimResponseError:
            self._raise_for_http_status("")
            raise
        self.code = envelope.code
        self._raise_for_http_status(envelope.message)
        if envelope.code != _SUCCESS:
            kind = (
                TrimTransportError
                if envelope.code in _SERVER_ERRORS
                else ERRORS_BY_CODE.get(envelope.code, TrimApiError)
            )
            note = self._credentials_note() if kind is TrimAuthError else ""
            raise self.error(kind, f"API error: {self.excerpt(envelope.message) or 'no message'}{note}")
        if self.http_status != HTTPStatus.OK:
            raise self.malformed(f"HTTP status {self.http_status} with code 200")
        return redact_json(envelope.data, self._secret)

    def _envelope(self) -> _Envelope:
        if sum(map(self.body.count, (b",", b"[", b"{"))) > MAX_VALUES:
            raise self.malformed(f"more than {MAX_VALUES:,} values")
        try:
            content = from_json(self.body.removeprefix(_UTF8_BOM), allow_inf_nan=False)
        except ValueError:
            raise self.malformed("not JSON") from None
        try:
            return _Envelope.model_validate(content)
        except ValidationError as error:
            raise self.malformed(self.location(error)) from None

    def _raise_for_http_status(self, message: str) -> None:
        status = self.http_status
        if status < HTTPStatus.BAD_REQUEST:
            return
        said = f": {self.excerpt(message)}" if message else ""
        if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.FORBIDDEN and "retry-after" in self.headers):
            raise self.error(TrimQuotaExceededError, f"rate limit exceeded{said}")
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            text = f"authentication failed{said}{self._clock_skew_note()}{self._credentials_note()}"
            raise self.error(TrimAuthError, text)
        if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            text = "the proxy responded with HTTP status 407 (check the proxy's user and password)"
            raise self.error(TrimTransportError, f"{text}{said}")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            raise self.error(TrimTransportError, f"service unavailable{said}")

    def _credentials_note(self) -> str:
        note = credentials_note(self._settings)
        return f"; {note}" if note else ""

    def _retry_after(self) -> float | None:
        """Seconds (`RFC 9110 §10.2.3 <https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3>`_), bounded.

        A date counts from the response's own ``Date``, since clocks differ.
        """
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            seconds = float(value[:9])
        else:
            try:
                until, now = parsedate_to_datetime(value), parsedate_to_datetime(self.headers["date"])
                seconds = max(0.0, (until - now).total_seconds())
            except (ValueError, TypeError, KeyError, OverflowError):
                return None
        return min(seconds, self._settings.max_retry_after)

    def error(self, kind: type[TrimError], message: str) -> TrimError:
        """Return an error with this response's context; the secret is masked in its message."""
        return kind(redact(message, self._secret), **self.context())

    def malformed(self, why: str) -> TrimError:
        """Return the error of a response that is not of the documented shape."""
        why = f"{why}{self._host_hint()}"
        quoted = self.excerpt(self.body.decode("utf-8", "replace"))
        return self.error(TrimResponseError, f"unexpected response ({why}): '{quoted}'")

    def excerpt(self, text: str) -> str:
        """Return the beginning of a text of the service as it may be shown."""
        return excerpt(text, self._secret)

    def location(self, error: ValidationError, *prefix: str) -> str:
        """Return the path of the first field that is wrong, and what is wrong with it."""
        problem = first_problem(error)
        return f"{'.'.join((*prefix, *problem.path)) or 'response'}: {self.excerpt(problem.text)}"

    def _host_hint(self) -> str:
        if HTTPStatus.MULTIPLE_CHOICES <= self.http_status < HTTPStatus.BAD_REQUEST:
            return (
                "; redirects are not followed (they would leak credentials); "
                f"is {self.excerpt(_host_of(self.headers.get('location', '')))} the right host?"
            )
        return "; check the connection's host and api_path" if self.http_status == HTTPStatus.NOT_FOUND else ""

    def _clock_skew_note(self) -> str:
        """Say by how much this machine's clock is off: the service may have refused for it."""
        try:
            date = parsedate_to_datetime(self.headers["date"])
            theirs = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, KeyError, OverflowError):
            return ""
        off = self._now - theirs
        if abs(off) < MIN_REPORTED_SKEW:
            return ""
        return f"; your clock is off by {abs(off):.0f} s ({'ahead' if off > 0 else 'behind'})"

    def context(self) -> dict[str, Any]:
        """Return the fields of every error, except its message."""
        return {
            "code": self.code,
            "request_id": self.request_id,
            "http_status": self.http_status,
            "retry_after": self._retry_after(),
        }


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).netloc or "the same"
    except ValueError:
        return "another"
