# SPDX-License-Identifier: Apache-2.0
"""Which calls of the hook are retried, how often, and after what delays."""

from __future__ import annotations

import functools
from typing import Any

from tenacity import RetryCallState, retry_if_exception
from tenacity.wait import wait_exponential, wait_random

from airflow_provider_trim.vod.errors import TrimError, TrimQuotaExceededError, VideoProcessingError

MAX_ATTEMPTS = 4
"""Calls that one method of the hook makes, if the earlier ones fail for reasons that may pass."""

MAX_DELAY = 60.0
"""Seconds between two of them. If ``Retry-After`` asks for more, there is no retry."""

_backoff = wait_exponential(multiplier=0.5, max=8.0) + wait_random(0.0, 0.5)


def retry_options(log: Any, quota_timeout: float | None = None) -> dict[str, Any]:
    """Return what :class:`tenacity.Retrying` and :class:`tenacity.AsyncRetrying` take, apart from ``sleep``.

    :param log: the :class:`logging.Logger` that gets a line for each failed call
    :param quota_timeout: seconds for which HTTP 429 may hold a call up, however often; None for what holds for others
    """
    return {
        "retry": retry_if_exception(functools.partial(_is_retryable, quota_timeout)),
        "stop": functools.partial(_is_over, quota_timeout),
        "wait": _delay,
        "before_sleep": functools.partial(_log_retry, log),
        "reraise": True,
    }


def _is_retryable(quota_timeout: float | None, error: BaseException) -> bool:
    if not isinstance(error, TrimError) or not error.retryable or isinstance(error, VideoProcessingError):
        return False
    longest = max(MAX_DELAY, quota_timeout or 0.0) if _is_http_429(error) else MAX_DELAY
    return (error.retry_after or 0.0) <= longest


def _is_over(quota_timeout: float | None, state: RetryCallState) -> bool:
    error = state.outcome.exception() if state.outcome else None
    if quota_timeout is not None and _is_http_429(error):
        return state.idle_for + state.upcoming_sleep > quota_timeout
    return state.attempt_number >= MAX_ATTEMPTS


def _is_http_429(error: BaseException | None) -> bool:
    """Return whether the service has refused a call; a permit that does not come in time is waited for elsewhere."""
    return isinstance(error, TrimQuotaExceededError) and error.http_status is not None


def _delay(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), getattr(error, "retry_after", None) or 0.0)


def _log_retry(log: Any, state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    delay = state.next_action.sleep if state.next_action else 0.0
    log.warning("%s; retrying in %.1f s (attempt %d of %d)", error, delay, state.attempt_number, MAX_ATTEMPTS)
