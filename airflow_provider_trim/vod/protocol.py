# SPDX-License-Identifier: Apache-2.0
"""The trimming interface in two steps: build a request, decipher its answer.

Source: the vendor's page "Get Trimming Task Status" (Cloud VoD API). Errors of the service's logic come with HTTP
status 200 and another ``code``, so neither status nor code is enough alone.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from airflow_provider_trim import __version__
from airflow_provider_trim.vod.auth import sign
from airflow_provider_trim.vod.errors import (
    ERRORS_BY_CODE,
    PARAMETERS_BY_CODE,
    TransNoEmptyError,
    TransNoIllegalError,
    TrimApiError,
    TrimAuthError,
    TrimError,
    TrimParameterError,
    TrimQuotaExceededError,
    TrimResponseError,
    TrimTaskFailedError,
    TrimTransportError,
)
from airflow_provider_trim.vod.messages import Request
from airflow_provider_trim.vod.models import Integer, TrimStatus, TrimTask
from airflow_provider_trim.vod.quoting import quote, redact
from airflow_provider_trim.vod.settings import TrimSettings

TRANS_NO_MAX_LENGTH = 32
"""Characters; the vendor's limit of the request parameter ``transNo``."""

_SUCCESS = 200
_NOTED_CLOCK_ERROR = 30.0
"""Seconds. The signing schemes allow 300, ``Date`` has whole ones, and answers travel."""
_UTF8_BOM = b"\xef\xbb\xbf"
_PARAMETER_CODES = (1000, 24112000)
"""The vendor's common codes for a parameter error; they don't say which."""
_JSON_SCHEMES = ("cnc-hmac-sha256", "api-key")


def _as_text(value: object) -> str:
    """Return what should be a string; whatever it is instead must not keep a reader from the code beside it."""
    return value if isinstance(value, str) else "" if value is None else repr(value)


class _Envelope(BaseModel):
    """What every answer is wrapped in."""

    model_config = ConfigDict(extra="ignore")

    code: Annotated[Integer, Field(ge=-(2**63), lt=2**63)]
    message: Annotated[str, BeforeValidator(_as_text)] = ""
    data: Any = None


def check_trans_no(trans_no: object) -> str:
    """Return a transNo that the service can know; every caller comes through here before any call.

    :raises TransNoEmptyError: it is empty or None
    :raises TransNoIllegalError: it is no string, or longer than 32 characters
    """
    if trans_no is None or trans_no == "":
        raise TransNoEmptyError("trans_no is empty; it should be the transNo with which the trim was submitted")
    if not isinstance(trans_no, str):
        raise TransNoIllegalError(f"trans_no should be a string, not {type(trans_no).__name__}")
    if len(trans_no) > TRANS_NO_MAX_LENGTH:
        raise TransNoIllegalError(f"trans_no has {len(trans_no)} characters; at most {TRANS_NO_MAX_LENGTH} are allowed")
    if any("\ud800" <= character <= "\udfff" for character in trans_no):
        raise TransNoIllegalError("trans_no holds half a character (a lone surrogate), which can't be sent")
    return trans_no


def build_query(settings: TrimSettings, trans_no: str, now: float) -> Request:
    """Build the request "Get Trimming Task Status" for one trim.

    :param now: Unix seconds, for the proof of identity
    :raises TransNoEmptyError, TransNoIllegalError: see :func:`check_trans_no`
    """
    return _build(settings, "videoClipQuery", {"transNo": check_trans_no(trans_no)}, now)


def build_submission(settings: TrimSettings, parameters: Mapping[str, Any], now: float) -> Request:
    """Build the request "videoClip", which starts a trim.

    :param parameters: as they go over the wire; see :class:`airflow_provider_trim.vod.submission.TrimSubmission`
    :param now: Unix seconds, for the proof of identity
    """
    return _build(settings.model_copy(update={"method": "POST"}), "videoClip", parameters, now)


