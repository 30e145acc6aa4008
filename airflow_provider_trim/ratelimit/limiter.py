# SPDX-License-Identifier: Apache-2.0
"""The account's quota: every call of this package asks here first, whichever task, connection or process makes it.

A moving window of the library ``limits`` counts the calls of an account (host and login) where the connection's
``quota_storage`` says: in this process, or in Redis for all processes and hosts. The window is a little longer than the
service's own, since a call arrives some time after it was granted.

Where Redis is away, each process goes on with a tenth of the quota, evenly spread, since what all of them have called
before still counts at the service, and tries Redis again every few seconds. What this process has called itself is
counted here as well, and entered in Redis when that is back: it may have lost its data, and knows nothing of the calls
made meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.errors import ConfigurationError, StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from airflow_provider_trim.ratelimit.fair_share import FairShare
from airflow_provider_trim.vod.errors import TrimError, TrimQuotaExceededError, TrimSettingsError
from airflow_provider_trim.vod.settings import TrimSettings

MARGIN = 0.5
"""Seconds by which the window is longer than the service's, and a two-hundredth of the window beside."""

LOCAL_SHARE = 0.1
"""Part of the quota that each process takes while the shared storage is away."""

STORAGE_PAUSE = 5.0
"""Seconds until a storage that was away is tried again."""

SHORTEST_PAUSE = 0.01
"""Seconds."""

STORAGE_TIMEOUT = 1.0
"""Seconds to wait for the storage, so that a call is never held up by it for long."""

FIRST_BACKOFF = 1.0
"""Seconds without calls after the service's first refusal; then twice as many with each in a row."""

log = logging.getLogger(__name__)


