# SPDX-License-Identifier: Apache-2.0
"""The trimming interface in two steps: build a request, decipher its answer.

Source: the interface page "Get Trimming Task Status". Errors of the service's logic come with HTTP status 200 and
another ``code``, so neither status nor code is enough alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
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
from airflow_provider_trim.vod.settings import TrimSettings

TRANS_NO_MAX_LENGTH = 32
"""Characters; interface page, request parameter ``transNo``."""

_QUOTED = 200
_SUCCESS = 200
_UTF8_BOM = b"\xef\xbb\xbf"
_PARAMETER_CODES = (1000, 24112000)
"""The vendor's common codes for a parameter error; they don't say which."""
_JSON_SCHEMES = ("cnc-hmac-sha256", "api-key")


class _Envelope(BaseModel):
    """What every answer is wrapped in."""

    model_config = ConfigDict(extra="ignore")

    code: Integer
    message: Annotated[str, BeforeValidator(lambda value: "" if value is None else value)] = ""
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


def decipher_submission(http_status: int, headers: Mapping[str, str], body: bytes) -> str:
    """Read the answer to a submission.

    :returns: ``data``, the service's own word for what it has accepted
    :raises TrimParameterError: the service refuses a parameter
    :raises TrimError: anything else, as for :func:`decipher`
    """
    answer = _Answer(http_status, {name.lower(): value for name, value in headers.items()}, body)
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
        request = Request("GET", f"{url}?{urlencode(parameters, quote_via=quote)}", headers)
    else:
        text = json.dumps(parameters, ensure_ascii=False) if as_json else urlencode(parameters)
        request = Request("POST", url, headers, text.encode())
    return sign(request, settings, now)


def decipher(http_status: int, headers: Mapping[str, str], body: bytes, *, trans_no: str | None = None) -> TrimTask:
    """Read the answer to a query.

    :param http_status: of the answer
    :param headers: of the answer, in any case
    :param body: of the answer, decompressed
    :param trans_no: what was asked for; an answer for another one is refused
    :returns: a trim whose status is processing or successful
    :raises TrimTaskFailedError: status 3
    :raises TrimApiError: a status or code that the interface page does not list
    :raises TrimResponseError: the answer is not of the documented shape
    :raises TrimError: the answer's code or HTTP status, as in :mod:`airflow_provider_trim.vod.errors`
    """
    answer = _Answer(http_status, {name.lower(): value for name, value in headers.items()}, body)
    data = answer.data()
    if not isinstance(data, dict):
        raise answer.malformed("data should be an object")
    try:
        task = TrimTask.model_validate(data).model_copy(update={"request_id": answer.request_id})
    except ValidationError as error:
        raise answer.malformed(_where(error, "data")) from None
    if trans_no is not None and task.trans_no not in ("", trans_no):
        raise answer.malformed("it is about another transNo")
    if task.status is TrimStatus.SUCCESSFUL:
        if task.video_info is None:
            raise answer.malformed("status 2 (successful) without videoInfo")
        return task
    if task.status is TrimStatus.PROCESSING:
        return task
    label = f"trim {trans_no or _shorten(task.trans_no)} (taskId {_shorten(task.task_id)})"
    if task.status is TrimStatus.FAILED:
        raise answer.error(
            TrimTaskFailedError, f"{label} has failed at the service: status 3. Submit it again under a new transNo"
        )
    raise answer.error(TrimApiError, f"{label} has status {int(task.status)}, which the interface page does not list")


class _Answer:
    """One answer on its way from HTTP to ``data``."""

    def __init__(self, http_status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.http_status = http_status
        self.headers = headers
        self.body = body
        self.code: int | None = None
        self.request_id = headers.get("x-ws-requestid") or headers.get("x-cnc-request-id")

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
            raise self.error(kind, f"the service says: {_shorten(envelope.message) or 'nothing'}")
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
            raise self.malformed(_where(error)) from None

    def _raise_for_http_status(self, message: str) -> None:
        status = self.http_status
        said = f": {_shorten(message)}" if message else ""
        if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.FORBIDDEN and "retry-after" in self.headers):
            raise self.error(TrimQuotaExceededError, f"the account has called too often{said}")
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise self.error(TrimAuthError, f"the service refused the connection's credentials{said}")
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
        return kind(message, **self.facts())

    def malformed(self, why: str) -> TrimResponseError:
        quoted = self.body[: 4 * _QUOTED].decode("utf-8", "replace")[:_QUOTED]
        return TrimResponseError(f"the answer is not of the documented shape ({why}): {quoted!r}", **self.facts())

    def facts(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "request_id": self.request_id,
            "http_status": self.http_status,
            "retry_after": self._retry_after(),
        }


def _shorten(text: str) -> str:
    return text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"


def _where(error: ValidationError, *prefix: str) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    path = ".".join((*prefix, *(str(part) for part in first["loc"])))
    return f"{path or 'answer'}: {_shorten(first['msg'].removeprefix('Value error, '))}"