def decipher_submission(
    http_status: int, headers: Mapping[str, str], body: bytes, *, secret: str = "", now: float | None = None
) -> str:
    """Read the answer to a submission.

    :param secret: not to be quoted, whatever the answer says
    :param now: Unix seconds, by this machine's clock
    :returns: ``data``, the service's own word for what it has accepted
    :raises TrimParameterError: the service refuses a parameter
    :raises TrimError: anything else, as for :func:`decipher`
    """
    answer = _Answer(http_status, headers, body, secret, now)
    try:
        data = answer.data()
    except TrimApiError as error:
        if error.code is None or error.code not in (*PARAMETERS_BY_CODE, *_PARAMETER_CODES):
            raise
        parameter = PARAMETERS_BY_CODE.get(error.code)
        text = f"{parameter or 'a parameter'} was refused: {error.message}"
        raise TrimParameterError(text, parameter=parameter, **answer.facts()) from None
    if data is not None and not isinstance(data, str | int):
        raise answer.malformed("data should be a string")
    return "" if data is None else str(data)


def _build(settings: TrimSettings, action: str, parameters: Mapping[str, Any], now: float) -> Request:
    url = f"{settings.base_url}{settings.api_path}/{action}"
    as_json = settings.auth in _JSON_SCHEMES
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "Content-Type": "application/json" if as_json else "application/x-www-form-urlencoded; charset=utf-8",
        "User-Agent": f"airflow-provider-trim/{__version__}",
    }
    if settings.method == "GET":
        request = Request("GET", f"{url}?{urlencode(parameters, quote_via=urllib.parse.quote)}", headers)
    else:
        text = json.dumps(parameters, ensure_ascii=False) if as_json else urlencode(parameters)
        request = Request("POST", url, headers, text.encode())
    return sign(request, settings, now)


def decipher(
    http_status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    trans_no: str | None = None,
    secret: str = "",
    now: float | None = None,
) -> TrimTask:
    """Read the answer to a query.

    :param http_status: of the answer
    :param headers: of the answer, in any case
    :param body: of the answer, decompressed
    :param trans_no: what was asked for; an answer for another one is refused
    :param secret: not to be quoted, whatever the answer says
    :param now: Unix seconds by this machine's clock, which is compared with the service's where it refuses
    :returns: a trim whose status is processing or successful
    :raises TrimTaskFailedError: status 3
    :raises TrimApiError: a status or code that is not documented
    :raises TrimResponseError: the answer is not of the documented shape
    :raises TrimError: the answer's code or HTTP status, as in :mod:`airflow_provider_trim.vod.errors`
    """
    answer = _Answer(http_status, headers, body, secret, now)
    data = answer.data()
    if not isinstance(data, dict):
        raise answer.malformed("data should be an object")
    try:
        task = TrimTask.model_validate(data).model_copy(update={"request_id": answer.request_id})
    except ValidationError as error:
        raise answer.malformed(answer.where(error, "data")) from None
    if trans_no is not None and task.trans_no not in ("", trans_no):
        raise answer.malformed("it is about another transNo")
    if task.status is TrimStatus.SUCCESSFUL:
        if task.video_info is None:
            raise answer.malformed("status 2 (successful) without videoInfo")
        return task
    if task.status is TrimStatus.PROCESSING:
        return task
    label = f"trim {answer.quote(trans_no or task.trans_no)} (taskId {answer.quote(task.task_id)})"
    if task.status is TrimStatus.FAILED:
        raise answer.error(
            TrimTaskFailedError, f"{label} has failed at the service: status 3. Submit it again under a new transNo"
        )
    raise answer.error(TrimApiError, f"{label} has status {int(task.status)}, which the interface page does not list")


