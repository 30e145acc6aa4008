# SPDX-License-Identifier: Apache-2.0
"""A poller's ear: where its connection's callbacks arrive, and how far they are relied upon.

A callback is a hint, never an answer: the trim it names is asked about at once. A watch that expects one is asked about
rarely, as long as callbacks are received, and have come lately; otherwise as if there were none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_trim.callbacks.health import CallbackHealth, RecentCallbacks
from airflow_provider_trim.callbacks.listener import Listener, listener_for
from airflow_provider_trim.callbacks.relay import Relay
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.vod.callbacks import Claim, callback_key, is_genuine
from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from airflow_provider_trim.vod.settings import TrimSettings

MAX_CALLBACK_POLL_INTERVAL = 3600.0
"""Seconds between two looks at a trim of which a callback is expected, at most."""

WARM_UP = 60.0
"""Seconds for which a listener must have listened before a wait began, to have heard of a trim that was submitted
shortly before that."""

RETRY_PAUSE = 1.0
"""Seconds until an address that could not be listened on is tried again: another triggerer of this machine may have
left it just now, and nobody is called meanwhile."""

REPORT_PAUSE = 600.0
"""Seconds between two lines in the log that say how many callbacks came, at least."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """Of one poller's callbacks."""

    came: int = 0
    """Genuine ones, without repetitions."""
    repeated: int = 0
    missing: int = 0
    """Trims that were found done although no callback had come."""


class CallbackReceiver:
    """Receives one connection's callbacks.

    :param clock: Unix seconds
    :param on_hint: takes the transNo of a trim that may be done
    :param on_doubt: called when callbacks are relied upon no more
    """

    def __init__(
        self, clock: Callable[[], float], on_hint: Callable[[str], None], on_doubt: Callable[[], None]
    ) -> None:
        self.counts = Counts()
        self._clock = clock
        self._on_hint = on_hint
        self._on_doubt = on_doubt
        self._memory = RecentCallbacks()
        self._settings: TrimSettings | None = None
        self._key = b""
        self._trust = CallbackHealth()
        self._listener: Listener | None = None
        self._relay: Relay | None = None
        self._closing: list[asyncio.Task[None]] = []
        self._hearing_since = float("-inf")
        self._trying_again: asyncio.Task[None] | None = None
        self._report_at = float("-inf")

    async def ready(self, settings: TrimSettings) -> None:
        """Listen where a connection says; to be called before each look, so that no callback falls between."""
        now = self._clock()
        if settings is not self._settings:
            self._leave()
            self._settings, self._key = settings, callback_key(settings)
            self._trust = callback_health(settings.account)
            if settings.callback_socket is not None and settings.quota_storage.get_secret_value().startswith("redis"):
                self._hearing_since = now
                self._relay = Relay(settings, self._passed_on, self._on_doubt)
                await self._relay.wait_until_connected()
            if settings.callback_socket is not None:
                await self._listen_or_try_again(*settings.callback_socket)
        self._report(now)

    async def _listen_or_try_again(self, host: str, port: int) -> None:
        try:
            await self._listen(host, port)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            others = "others pass them on" if self._relay is not None else "asking as without them"
            log.warning("Can't listen for callbacks on %s port %d (%s); %s", host, port, reason, others)
            self._trying_again = asyncio.create_task(self._try_again(host, port))

    async def _try_again(self, host: str, port: int) -> None:
        """Listen as soon as that is possible, and have all trims looked at whose callbacks nobody may have heard."""
        while self._listener is None:
            await asyncio.sleep(RETRY_PAUSE)
            with contextlib.suppress(OSError, UnicodeError):
                await self._listen(host, port)
        self._on_doubt()

    async def _listen(self, host: str, port: int) -> None:
        listener = listener_for(host, port)
        await listener.join(self._told)
        self._listener, self._hearing_since = listener, self._clock()
        self._report_at = self._clock() + REPORT_PAUSE
        log.info("Listening for callbacks on %s port %d", host, port)

    def close(self) -> list[asyncio.Task[None]]:
        """Listen no more, at once, and return what has still to end."""
        self._leave()
        return self._closing

    def _leave(self) -> None:
        if self._relay is not None:
            self._relay.close()
            self._closing.append(self._relay.task)
            self._relay = None
        if self._trying_again is not None:
            self._trying_again.cancel()
            self._closing.append(self._trying_again)
            self._trying_again = None
        if self._listener is not None:
            log.info("Listening for callbacks no more. %s", self._summary(self._listener))
            self._listener.leave(self._told)
            self._listener = None

    def begin(self, watch: PollState) -> bool:
        """Begin to rely on the callback of a trim, if it can't have got lost before the wait began.

        :returns: whether it has come already
        """
        now = self._clock()
        if self._memory.knows(watch.trans_no, now):
            return True
        heard_since = max(self._hearing_since + WARM_UP, self._memory.complete_since(now))
        if self._expect(watch) and heard_since <= watch.started_at:
            watch.postpone(now)
        return False

    def looked(self, watch: PollState, outcome: TrimTask | TrimError) -> None:
        """Learn from a look whether a callback is missing, and tell its watch how rarely to look from now on."""
        done = isinstance(outcome, TrimTask) and outcome.status is TrimStatus.SUCCESSFUL
        if done and watch.hears and watch.expects_callback:
            self.learn(came=False)
        watch.hears = self._expect(watch)

    def _expect(self, watch: PollState) -> bool:
        """Say how rarely to look, and return whether the trim's callback would be received."""
        hears = self._listener is not None or (self._relay is not None and self._relay.connected.is_set())
        received = watch.expects_callback and hears
        if received and self._settings is not None and self._trust.given:
            watch.callback_pause = min(watch.interval * self._settings.callback_poll_factor, MAX_CALLBACK_POLL_INTERVAL)
        else:
            watch.callback_pause = 0.0
        return received

    def learn(self, came: bool) -> None:
        """Learn that a trim of which a callback was expected was called back, or found done without."""
        self.counts.missing += not came
        if not self._trust.learn(came):
            return
        if self._trust.given:
            log.info("Callbacks come again: asking rarely about trims of which one is expected")
        else:
            log.warning(
                "Callbacks fail to come: trims were done and this process was not told. Asking as without them until "
                "they come again; does the service reach callback_url, and that this process?"
            )
            self._on_doubt()

    def _told(self, claim: Claim) -> bool:
        if not is_genuine(claim, self._key):
            return False
        if not self._hint(claim):
            self.counts.repeated += 1
        elif self._relay is not None:
            self._relay.publish(claim)
        return True

    def _passed_on(self, claim: Claim) -> None:
        if is_genuine(claim, self._key):
            self._hint(claim)  # this process hears what it has published itself as well, and knows it by then

    def _hint(self, claim: Claim) -> bool:
        if not self._memory.note(claim.trans_no, self._clock()):
            return False
        self.counts.came += 1
        self._on_hint(claim.trans_no)
        return True

    def _report(self, now: float) -> None:
        if self._listener is not None and now >= self._report_at:
            self._report_at = now + REPORT_PAUSE
            log.info("%s", self._summary(self._listener))

    def _summary(self, listener: Listener) -> str:
        counts = self.counts
        return (
            f"Callbacks: {counts.came} came, {counts.repeated} more than once, {counts.missing} failed to come; "
            f"{listener.refused} requests without a genuine address"
        )


_trusts: dict[str, CallbackHealth] = {}


def callback_health(account: str) -> CallbackHealth:
    """Return what this process has learned of an account's callbacks; pollers come and go with their watches."""
    return _trusts.setdefault(account, CallbackHealth())
