# SPDX-License-Identifier: Apache-2.0
"""Receives the callbacks of one connection, and says how much polling they can replace.

A callback is a hint, never a response: the trim that it names is polled at once. As long as callbacks are received and
have arrived lately, a trim of which one is expected is polled rarely; otherwise as if there were none.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable

from airflow_provider_trim.callbacks.health import CallbackHealth, RecentCallbacks
from airflow_provider_trim.callbacks.listener import Listener, listener_for
from airflow_provider_trim.callbacks.relay import CallbackRelay
from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.metrics import AccountMetrics
from airflow_provider_trim.metrics.catalog import CALLBACKS_DUPLICATE, CALLBACKS_MISSED, CALLBACKS_RECEIVED, Metric
from airflow_provider_trim.supervision import supervise
from airflow_provider_trim.vod.callbacks import Claim, callback_key, is_genuine
from airflow_provider_trim.vod.settings import TrimSettings

MAX_CALLBACK_POLL_INTERVAL = 3600.0
"""Seconds between two polls of a trim of which a callback is expected, at most."""

WARM_UP = 60.0
"""Seconds for which callbacks must have been received before a wait began, for one of a trim that was submitted shortly
before to have been received."""

START_TIMEOUT = 10.0
"""Seconds that a connection's callbacks may hold up a poll, when it is used first."""

LISTEN_TIMEOUT = 5.0
"""Seconds that it may take to begin to listen; the name of the address may have to be resolved."""

LISTEN_RETRY_INTERVAL = 1.0
"""Seconds until an address that could not be bound is tried again: another triggerer of this machine may just have left
it, and no callback is received meanwhile."""

LOG_INTERVAL = 600.0
"""Seconds between two lines in the log that count callbacks, at least."""

log = contained_logger(__name__)


