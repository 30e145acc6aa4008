# SPDX-License-Identifier: Apache-2.0
"""The rate limiter of an account: each call of this package takes a permit here, whichever task or connection makes it.

There is one limiter for each account and process, since the service counts by account. It passes two things in turn:
the cooldown after a 429, and the window of recent calls, which is counted in this process or in Redis.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from airflow_provider_trim.metrics import NO_METRICS, AccountMetrics, Metrics, Sample
from airflow_provider_trim.metrics.catalog import COOLDOWNS, FALLBACKS, QUOTA_FALLBACK, QUOTA_LIMIT, QUOTA_USED
from airflow_provider_trim.ratelimit.cooldown import INITIAL_COOLDOWN, Cooldown, jittered
from airflow_provider_trim.ratelimit.fair_share import FairShare
from airflow_provider_trim.ratelimit.shared_knowledge import SharedKnowledge
from airflow_provider_trim.ratelimit.shared_window import SharedWindow
from airflow_provider_trim.ratelimit.signatures import SharedSignatures
from airflow_provider_trim.ratelimit.storage import Storages
from airflow_provider_trim.ratelimit.terms import ConnectionsInUse, Terms
from airflow_provider_trim.ratelimit.window import LocalWindow, Window
from airflow_provider_trim.vod.errors import TrimAuthError, TrimError, TrimQuotaExceededError
from airflow_provider_trim.vod.settings import TrimSettings


class _Advice(NamedTuple):
    """What the processes that share an account's quota exchange."""

    share: FairShare
    signatures: SharedSignatures
    knowledge: SharedKnowledge


