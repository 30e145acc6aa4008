# SPDX-License-Identifier: Apache-2.0
"""The options of one wait, as they travel from an operator to its trigger and to the poll state."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitOptions:
    """How to wait for a trim. All of the waits of one task have the same options.

    :param interval: minimum time between two polls, in seconds; the account's quota, not the interval, protects the
        service
    :param deadline: Unix seconds of the last poll, or None to wait without limit
    :param first_poll_after: seconds from ``started_at`` before which the trim can't be finished, or None to poll
        at once
    :param started_at: Unix seconds when the wait began, if that was earlier (in another process, say)
    :param max_consecutive_failures: polls in a row that may fail; None for any number
    :param exponential_backoff: double the interval with every poll
    :param max_interval: seconds at which the doubling ends, or None
    :param expects_callback: whether the service was asked to call when the trim is finished
    """

    interval: float = 10.0
    deadline: float | None = None
    first_poll_after: float | None = None
    started_at: float | None = None
    max_consecutive_failures: int | None = 10
    exponential_backoff: bool = False
    max_interval: float | None = None
    expects_callback: bool = False


DEFAULT_OPTIONS = WaitOptions()
