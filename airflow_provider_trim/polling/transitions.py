# SPDX-License-Identifier: Apache-2.0
"""The states of a wait, the events that happen to it, and which state follows which: nothing else decides that."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from airflow_provider_trim.vod.errors import TrimAuthError, TrimError, TrimQuotaExceededError, VideoProcessingError
from airflow_provider_trim.vod.models import TrimStatus, TrimTask


class State(Enum):
    """Where a wait stands."""

    POLLING = "polling"
    """The last poll showed a trim that is processing, or none was made yet."""
    RETRYING = "retrying"
    """The last poll failed for a reason that may pass."""
    RATE_LIMITED = "rate limited"
    """The account has no call left for now."""
    REAUTHENTICATING = "reauthenticating"
    """The credentials were refused; the connection is reloaded."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed out"


class Event(Enum):
    """What happens to a wait."""

    PROCESSING = "status 1, or code 1560"
    SUCCESSFUL = "status 2"
    PERMANENT_ERROR = "status 3, an unknown status or code, 1601 to 1603"
    AUTH_ERROR = "HTTP 401, 403 without Retry-After, or code 1301"
    RATE_LIMIT = "HTTP 429, 403 with Retry-After, or no permit"
    TRANSIENT_ERROR = "no response, HTTP 5xx, not the documented shape"
    GIVE_UP = "as many failures in a row as are allowed"
    DEADLINE = "the deadline has passed"


_FROM_OPEN = MappingProxyType(
    {
        Event.PROCESSING: State.POLLING,
        Event.TRANSIENT_ERROR: State.RETRYING,
        Event.RATE_LIMIT: State.RATE_LIMITED,
        Event.AUTH_ERROR: State.REAUTHENTICATING,
        Event.SUCCESSFUL: State.SUCCEEDED,
        Event.PERMANENT_ERROR: State.FAILED,
        Event.GIVE_UP: State.FAILED,
        Event.DEADLINE: State.TIMED_OUT,
    }
)
_FROM_FINAL: Mapping[Event, State] = MappingProxyType({})

TRANSITIONS: Mapping[State, Mapping[Event, State]] = MappingProxyType(
    {
        State.POLLING: _FROM_OPEN,
        State.RETRYING: _FROM_OPEN,
        State.RATE_LIMITED: _FROM_OPEN,
        State.REAUTHENTICATING: _FROM_OPEN,
        State.SUCCEEDED: _FROM_FINAL,
        State.FAILED: _FROM_FINAL,
        State.TIMED_OUT: _FROM_FINAL,
    }
)
"""The state that follows each event; a verdict is final, so nothing follows it."""


def event_of(outcome: TrimTask | TrimError) -> Event:
    """Return which event the outcome of a poll is."""
    if isinstance(outcome, TrimTask):
        known = {TrimStatus.SUCCESSFUL: Event.SUCCESSFUL, TrimStatus.PROCESSING: Event.PROCESSING}
        return known.get(outcome.status, Event.PERMANENT_ERROR)
    if isinstance(outcome, VideoProcessingError):
        return Event.PROCESSING
    if isinstance(outcome, TrimAuthError):
        return Event.AUTH_ERROR
    if isinstance(outcome, TrimQuotaExceededError):
        return Event.RATE_LIMIT
    return Event.TRANSIENT_ERROR if outcome.retryable else Event.PERMANENT_ERROR
