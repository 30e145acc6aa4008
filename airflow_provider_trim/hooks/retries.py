# SPDX-License-Identifier: Apache-2.0
"""What the hook calls again, how often, and with what pauses."""

from __future__ import annotations

import functools
from typing import Any

from tenacity import RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_exponential, wait_random

from airflow_provider_trim.vod.errors import TrimError, VideoProcessingError

MAX_ATTEMPTS = 4
"""Calls of one method of the hook, where the earlier ones fail for a passing reason."""

MAX_DELAY = 60.0
"""Seconds between two of them. A service that wants to be left alone for longer is not asked again."""

_backoff = wait_exponential(multiplier=0.5, max=8.0) + wait_random(0.0, 0.5)


def retry_options(log: Any) -> dict[str, Any]:
    """Return what :class:`tenacity.Retrying` and :class:`tenacity.AsyncRetrying` take, apart from ``sleep``.

    :param log: the :class:`logging.Logger` that is told of each call that failed
    """
    return {
        "retry": retry_if_exception(_is_retryable),
        "stop": stop_after_attempt(MAX_ATTEMPTS),
        "wait": _delay,
        "before_sleep": functools.partial(_log_retry, log),
        "reraise": True,
    }


def _is_retryable(error: BaseException) -> bool:
    return (
        isinstance(error, TrimError)
        and error.retryable
        and not isinstance(error, VideoProcessingError)
        and (error.retry_after or 0.0) <= MAX_DELAY
    )


def _delay(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), getattr(error, "retry_after", None) or 0.0)


def _log_retry(log: Any, state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    delay = state.next_action.sleep if state.next_action else 0.0
    log.warning("%s; retrying in %.1f s (attempt %d of %d)", error, delay, state.attempt_number, MAX_ATTEMPTS)