class RateLimiter:
    """The calls that one account may make. Safe to use from several threads.

    :param settings: of a connection to the account
    :param clock: Unix seconds; the windows themselves run on the system's clock
    """

    def __init__(self, settings: TrimSettings, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._account = settings.account
        self._lock = threading.Lock()
        self._closing = threading.Lock()
        self._refusals = 0
        self._closed_until = 0.0
        self._storage_away_until: float | None = None
        self.calls: int | None = None
        self.window: float = 0.0
        """Calls that are allowed in so many seconds; None calls where the quota is off."""
        self._shared: MovingWindowRateLimiter | None = None
        if settings.quota is not None:
            self.calls = settings.quota.amount
            self.window = float(settings.quota.get_expiry())
            self._item = _with_margin(self.calls, self.window)
            self._own = MovingWindowRateLimiter(MemoryStorage())
            self._local_share = max(1, math.floor(self.calls * LOCAL_SHARE))
            self._next_local = float("-inf")
            self._unknown_calls = 0
            """Made while the storage was away, and not entered there yet."""
            self._shared = _shared_limiter(settings.quota_storage.get_secret_value())
        self.waiting: dict[object, int] = {}
        """For how many trims each of this process's pollers waits."""
        self._shares: FairShare | None = None
        if self._shared is not None:
            storage: Any = self._shared.storage
            self._shares = FairShare(storage.storage, self._account)

    def acquire(self) -> float:
        """Take one call, if there is one to take.

        :returns: 0 if the caller may call now; otherwise the seconds after which to ask again
        """
        closed = self._closed_until - self._clock()
        if closed > 0.0:
            return closed
        if self.calls is None:
            return 0.0
        with self._lock:
            if not self._own.test(self._item, self._account):
                return self._pause(self._own, self._item)
            pause = self._acquire_shared()
            # The two methods of the library differ at the very moment at which a call leaves the window.
            if pause == 0.0 and not self._own.hit(self._item, self._account):
                return SHORTEST_PAUSE
            return pause

    async def aacquire(self) -> float:
        """Take one call without blocking the event loop; otherwise as :meth:`acquire`."""
        return await asyncio.to_thread(self.acquire) if self._shared is not None else self.acquire()

    @property
    def fair_share(self) -> int | None:
        """How many of :attr:`calls` the waits of this process may count on, beside those of other processes."""
        if self.calls is None or self._shares is None:
            return self.calls
        return max(1, round(self.calls * self._shares.share))

    def usage(self) -> str:
        """Say how much of the quota is used, for a reader of the log."""
        if self.calls is None:
            return "no quota"
        return f"{self._used()} of {self.calls} calls used{'' if self._shared is None else ' by this process'}"

    def refused(self, retry_after: float | None) -> float:
        """Let nobody call for a while, since the service has refused a call.

        Calls that were under way when an earlier one was refused are refused as well, as a rule; only one that was made
        after the pause makes the next longer.

        :param retry_after: seconds, as the service asks for, or None
        :returns: for how many seconds
        """
        with self._closing:
            now = self._clock()
            pause = retry_after or 0.0
            if now >= self._closed_until:
                if retry_after is None or self._refusals:
                    pause = max(pause, min(FIRST_BACKOFF * 2.0**self._refusals, self.window or 300.0))
                self._refusals = min(self._refusals + 1, 32)
            self._closed_until = max(self._closed_until, now + pause)
            return self._closed_until - now

    @contextlib.contextmanager
    def observe_response(self) -> Iterator[None]:
        """Note, around the deciphering of an answer, whether the service has refused the call for its quota."""
        try:
            yield
        except TrimQuotaExceededError as error:
            self.refused(error.retry_after)
            raise
        except TrimError:
            self._refusals = 0
            raise
        self._refusals = 0

    def _acquire_shared(self) -> float:
        if self._shared is None:
            return 0.0
        if self._storage_away_until is None or self._clock() >= self._storage_away_until:
            try:
                if self._storage_away_until is not None or self._unknown_calls:
                    self._enter_unknown_calls(self._shared)
                granted = self._shared.hit(self._item, self._account)
                pause = 0.0 if granted else self._pause(self._shared, self._item)
                if self._shares is not None and (waiting := sum(list(self.waiting.values()))):
                    self._shares.report(waiting)
            except StorageError as error:
                self._storage_is_away(error)
            else:
                self._storage_is_back()
                return pause
        return self._acquire_locally()

    def _acquire_locally(self) -> float:
        now = self._clock()
        if now < self._next_local:
            return self._next_local - now
        self._next_local = now + self.window / self._local_share
        self._unknown_calls += 1
        return 0.0

    def _enter_unknown_calls(self, shared: MovingWindowRateLimiter) -> None:
        """Enter this process's calls of which a storage that was away does not know, as far as they fit."""
        used = self._used()
        unknown = min(used, self._unknown_calls)
        room = shared.get_window_stats(self._item, self._account).remaining
        # Where it knows less than it has granted to this process alone, it has lost its data.
        if self._item.amount - room < used - unknown:
            unknown = used
        if entered := min(unknown, room):
            shared.hit(self._item, self._account, cost=entered)
        self._unknown_calls = unknown - entered

    def _used(self) -> int:
        """Return how many calls this process has made in the window that ends now."""
        return int(self._item.amount - self._own.get_window_stats(self._item, self._account).remaining)

    def _storage_is_away(self, error: StorageError) -> None:
        if self._storage_away_until is None:
            log.warning(
                "The quota storage is away (%s): each process goes on with %d calls in %.0f s until it is back",
                type(error.storage_error).__name__,
                self._local_share,
                self.window,
            )
        self._storage_away_until = self._clock() + STORAGE_PAUSE

    def _storage_is_back(self) -> None:
        if self._storage_away_until is not None:
            log.info("The quota storage is back: the quota is shared again")
        self._storage_away_until = None

    def _pause(self, limiter: MovingWindowRateLimiter, item: RateLimitItem) -> float:
        """Return the seconds until the oldest call leaves the window."""
        reset = limiter.get_window_stats(item, self._account).reset_time
        return max(SHORTEST_PAUSE, reset - time.time())


def quota_exhausted(pause: float) -> TrimQuotaExceededError:
    """Return the error of a call that was not made, since the quota has none left for ``pause`` seconds."""
    return TrimQuotaExceededError("the account's quota is used up for now", retry_after=pause)


def _with_margin(calls: int, window: float) -> RateLimitItem:
    return RateLimitItemPerSecond(calls, math.ceil(window * 1.005 + MARGIN), namespace="airflow-provider-trim")


def _shared_limiter(uri: str) -> MovingWindowRateLimiter | None:
    if uri.startswith("memory://"):
        return None
    timeouts = {"socket_timeout": STORAGE_TIMEOUT, "socket_connect_timeout": STORAGE_TIMEOUT}
    try:
        storage = storage_from_string(uri, wrap_exceptions=True, **timeouts)
    except ConfigurationError:
        raise TrimSettingsError(
            "connection extra 'quota_storage': Redis needs an extra: pip install 'airflow-provider-trim[redis]'"
        ) from None
    except ValueError:
        raise TrimSettingsError(
            "connection extra 'quota_storage' should be a URL such as redis://host:6379/0"
        ) from None
    assert isinstance(storage, Storage)
    return MovingWindowRateLimiter(storage)


_quotas: dict[tuple[str, str, str], RateLimiter] = {}
_quotas_lock = threading.Lock()


def limiter_for(settings: TrimSettings) -> RateLimiter:
    """Return this process's quota of the account that a connection points to, whichever connection it is.

    :raises TrimSettingsError: its storage can't be used
    """
    key = (settings.account, str(settings.quota), settings.quota_storage.get_secret_value())
    with _quotas_lock:
        if key not in _quotas:
            _quotas[key] = RateLimiter(settings)
        return _quotas[key]