class _Answer:
    """One answer on its way from HTTP to ``data``."""

    def __init__(
        self, http_status: int, headers: Mapping[str, str], body: bytes, secret: str, now: float | None
    ) -> None:
        self.http_status = http_status
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.body = body
        self.code: int | None = None
        self._secret = secret
        self._now = now
        request_id = self.headers.get("x-ws-requestid") or self.headers.get("x-cnc-request-id")
        self.request_id = None if request_id is None else self.quote(request_id)

    def data(self) -> Any:
        """Return ``data`` of a success, or raise what the answer says."""
        try:
            envelope = self._envelope()
        except TrimResponseError:
            self._raise_for_http_status("")
            raise
        self.code = envelope.code
        self._raise_for_http_status(envelope.message)
        if envelope.code != _SUCCESS:
            kind = ERRORS_BY_CODE.get(envelope.code, TrimApiError)
            raise self.error(kind, f"the service says: {self.quote(envelope.message) or 'nothing'}")
        if self.http_status != HTTPStatus.OK:
            raise self.malformed(f"HTTP status {self.http_status} beside code 200")
        return envelope.data

    def _envelope(self) -> _Envelope:
        try:
            content = from_json(self.body.removeprefix(_UTF8_BOM), allow_inf_nan=False)
        except ValueError:
            raise self.malformed("not JSON") from None
        try:
            return _Envelope.model_validate(content)
        except ValidationError as error:
            raise self.malformed(self.where(error)) from None

    def _raise_for_http_status(self, message: str) -> None:
        status = self.http_status
        said = f": {self.quote(message)}" if message else ""
        if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.FORBIDDEN and "retry-after" in self.headers):
            raise self.error(TrimQuotaExceededError, f"the account has called too often{said}")
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            text = f"the service refused the connection's credentials{said}{self._clock_note()}"
            raise self.error(TrimAuthError, text)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
            raise self.error(TrimTransportError, f"the service is in trouble{said}")

    def _retry_after(self) -> float | None:
        """Seconds (RFC 9110 §10.2.3); a date counts from the answer's own ``Date``, since clocks differ."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return float(value[:9])
        try:
            until, now = parsedate_to_datetime(value), parsedate_to_datetime(self.headers["date"])
            return max(0.0, (until - now).total_seconds())
        except (ValueError, TypeError, KeyError, OverflowError):
            return None

    def error(self, kind: type[TrimError], message: str) -> TrimError:
        return kind(redact(message, self._secret), **self.facts())

    def malformed(self, why: str) -> TrimError:
        why = f"{why}{self._address_hint()}"
        quoted = self.quote(self.body.decode("utf-8", "replace"))
        return self.error(TrimResponseError, f"the answer is not of the documented shape ({why}): '{quoted}'")

    def quote(self, text: str) -> str:
        return quote(text, self._secret)

    def where(self, error: ValidationError, *prefix: str) -> str:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join((*prefix, *(str(part) for part in first["loc"])))
        return f"{path or 'answer'}: {self.quote(first['msg'].removeprefix('Value error, '))}"

    def _address_hint(self) -> str:
        if HTTPStatus.MULTIPLE_CHOICES <= self.http_status < HTTPStatus.BAD_REQUEST:
            return (
                "; redirects are not followed, since the credentials would travel along: "
                f"is {self.quote(_host_of(self.headers.get('location', '')))} the connection's right host?"
            )
        return "; are the connection's host and api_path right?" if self.http_status == HTTPStatus.NOT_FOUND else ""

    def _clock_note(self) -> str:
        """Say by how much this machine's clock is off: the service may have refused for it."""
        try:
            date = parsedate_to_datetime(self.headers["date"])
            theirs = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, KeyError, OverflowError):
            return ""
        off = 0.0 if self._now is None else self._now - theirs
        if abs(off) < _NOTED_CLOCK_ERROR:
            return ""
        return f"; your clock is off by {abs(off):.0f} s ({'ahead' if off > 0 else 'behind'})"

    def facts(self) -> dict[str, Any]:
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
