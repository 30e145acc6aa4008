# SPDX-License-Identifier: Apache-2.0
"""Whether the service accepts a connection's credentials. Pure: time is passed in.

The trims of a connection share its credentials, so they share what is learned of them. While the credentials are
refused, one poll at a time tries them, with growing, jittered delays, whatever the number of waits: a service whose
authentication is in trouble is not helped by a stampede.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from airflow_provider_trim.vod.errors import (
    TransNoNotFoundError,
    TrimAuthError,
    TrimError,
    TrimTaskFailedError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.models import TrimTask

RETRY_DELAY, MAX_RETRY_DELAY = 1.0, 60.0
"""Seconds between refused credentials and the next poll: the first delay, and where its doubling ends."""


def retry_delay(refusals: int, interval: float, jitter: Callable[[], float]) -> float:
    """Return the seconds until credentials that were refused are tried again.

    :param refusals: in a row, at least one
    :param interval: seconds between two polls, which bound the first delay
    :param jitter: returns a random number from 0 to 1, so that processes don't retry together
    """
    delay = min(RETRY_DELAY, interval) * 2.0 ** min(refusals - 1, 16)
    return min(delay, MAX_RETRY_DELAY) * (0.5 + 0.5 * jitter())


def proves_credentials(outcome: TrimTask | TrimError) -> bool:
    """Return whether the outcome of a poll shows that the service has accepted the credentials."""
    return isinstance(outcome, TrimTask | VideoProcessingError | TrimTaskFailedError | TransNoNotFoundError)


class CredentialGate:
    """Holds the polls of a connection while its credentials are refused.

    :param jitter: returns a random number from 0 to 1
    """

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        self.accepted = False
        """Whether the service has accepted credentials of this connection."""
        self.refusals = 0
        """Refusals in a row, of which each followed a reload of the connection."""
        self._opens_at = float("-inf")
        self._refused_version = -1
        self._jitter = jitter

    def pause(self, now: float, in_flight: Iterable[int] = ()) -> float:
        """Return the seconds until the next poll can be made; infinite while another one must end first.

        :param in_flight: the versions of the connection with which polls are being made
        """
        if not self.refusals:
            return 0.0
        if any(version > self._refused_version for version in in_flight):
            return float("inf")
        return max(0.0, self._opens_at - now)

    def record(self, outcome: TrimTask | TrimError, version: int, interval: float, now: float) -> bool:
        """Record the outcome of a poll.

        :param version: of the connection with which the poll was made
        :param interval: seconds between two polls of the trim
        :returns: whether the outcome is one more refusal: of those that were in flight together, only the first is
        """
        if proves_credentials(outcome):
            self.accepted, self.refusals = True, 0
        elif isinstance(outcome, TrimAuthError) and version > self._refused_version:
            self._refused_version = version
            self.refusals += 1
            delay = max(retry_delay(self.refusals, interval, self._jitter), outcome.retry_after or 0.0)
            self._opens_at = now + delay
            return True
        return False
