# SPDX-License-Identifier: Apache-2.0
"""What the hook calls again, how often, and with what pauses."""

from __future__ import annotations

import functools
from typing import Any

from tenacity import RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_exponential, wait_random

from airflow_provider_trim.vod.errors import TrimError, VideoProcessingError

ATTEMPTS = 4
"""Calls of one method of the hook, where the earlier ones fail for a passing reason."""

LONGEST_PAUSE = 60.0
"""Seconds between two of them. A service that wants to be left alone for longer is not asked again."""

_backoff = wait_exponential(multiplier=0.5, max=8.0) + wait_random(0.0, 0.5)


def retry_options(log: Any) -> dict[str, Any]:
    """Return what :class:`tenacity.Retrying` and :class:`tenacity.AsyncRetrying` take, apart from ``sleep``.

    :param log: the :class:`logging.Logger` that is told of each call that failed
    """
    return {
        "retry": retry_if_exception(_worth_another_call),
        "stop": stop_after_attempt(ATTEMPTS),
        "wait": _pause,
        "before_sleep": functools.partial(_report, log),
        "reraise": True,
    }


def _worth_another_call(error: BaseException) -> bool:
    return (
        isinstance(error, TrimError)
        and error.retryable
        and not isinstance(error, VideoProcessingError)
        and (error.retry_after or 0.0) <= LONGEST_PAUSE
    )


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_backoff(state), getattr(error, "retry_after", None) or 0.0)


def _report(log: Any, state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause = state.next_action.sleep if state.next_action else 0.0
    log.warning("%s; asking again in %.1f s (call %d of %d failed)", error, pause, state.attempt_number, ATTEMPTS)
