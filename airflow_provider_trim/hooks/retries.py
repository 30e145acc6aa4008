# SPDX-License-Identifier: Apache-2.0
"""Which calls of the hook are retried, how often, and after what delays."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

from tenacity import RetryCallState, retry_if_exception
from tenacity.wait import wait_exponential, wait_random

from airflow_provider_trim.vod.errors import TrimError, TrimQuotaExceededError, VideoProcessingError

MAX_ATTEMPTS = 4
"""Calls that one method of the hook makes, if the earlier ones fail for reasons that may pass.

A call that the account's quota refuses says nothing about the others, so refusals are counted for themselves.
"""

MAX_DELAY = 60.0
"""Seconds between two of them. If ``Retry-After`` asks for more, there is no retry."""

_backoff = wait_exponential(multiplier=0.5, max=8.0) + wait_random(0.0, 0.5)


def retry_options(log: Any, quota_timeout: float | None = None) -> dict[str, Any]:
    """Return what one :class:`tenacity.Retrying` or :class:`tenacity.AsyncRetrying` takes, apart from ``sleep``.

    :param log: the :class:`logging.Logger` that gets a line for each failed call
    :param quota_timeout: seconds for which HTTP 429 may hold a call up, however often; None for what holds for others
    """
    failures = _Failures(log, quota_timeout)
    return {
        "retry": retry_if_exception(failures.add),
        "stop": failures.are_too_many,
        "wait": failures.delay,
        "before_sleep": failures.before_sleep,
        "reraise": True,
    }


def _kind_of(error: BaseException | None) -> str:
    if not isinstance(error, TrimQuotaExceededError):
        return "failure"
    # A permit that does not come in time is waited for elsewhere.
    return "no permit" if error.http_status is None else "HTTP 429"


class _Failures:
    """The failed calls of one method of the hook."""

    def __init__(self, log: Any, quota_timeout: float | None) -> None:
        self._log = log
        self._quota_timeout = quota_timeout
        self._counts: Counter[str] = Counter()
        self._refused_for = 0.0
        """Seconds for which HTTP 429 has held the call up."""

    def add(self, error: BaseException) -> bool:
        """Count a failed call, and return whether another one may help."""
        if not isinstance(error, TrimError) or not error.retryable or isinstance(error, VideoProcessingError):
            return False
        kind = _kind_of(error)
        self._counts[kind] += 1
        longest = max(MAX_DELAY, self._quota_timeout or 0.0) if kind == "HTTP 429" else MAX_DELAY
        return (error.retry_after or 0.0) <= longest

    def are_too_many(self, state: RetryCallState) -> bool:
        kind = _kind_of(_error_of(state))
        if self._has_time_limit(kind):
            return self._refused_for + state.upcoming_sleep > (self._quota_timeout or 0.0)
        return self._counts[kind] >= MAX_ATTEMPTS

    def delay(self, state: RetryCallState) -> float:
        error = _error_of(state)
        of_kind = copy.copy(state)
        of_kind.attempt_number = self._counts[_kind_of(error)]
        return max(_backoff(of_kind), getattr(error, "retry_after", None) or 0.0)

    def before_sleep(self, state: RetryCallState) -> None:
        error = _error_of(state)
        kind = _kind_of(error)
        delay = state.next_action.sleep if state.next_action else 0.0
        if kind == "HTTP 429":
            self._refused_for += delay
        limit = f"{self._quota_timeout:g} s" if self._has_time_limit(kind) else str(MAX_ATTEMPTS)
        self._log.warning("%s; retrying in %.1f s (attempt %d of %s)", error, delay, self._counts[kind], limit)

    def _has_time_limit(self, kind: str) -> bool:
        return kind == "HTTP 429" and self._quota_timeout is not None


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
