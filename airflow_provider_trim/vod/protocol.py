# SPDX-License-Identifier: Apache-2.0
"""The API in two steps: build a request, parse its response.

Sources: the vendor's pages `Get Trimming Task Status
<https://documents.cdnetworks.com/document/cloud-vod/20391-get-trimming-task-status>`_ and `Video Trimming
<https://documents.cdnetworks.com/document/cloud-vod/20390-video-trimming>`_. Errors of the service's logic have HTTP
status 200 and a ``code`` other than 200, so neither status nor code is enough alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import ValidationError

from airflow_provider_trim import __version__
from airflow_provider_trim.vod.auth import sign
from airflow_provider_trim.vod.errors import (
    PARAMETERS_BY_CODE,
    TransNoEmptyError,
    TransNoIllegalError,
    TrimApiError,
    TrimParameterError,
    TrimTaskFailedError,
)
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from airflow_provider_trim.vod.redaction import truncate
from airflow_provider_trim.vod.response import ParsedResponse
from airflow_provider_trim.vod.settings import TrimSettings
from airflow_provider_trim.vod.storable import reserved_names, unstorable, unstorable_character

TRANS_NO_MAX_LENGTH = 32
"""Characters; the vendor's limit of the request parameter ``transNo``."""

_PARAMETER_CODES = (1000, 24112000)
"""The vendor's common codes for a parameter error; they don't say which."""

JSON_SCHEMES = ("cnc-hmac-sha256", "api-key")
"""Those of the vendor's newer hosts, which take parameters as JSON."""


def check_trans_no(trans_no: object, name: str = "trans_no") -> str:
    """Return a transNo that the service may know, without blanks around it; each one passes here before any call.

    :param name: what messages call it
    :raises TransNoEmptyError: it is empty or None
    :raises TransNoIllegalError: it is no string, or longer than 32 characters
    """
    if isinstance(trans_no, str):
        trans_no = trans_no.strip()  # what templates and shells leave
    if trans_no is None or trans_no == "":
        raise TransNoEmptyError(f"{name} is empty; it must be the transNo under which the trim was submitted")
    if not isinstance(trans_no, str):
        raise TransNoIllegalError(f"{name} must be a string, not {type(trans_no).__name__}")
    fault = ""
    if len(trans_no) > TRANS_NO_MAX_LENGTH:
        fault = f"has {len(trans_no)} characters; at most {TRANS_NO_MAX_LENGTH} are allowed"
    elif what := unstorable_character(trans_no):
        fault = f"must not contain {what}, which Airflow can't store"
    if fault:
        raise TransNoIllegalError(f"{name} {fault}: '{truncate(trans_no, 80)}'")
    return trans_no


def build_query(settings: TrimSettings, trans_no: str, now: float) -> Request:
    """Build and sign a query for a trim's status (``videoClipQuery``).

    :param now: Unix seconds, for the signature
    :raises TransNoEmptyError, TransNoIllegalError: see :func:`check_trans_no`
    """
    return _build(settings, "videoClipQuery", {"transNo": check_trans_no(trans_no)}, now)


def build_submission(settings: TrimSettings, parameters: Mapping[str, Any], now: float) -> Request:
    """Build and sign a submission of a trim (``videoClip``).

    :param parameters: as they go over the wire; see :class:`airflow_provider_trim.vod.submission.TrimSubmission`
    :param now: Unix seconds, for the signature
    """
    return _build(settings.model_copy(update={"method": "POST"}), "videoClip", parameters, now)


def parse_submission(response: Response, settings: TrimSettings, now: float) -> str:
    """Parse the response to a submission.

    :param settings: of the connection
    :param now: Unix seconds, by which a clock that is off is found
    :returns: ``data``, which the vendor does not document
    :raises TrimParameterError: the service refused a parameter
    :raises TrimError: anything else, as for :func:`parse_task`
    """
    parsed = ParsedResponse(response, settings, now)
    try:
        data = parsed.data()
    except TrimApiError as error:
        if error.code is None or error.code not in (*PARAMETERS_BY_CODE, *_PARAMETER_CODES):
            raise
        parameter = PARAMETERS_BY_CODE.get(error.code)
        text = f"{parameter or 'a parameter'} was refused: {error.message}"
        raise TrimParameterError(text, parameter=parameter, **parsed.context()) from None
    if data is not None and not isinstance(data, str | int):
        raise parsed.malformed("data must be a string")
    return "" if data is None else str(data)


def _build(settings: TrimSettings, action: str, parameters: Mapping[str, Any], now: float) -> Request:
    url = f"{settings.base_url}{settings.api_path}/{action}"
    as_json = settings.auth in JSON_SCHEMES
    parameters = {**dict(settings.parameters), **parameters}
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


def parse_task(response: Response, settings: TrimSettings, now: float, *, trans_no: str | None = None) -> TrimTask:
    """Parse the response to a query.

    :param settings: of the connection
    :param now: Unix seconds, by which a clock that is off is found
    :param trans_no: of the query; a response about another one is an error
    :returns: a trim whose status is processing or successful
    :raises TrimTaskFailedError: status 3
    :raises TrimApiError: a status or code that is not documented
    :raises TrimResponseError: the response is not of the documented shape
    :raises TrimError: for the response's code or HTTP status, as in :mod:`airflow_provider_trim.vod.errors`
    """
    parsed = ParsedResponse(response, settings, now)
    data = parsed.data()
    if not isinstance(data, dict):
        raise parsed.malformed("data must be an object")
    try:
        task = TrimTask.model_validate(data).model_copy(update={"request_id": parsed.request_id})
    except ValidationError as error:
        raise parsed.malformed(parsed.location(error, "data")) from None
    if trans_no is not None and task.trans_no not in ("", trans_no):
        raise parsed.malformed("response is for another transNo")
    if task.status is TrimStatus.SUCCESSFUL:
        if task.video_info is None:
            raise parsed.malformed("status 2 (successful) without videoInfo")
        # Only videoInfo is pushed as an XCom; all of it travels as a text before.
        if why := unstorable(data, "data") or reserved_names(task.video_info.raw, "data.videoInfo"):
            raise parsed.malformed(f"{parsed.excerpt(why)}, which Airflow can't store")
        return task
    if task.status is TrimStatus.PROCESSING:
        return task
    label = f"trim {parsed.excerpt(trans_no or task.trans_no)} (taskId {parsed.excerpt(task.task_id)})"
    if task.status is TrimStatus.FAILED:
        raise parsed.error(TrimTaskFailedError, f"{label} failed: status 3. Submit it again under a new transNo")
    raise parsed.error(TrimApiError, f"{label}: unknown status {int(task.status)}")
