# SPDX-License-Identifier: Apache-2.0
"""Ends the waits whose last poll is held up: by the quota, by other calls, or by the service. Pure: time is passed in.

The last poll is due at the deadline, and its response decides. If there is none some time later, the wait
ends without.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator

from airflow_provider_trim.polling.subscriptions import Subscriptions, Waiter
from airflow_provider_trim.vod.errors import TrimTransportError

EXPIRY_GRACE = 30.0
"""Seconds from a wait's deadline to its end while its last poll waits for its turn."""

MAX_EXPIRY_GRACE = 90.0
"""The same while that poll is in flight; it is not waited for any longer."""

PORTION = 250
"""Waits that end, or take note of an error, in one go of the event loop, which takes some milliseconds."""


def _expire(waiter: Waiter, in_flight: bool, quota_exhausted: bool) -> None:
    if in_flight:
        reason = f"the last poll did not end within {MAX_EXPIRY_GRACE:.0f} s"
    elif quota_exhausted:
        reason = f"the account's call quota was exhausted for {EXPIRY_GRACE:.0f} s"
    else:
        reason = f"the last poll could not be made within {EXPIRY_GRACE:.0f} s"
    last_error = waiter.state.last_error
    error = TrimTransportError(reason if last_error is None else f"{reason}; before that: {last_error}")
    waiter.decide(lambda state: state.expire(error))


class Expiry:
    """Watches the deadlines of a poller's waits.

    :param subscriptions: the waits
    :param in_flight: the trims that are being polled
    :param quota_exhausted: returns whether the account has no call left
    """

    def __init__(
        self,
        subscriptions: Subscriptions,
        in_flight: Container[str],
        quota_exhausted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._subscriptions = subscriptions
        self._in_flight = in_flight
        self._quota_exhausted = quota_exhausted
        self._next_at = math.inf

    def add(self, waiter: Waiter) -> None:
        """Take note of a wait's deadline."""
        self._next_at = min(self._next_at, max(waiter.state.last_poll_at, waiter.began_at) + EXPIRY_GRACE)

    def portions(self, now: float) -> Iterator[None]:
        """End all waits whose time is over, and yield now and then: thousands may have the same deadline."""
        if now < self._next_at:
            return
        self._next_at = math.inf
        expired = 0
        for waiter in self._subscriptions.all_pending():
            in_flight = waiter.state.trans_no in self._in_flight
            grace = MAX_EXPIRY_GRACE if in_flight else EXPIRY_GRACE
            expires_at = max(waiter.state.last_poll_at, waiter.began_at) + grace
            if expires_at <= now:
                _expire(waiter, in_flight, self._quota_exhausted())
                expired += 1
                if not expired % PORTION:
                    yield
            else:
                self._next_at = min(self._next_at, expires_at)
