# SPDX-License-Identifier: Apache-2.0
"""What the result of a call is called in metrics."""

from __future__ import annotations

from airflow_provider_trim.metrics.catalog import Outcome
from airflow_provider_trim.vod.errors import (
    TrimAuthError,
    TrimError,
    TrimQuotaExceededError,
    TrimResponseError,
    TrimTaskFailedError,
    TrimTransportError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.models import TrimStatus, TrimTask

_BY_ERROR: tuple[tuple[type[TrimError], Outcome], ...] = (
    (VideoProcessingError, Outcome.PROCESSING),
    (TrimTaskFailedError, Outcome.FAILED),
    (TrimAuthError, Outcome.UNAUTHORIZED),
    (TrimQuotaExceededError, Outcome.RATE_LIMITED),
    (TrimResponseError, Outcome.UNEXPECTED),
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
