# SPDX-License-Identifier: Apache-2.0
"""The calls of the API that this package makes, and what their results are called in metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from airflow_provider_trim.metrics.catalog import POLL_DURATION, POLLS, SUBMISSIONS, Outcome
from airflow_provider_trim.vod.errors import (
    TrimAuthError,
    TrimError,
    TrimQuotaExceededError,
    TrimResponseError,
    TrimTaskFailedError,
    TrimTransportError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from airflow_provider_trim.vod.protocol import (
    build_query,
    build_submission,
    check_trans_no,
    parse_submission,
    parse_task,
)
from airflow_provider_trim.vod.settings import TrimSettings

T = TypeVar("T")

_BY_ERROR: tuple[tuple[type[TrimError], Outcome], ...] = (
    (VideoProcessingError, Outcome.PROCESSING),
    (TrimTaskFailedError, Outcome.FAILED),
    (TrimAuthError, Outcome.UNAUTHORIZED),
    (TrimQuotaExceededError, Outcome.RATE_LIMITED),
    (TrimResponseError, Outcome.UNEXPECTED),
)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """What a call consists of: how its request is built, and its response parsed.

    :param build: takes the connection and Unix seconds, and returns the signed request
    :param parse: takes the response, the connection and Unix seconds, and returns the result; raises a
        :class:`TrimError` where the response is one
    :param counter: the metric that counts such calls, by outcome
    :param timer: the metric of their duration, from the request to the parsed response
    """

    build: Callable[[TrimSettings, float], Request]
    parse: Callable[[Response, TrimSettings, float], T]
    counter: str
    timer: str | None = None


def query(trans_no: str) -> Call[TrimTask]:
    """Return the query of a trim's status; its result is a trim that is processing or successful.

    :raises TransNoEmptyError, TransNoIllegalError: see :func:`~airflow_provider_trim.vod.protocol.check_trans_no`
    """
    trans_no = check_trans_no(trans_no)
    return Call(
        build=lambda settings, now: build_query(settings, trans_no, now),
        parse=partial(parse_task, trans_no=trans_no),
        counter=POLLS.name,
        timer=POLL_DURATION.name,
    )


def submission(parameters: Mapping[str, Any]) -> Call[str]:
    """Return the submission of a trim; its result is ``data`` of the response.

    :param parameters: as they go over the wire
    """
    return Call(
        build=lambda settings, now: build_submission(settings, parameters, now),
        parse=parse_submission,
        counter=SUBMISSIONS.name,
    )


def outcome_of(result: object) -> Outcome:
    """Return the outcome of a call.

    :param result: what it returned, or the exception that it raised
    """
    if isinstance(result, TrimTask):
        return Outcome.DONE if result.status is TrimStatus.SUCCESSFUL else Outcome.PROCESSING
    if isinstance(result, TrimTransportError):
        return Outcome.NO_RESPONSE if result.http_status is None else Outcome.UNAVAILABLE
    for kind, outcome in _BY_ERROR:
        if isinstance(result, kind):
            return outcome
    if isinstance(result, TrimError):
        return Outcome.REJECTED
    return Outcome.UNEXPECTED if isinstance(result, Exception) else Outcome.ACCEPTED