class CallbackReceiver:
    """Receives one connection's callbacks. Its parts come and go together, when the connection changes.

    :param clock: seconds, monotonic
    :param on_callback: is given the transNo of a trim that may be done
    :param on_unreliable: called when callbacks may have been missed
    :param metrics: takes measurements
    :param start_timeout: seconds that it may take to begin, whatever is waited for
    """

    def __init__(
        self,
        clock: Callable[[], float],
        on_callback: Callable[[str], None],
        on_unreliable: Callable[[], None],
        *,
        metrics: AccountMetrics | None = None,
        start_timeout: float = START_TIMEOUT,
    ) -> None:
        self._start_timeout = start_timeout
        self._counts: Counter[str] = Counter()
        """By metric, what this poller has counted."""
        self._metrics = metrics or AccountMetrics()
        self._clock = clock
        self._on_callback = on_callback
        self._on_unreliable = on_unreliable
        self._recent = RecentCallbacks()
        self._settings: TrimSettings | None = None
        self._key = b""
        self._health = CallbackHealth()
        self._listener: Listener | None = None
        self._relay: CallbackRelay | None = None
        self._closing: list[asyncio.Task[None]] = []
        self._receiving_since = float("-inf")
        self._listening: asyncio.Task[None] | None = None
        self._report_at = float("-inf")

    async def ensure_listening(self, settings: TrimSettings) -> None:
        """Listen where a connection says. To be called before each poll, so that no callback falls between."""
        now = self._clock()
        if settings is not self._settings:
            self._stop()
            self._settings, self._key = settings, callback_key(settings)
            self._health = callback_health(settings.account)
            try:
                async with asyncio.timeout(self._start_timeout):
                    await self._start(settings)
            except BaseException:
                self._stop()
                self._settings = None  # so that the next call tries again
                raise
        if self._listener is not None and now >= self._report_at:
            self._report_at = now + LOG_INTERVAL
            log.info("%s", self._summary(self._listener))

    async def _start(self, settings: TrimSettings) -> None:
        if settings.callback_socket is None:
            return
        if settings.quota_storage.get_secret_value().startswith("redis"):
            self._receiving_since = self._clock()
            self._relay = CallbackRelay(settings, self._on_relayed, self._on_unreliable)
            await self._relay.wait_until_connected()
        await self._listen_with_retry(*settings.callback_socket)

    async def _listen_with_retry(self, host: str, port: int) -> None:
        try:
            await self._listen(host, port)
        except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
            reason = getattr(error, "strerror", None) or type(error).__name__
            fallback = "other triggerers" if self._relay is not None else "polling"
            log.warning("Cannot listen for callbacks on %s:%d (%s); relying on %s", host, port, reason, fallback)
            self._listening = asyncio.create_task(
                supervise("the callback listener", lambda: self._retry_listening(host, port), log)
            )

    async def _retry_listening(self, host: str, port: int) -> None:
        """Listen as soon as that is possible, then have all trims polled whose callbacks may have been missed."""
        while self._listener is None:
            await asyncio.sleep(LISTEN_RETRY_INTERVAL)
            with contextlib.suppress(OSError, UnicodeError):
                await self._listen(host, port)
        self._on_unreliable()

    async def _listen(self, host: str, port: int) -> None:
        listener = listener_for(host, port, self._metrics.metrics)
        async with asyncio.timeout(LISTEN_TIMEOUT):
            await listener.subscribe(self._on_request)
        self._listener, self._receiving_since = listener, self._clock()
        self._report_at = self._clock() + LOG_INTERVAL
        log.info("Listening for callbacks on %s:%d", host, port)

    def close(self) -> list[asyncio.Task[None]]:
        """Stop listening at once, and return the tasks that have still to end."""
        self._stop()
        return self._closing

    def _stop(self) -> None:
        self._closing = [task for task in self._closing if not task.done()]
        if self._relay is not None:
            self._closing.append(self._relay.close())
            self._relay = None
        if self._listening is not None:
            self._listening.cancel()
            self._closing.append(self._listening)
            self._listening = None
        if self._listener is not None:
            log.info("Stopped listening for callbacks. %s", self._summary(self._listener))
            self._listener.unsubscribe(self._on_request)
            self._listener = None

    def has_received(self, trans_no: str) -> bool:
        """Return whether a callback of a trim has come in the last minutes."""
        return self._recent.contains(trans_no, self._clock())

    def has_received_since(self, time: float) -> bool:
        """Return whether a callback that came at that time or later would be known."""
        return max(self._receiving_since + WARM_UP, self._recent.complete_since(self._clock())) <= time

    @property
    def receiving(self) -> bool:
        """Whether a callback that came now would be received."""
        return self._listener is not None or (self._relay is not None and self._relay.connected.is_set())

    def poll_interval(self, interval: float) -> float:
        """Return the seconds between two polls of a trim of which a callback is expected; 0.0 where that changes none.

        :param interval: seconds, without a callback
        """
        if self._settings is None or not self.receiving or not self._health.healthy:
            return 0.0
        return min(interval * self._settings.callback_poll_factor, MAX_CALLBACK_POLL_INTERVAL)

    def record_delivery(self, delivered: bool) -> None:
        """Record whether a finished trim, of which a callback was expected, has had one."""
        if not delivered:
            self._count(CALLBACKS_MISSED)
        if not self._health.record(delivered):
            return
        if self._health.healthy:
            log.info("Callbacks are arriving again; reducing polling")
        else:
            log.warning(
                "Callbacks are not arriving: trims finished without one. Polling normally until they do. Check that "
                "callback_url is reachable from the service and routed to this triggerer."
            )
            self._on_unreliable()

    def _on_request(self, claim: Claim) -> bool:
        if not is_genuine(claim, self._key):
            return False
        if not self._receive(claim):
            self._count(CALLBACKS_DUPLICATE)
        elif self._relay is not None:
            self._relay.publish(claim)
        return True

    def _on_relayed(self, claim: Claim) -> None:
        if is_genuine(claim, self._key):
            self._receive(claim)  # what this process has published itself comes back, and is a duplicate

    def _receive(self, claim: Claim) -> bool:
        if not self._recent.add(claim.trans_no, self._clock()):
            return False
        self._count(CALLBACKS_RECEIVED)
        self._on_callback(claim.trans_no)
        return True

    def _count(self, metric: Metric) -> None:
        self._counts[metric.name] += 1
        self._metrics.count(metric.name)

    def _summary(self, listener: Listener) -> str:
        metrics = (CALLBACKS_RECEIVED, CALLBACKS_DUPLICATE, CALLBACKS_MISSED)
        received, duplicate, missed = (self._counts[metric.name] for metric in metrics)
        reasons = ", ".join(f"{number} {reason}" for reason, number in listener.ignored.most_common())
        return (
            f"Callbacks: {received} received, {duplicate} duplicate, {missed} missed; "
            f"{listener.ignored.total()} requests ignored{f' ({reasons})' if reasons else ''}"
        )


_health: dict[str, CallbackHealth] = {}


def callback_health(account: str) -> CallbackHealth:
    """Return what this process has learned of an account's callbacks; it outlives the pollers."""
    return _health.setdefault(account, CallbackHealth())
