# SPDX-License-Identifier: Apache-2.0
"""A poller's dealings with the account's rate limiter, whatever that does."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable

from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.metrics import Sample
from airflow_provider_trim.polling.account_durations import AccountDurations
from airflow_provider_trim.polling.schedule import Schedule
from airflow_provider_trim.ratelimit.limiter import RateLimiter
from airflow_provider_trim.ratelimit.shared_knowledge import SharedKnowledge
from airflow_provider_trim.vod.errors import TrimTransportError

MAX_PERMIT_WAIT = 5.0
"""Seconds after which a poller that waits for a permit decides again which trim is next."""

ACQUIRE_TIMEOUT = 10.0
"""Seconds that the rate limiter may take; it gives Redis one second."""

log = contained_logger(__name__)

_models: weakref.WeakKeyDictionary[RateLimiter, AccountDurations] = weakref.WeakKeyDictionary()


def durations_of(limiter: RateLimiter) -> AccountDurations:
    """Return what this process knows of how long an account's trims take, whichever pollers learned it."""
    model = _models.get(limiter)
    if model is None:
        model = _models[limiter] = AccountDurations()
    return model


class Permits:
    """Acquires permits for one poller.

    :param schedule: gets the quota to plan with
    :param timeout: seconds that a limiter may take
    """

    def __init__(self, schedule: Schedule, *, timeout: float = ACQUIRE_TIMEOUT) -> None:
        self._schedule = schedule
        self._timeout = timeout
        self._limiter: RateLimiter | None = None
        self.exhausted = False
        """Whether there was no permit at the last attempt."""

    async def acquire(self, limiter: RateLimiter, trims: int) -> float:
        """Acquire a permit.

        :param limiter: of the account that is polled now
        :param trims: that the poller waits for
        :returns: 0.0, or the seconds until the next attempt
        :raises TrimTransportError: the limiter failed, or took too long
        """
        if limiter is not self._limiter:
            self.forget()
            self._limiter = limiter
            self._schedule.use(durations_of(limiter))
        try:
            async with asyncio.timeout(self._timeout):
                limiter.report_waiting(self, trims)
                pause = await limiter.aacquire()
            pause = max(pause, 0.0) if pause <= MAX_PERMIT_WAIT else MAX_PERMIT_WAIT  # which no NaN passes
            self.exhausted = pause > 0.0
            self._schedule.set_quota(limiter.planned_calls(self), limiter.window)
            if knowledge := limiter.knowledge:
                _share_durations(durations_of(limiter), knowledge)
        except TimeoutError:
            reason = f"the rate limiter did not respond within {self._timeout:.0f} s"
            raise TrimTransportError(reason) from None
        # Whatever its fault is, it fails this poll, and not the waits of the connection.
        except Exception as error:
            raise TrimTransportError(f"the rate limiter failed: {type(error).__name__}: {error}") from error
        return pause

    def release(self) -> None:
        """Give back the permit that was acquired last, since no call was made."""
        if self._limiter is not None:
            self._limiter.release()

    def gauges(self) -> Iterable[Sample]:
        """Return the limiter's gauges; none before the first permit."""
        limiter = self._limiter
        return () if limiter is None else limiter.gauges()

    def usage(self) -> str:
        """Return how much of the quota is used, for a log line; empty before the first permit."""
        return "" if self._limiter is None else self._limiter.usage()

    def forget(self) -> None:
        """Report to the limiter that this poller no longer waits for any trim."""
        if self._limiter is not None:
            self._limiter.forget(self)
            self._limiter = None


def _share_durations(model: AccountDurations, knowledge: SharedKnowledge) -> None:
    """Learn from other processes, or let them learn from this one."""
    text = knowledge.take()
    if text is not None and not model.load(text):
        log.warning("What other processes know of durations can't be read; this process replaces it")
        knowledge.reject()
    knowledge.exchange_soon(model.dump, round(model.all.finished))