class RateLimiter:
    """Permits for the calls of one account. Thread-safe; serves any number of event loops.

    All that is known of an account's limits is here, so that no caller has to know which part of it counts.

    :param settings: of a connection to the account
    :param clock: monotonic seconds
    :param jitter: returns a number from 0.0 to 1.0, by which waits are spread
    :param initial_cooldown: seconds of pause after the first 429 in a row
    :param storages: shared with other limiters; by default not shared
    :raises TrimSettingsError: the connection's ``quota_storage`` can't work
    """

    def __init__(
        self,
        settings: TrimSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        initial_cooldown: float = INITIAL_COOLDOWN,
        storages: Storages | None = None,
    ) -> None:
        self._account = settings.account
        self.metrics = AccountMetrics(account=settings.account_label)
        """Takes measurements of the account."""
        self._clock = clock
        self._jitter = jitter
        self._storages = storages or Storages(clock=clock)
        self._connections = ConnectionsInUse()
        self._lock = threading.Lock()
        self._cooldown = Cooldown(initial_delay=initial_cooldown, clock=clock, jitter=jitter)
        self._waiting: dict[object, int] = {}
        self._terms = Terms()
        self._window = Window()
        self._advice: _Advice | None = None
        """Replaced as a whole, as the window is: other threads read it meanwhile."""
        self.credentials_refused = False
        """Whether the last response refused the credentials, or the signature."""
        self.add_connection(settings)

    def add_connection(self, settings: TrimSettings) -> None:
        """Take a connection to the account into account for as long as its settings are referenced.

        If connections in use differ, the smallest quota counts, and Redis before memory.

        :raises TrimSettingsError: its ``quota_storage`` can't work; the limiter goes on without this connection
        """
        url = settings.quota_storage.get_secret_value()
        if not url.startswith("memory:"):
            self._storages.get(url)
        with self._lock:
            self._connections.add(settings)
        self._current_window()

    @property
    def calls(self) -> int | None:
        """Calls per window; None if the quota is off."""
        self._current_window()
        return self._terms.calls

    @property
    def window(self) -> float:
        """Seconds of the quota's window; 0.0 if the quota is off."""
        self._current_window()
        return self._terms.window

    @property
    def fair_share(self) -> int | None:
        """How many of :attr:`calls` this process's waits may plan with; the rest is for other processes."""
        calls, advice = self.calls, self._advice
        return calls if calls is None or advice is None else max(1, round(calls * advice.share.share))

    @property
    def knowledge(self) -> SharedKnowledge | None:
        """What processes have learned of the account; None unless Redis counts its calls."""
        advice = self._advice
        return None if advice is None else advice.knowledge

    @property
    def storage_error(self) -> str:
        """Why the last call did not reach Redis, where it counts the account's calls; "" if it did."""
        url = self._terms.storage_url
        return "" if url is None else self._storages.get(url).error

    @property
    def waiting(self) -> int:
        """Trims that this process waits for, as reported."""
        return sum(list(self._waiting.values()))

    def acquire(self, fraction: float = 1.0) -> float:
        """Take a permit for one call; may wait for Redis, with a timeout.

        :param fraction: of the quota; there is a permit only while less than that is used
        :returns: 0.0 if the caller may call now; otherwise the seconds after which to try again
        """
        if pause := self._cooldown.remaining():
            return pause
        return jittered(self._current_window().acquire(fraction), self._jitter)

    async def aacquire(self) -> float:
        """Take a permit without blocking the event loop; otherwise as :meth:`acquire`."""
        if pause := self._cooldown.remaining():
            return pause
        window, advice = self._current_window(), self._advice
        if advice is not None and (waiting := self.waiting):
            advice.share.publish_soon(waiting)
        return jittered(await window.aacquire(), self._jitter)

    def release(self) -> None:
        """Give back the last permit, with which no call is made."""
        self._current_window().release()

    def claim_signature(self, signature: str) -> bool:
        """Return whether no process is known to have used a signature, and note it; may wait for Redis."""
        advice = self._advice
        return advice is None or advice.signatures.claim(signature)

    async def aclaim_signature(self, signature: str) -> bool:
        """Claim a signature as :meth:`claim_signature` does, without blocking the event loop."""
        advice = self._advice
        return advice is None or await advice.signatures.aclaim(signature)

    def planned_calls(self, owner: object) -> int | None:
        """Return how many calls per window a poller may plan with: its part of :attr:`fair_share`; None for any."""
        share, waiting = self.fair_share, self.waiting
        if share is None or not waiting:
            return share
        return max(1, round(share * self._waiting.get(owner, 0) / waiting))

    def report_waiting(self, owner: object, trims: int) -> None:
        """Note how many trims a poller waits for, until :meth:`forget` is called."""
        self._waiting[owner] = trims

    def forget(self, owner: object) -> None:
        """Drop a poller's report, if there is one."""
        self._waiting.pop(owner, None)

    def usage(self) -> str:
        """Return how much of the quota is used, for a log line."""
        window, calls = self._current_window(), self._terms.calls
        if calls is None:
            return "quota unlimited"
        return f"quota {window.used}/{calls} used{' by this process' if self._advice is not None else ''}"

    def gauges(self) -> Iterator[Sample]:
        """Return how much of the quota this process has used, and whether Redis is unreachable; nothing if off."""
        window, calls, account = self._window, self._terms.calls, self.metrics.account
        if calls is None:
            return
        yield QUOTA_USED.name, (account,), window.used
        yield QUOTA_LIMIT.name, (account,), calls
        if isinstance(window, SharedWindow):
            yield QUOTA_FALLBACK.name, (account,), float(window.falling_back)

    def on_rate_limited(self, retry_after: float | None) -> float:
        """Pause the whole account, since the service has refused a call.

        :param retry_after: seconds of ``Retry-After``, or None
        :returns: seconds until calls are allowed again
        """
        if not self._cooldown.remaining():  # other calls that were in flight are refused as well
            self.metrics.count(COOLDOWNS.name)
        return self._cooldown.on_rate_limited(retry_after)

    @contextlib.contextmanager
    def observe_response(self) -> Iterator[None]:
        """Wrap the parsing of a response: notes whether it is a 429, and bounds ``retry_after`` of any error."""
        try:
            yield
        except TrimError as error:
            if error.retry_after is not None:
                error.retry_after = self._cooldown.bounded(error.retry_after)
            self.credentials_refused = isinstance(error, TrimAuthError)
            if isinstance(error, TrimQuotaExceededError):
                pause = self.on_rate_limited(error.retry_after)
                if error.retry_after is not None:
                    error.retry_after = pause  # a caller that waits for it comes back when the cooldown has ended
            else:
                self._cooldown.on_accepted()
            raise
        self.credentials_refused = False
        self._cooldown.on_accepted()

    def _current_window(self) -> Window:
        """Return the window, replaced if the connections in use have changed."""
        if self._connections.changed:
            with self._lock:
                terms = self._connections.terms()
                if terms is not None and terms != self._terms:
                    self._apply(terms)
        return self._window

    def _apply(self, terms: Terms) -> None:
        self._cooldown.set_max_delay(terms.window)
        window, advice = Window(), None
        if terms.calls is not None:
            window = local = LocalWindow(terms.calls, terms.window, clock=self._clock, made=self._window.made())
            if terms.storage_url is not None:
                storage = self._storages.get(terms.storage_url)
                window = SharedWindow(
                    local,
                    storage,
                    self._account,
                    terms.window,
                    clock=self._clock,
                    on_fall_back=lambda: self.metrics.count(FALLBACKS.name),
                )
                advice = _Advice(
                    FairShare(storage, self._account, clock=self._clock),
                    SharedSignatures(storage, self._account),
                    SharedKnowledge(storage, self._account, clock=self._clock),
                )
        self._terms, self._window, self._advice = terms, window, advice


class RateLimiters:
    """The limiters of a process, by account.

    :param make: makes a limiter, as :class:`RateLimiter` does; another clock, say, can be bound to it
    """

    def __init__(self, make: Callable[..., RateLimiter] = RateLimiter) -> None:
        self._lock = threading.Lock()
        self.clear(make)

    def clear(self, make: Callable[..., RateLimiter] = RateLimiter) -> None:
        """Forget all limiters, with what they have counted, and make new ones as given."""
        with self._lock:
            self._make = make
            self._storages = Storages()
            self._limiters: dict[str, RateLimiter] = {}

    def get(self, settings: TrimSettings, metrics: Metrics = NO_METRICS) -> RateLimiter:
        """Return the limiter of the account that a connection points to.

        :param metrics: takes measurements of the account from now on
        :raises TrimSettingsError: the connection's ``quota_storage`` can't work
        """
        with self._lock:
            limiter = self._limiters.get(settings.account)
            if limiter is None:
                limiter = self._limiters[settings.account] = self._make(settings, storages=self._storages)
        if metrics is not NO_METRICS:
            limiter.metrics.metrics = metrics
        limiter.add_connection(settings)
        return limiter


limiters = RateLimiters()
"""Those of this process."""


limiter_for = limiters.get
"""Returns this process's limiter of the account that a connection points to, whichever connection it is."""
