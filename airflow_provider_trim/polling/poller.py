# SPDX-License-Identifier: Apache-2.0
"""One asyncio task per event loop and connection that polls all waiting trims.

It starts with the first wait and ends with the last one. All waits share one connection and one session; waits of one
transNo share their polls. The loop decides which trim is next, acquires a permit, and makes the call. What it decides
with is given to it:

- the :class:`~airflow_provider_trim.polling.schedule.Schedule`: which trim is next;
- each wait's :class:`~airflow_provider_trim.polling.state.PollState`: what a response means;
- the :class:`~airflow_provider_trim.client.connection_cache.ConnectionCache`: the connection and its session;
- the session's :class:`~airflow_provider_trim.ratelimit.limiter.RateLimiter`: whether there is a permit;
- the :class:`~airflow_provider_trim.client.credentials.CredentialGate`: whether the credentials are refused;
- the :class:`~airflow_provider_trim.callbacks.receiver.CallbackReceiver`: which trims may be done.

None of them can end it or hold it up without bound: calls have timeouts, unexpected exceptions fail one poll, and a
separate task expires waits.

The module has more than 300 lines: the loop and what follows from the outcome of a poll change the same waits, and are
easier to follow in one place.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
from collections.abc import Callable, Iterator

from airflow_provider_trim.callbacks.expectation import Expectation
from airflow_provider_trim.callbacks.receiver import CallbackReceiver
from airflow_provider_trim.client.connection_cache import ConnectionCache, SettingsLoader
from airflow_provider_trim.client.credentials import CredentialGate
from airflow_provider_trim.client.session import Session
from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.metrics import AccountMetrics, Sample
from airflow_provider_trim.metrics.catalog import WAITS_OPEN
from airflow_provider_trim.polling.expiry import PORTION, Expiry
from airflow_provider_trim.polling.in_flight import Poll, PollsInFlight
from airflow_provider_trim.polling.permits import Permits
from airflow_provider_trim.polling.policy import ExpectedDelayPolicy
from airflow_provider_trim.polling.schedule import Schedule
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.subscriptions import Subscriptions, Waiter
from airflow_provider_trim.polling.verdicts import Verdict
from airflow_provider_trim.polling.wait_metrics import record_end
from airflow_provider_trim.polling.wakeup import Wakeup
from airflow_provider_trim.supervision import supervise
from airflow_provider_trim.vod.errors import (
    TrimAuthError,
    TrimError,
    TrimTaskFailedError,
    TrimTransportError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from airflow_provider_trim.vod.protocol import check_trans_no

MAX_CONCURRENT_CALLS = 64
"""Enough for the rate at which one event loop can parse responses."""

RECEIVER_RETRY_INTERVAL = 60.0
"""Seconds from a failure of the callback receiver to the next attempt."""

EXPIRY_INTERVAL = 1.0
"""Seconds between two checks of the waits' deadlines."""

END_TIMEOUT = 10.0
"""Seconds that calls and callbacks may take to end when the poller does."""

log = contained_logger(__name__)


class Poller:
    """Serves all waits of one connection in one event loop, until the last has ended; then a new one is needed.

    :param load: loads the connection
    :param clock: seconds, monotonic
    :param on_idle: called when the last wait has ended
    :param schedule: which trim is next; by default by the expected delay
    :param connection: caches the connection; by default with this poller's clock
    :param metrics: takes measurements; its account is set when the connection is loaded
    :param expiry_interval: seconds between two checks of the waits' deadlines
    :param call_limit: returns how many polls may be in flight
    """

    def __init__(
        self,
        load: SettingsLoader,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_idle: Callable[[], None] = lambda: None,
        schedule: Schedule | None = None,
        connection: ConnectionCache | None = None,
        expiry_interval: float = EXPIRY_INTERVAL,
        metrics: AccountMetrics | None = None,
        call_limit: Callable[[], int] = lambda: MAX_CONCURRENT_CALLS,
    ) -> None:
        self._clock = clock
        self._metrics = metrics or AccountMetrics()
        self._on_idle = on_idle
        self._connection = connection or ConnectionCache(load, MAX_CONCURRENT_CALLS, clock=clock, metrics=self._metrics)
        self._credentials = CredentialGate()
        self._schedule = Schedule(ExpectedDelayPolicy()) if schedule is None else schedule
        self._permits = Permits(self._schedule)
        self._callbacks = CallbackReceiver(
            clock, self._on_callback, self._on_callbacks_unreliable, metrics=self._metrics
        )
        self._subscriptions = Subscriptions()
        self._listen_again_at = -math.inf
        self._wakeup = Wakeup()
        self._in_flight = PollsInFlight(call_limit, self._on_outcome, self._wakeup.notify_outcome)
        self._expiry = Expiry(self._subscriptions, self._in_flight, lambda: self._permits.exhausted)
        self._expiry_interval = expiry_interval
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def wait(self, state: PollState) -> Verdict:
        """Wait for a trim's verdict. Cancelling this ends the wait.

        :raises TransNoEmptyError, TransNoIllegalError: the state's transNo can't be one
        :raises RuntimeError: this poller is closed
        """
        check_trans_no(state.trans_no)
        if self._closed:
            raise RuntimeError("poller is closed; get a new one from poller_for()")
        expected, interval = state.options.expects_callback, state.interval
        callback = Expectation(self._callbacks, expected=expected, interval=interval, clock=self._clock)
        waiter = Waiter(state, callback, asyncio.get_running_loop().create_future(), began_at=self._clock())
        self._subscriptions.add(waiter)
        try:
            self._begin(waiter)
            verdict = await waiter.verdict
            record_end(self._metrics, state, verdict, self._clock(), callback.received_at)
            return verdict
        finally:
            self._end(waiter)

    def _begin(self, waiter: Waiter) -> None:
        trans_no = waiter.state.trans_no
        if self._callbacks.has_received(trans_no):
            self._on_callback(trans_no)
        else:
            waiter.callback.begin(waiter.state.started_at)
            self._reschedule(trans_no)
        self._expiry.add(waiter)
        if self._task is None:
            self._metrics.metrics.watch(self._gauges)
            # In a separate context: what the poller logs belongs to no single task.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())

    def _end(self, waiter: Waiter) -> None:
        if self._subscriptions.remove(waiter):
            self._schedule.discard(waiter.state.trans_no)
            self._wakeup.notify()
        if not self._subscriptions and not self._closed:
            self._closed = True
            self._metrics.metrics.unwatch(self._gauges)
            self._permits.forget()
            self._callbacks.close()
            self._on_idle()
            if self._task is not None:
                self._task.cancel()

    def _gauges(self) -> Iterator[Sample]:
        yield WAITS_OPEN.name, (self._metrics.account,), self._subscriptions.waits
        yield from self._permits.gauges()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(supervise("the poll loop", self._poll_loop, log))
                group.create_task(supervise("the expiry of waits", self._expiry_loop, log))
        finally:
            ending = [*self._in_flight.cancel(), *self._callbacks.close()]
            try:
                if ending:
                    _, late = await asyncio.wait(ending, timeout=END_TIMEOUT)
                    for task in late:
                        task.cancel()
            finally:  # even if the event loop, on its own way out, cancels this once more
                await self._connection.close()

    async def _expiry_loop(self) -> None:
        while True:
            await asyncio.sleep(self._expiry_interval)
            for _ in self._expiry.portions(self._clock()):
                await asyncio.sleep(0)

    # --- which trim is polled when ---

    async def _poll_loop(self) -> None:
        while True:
            await self._in_flight.reserve()
            try:
                poll = await self._next_poll()
            except BaseException:
                self._in_flight.free()
                raise
            self._in_flight.start(poll)

    async def _next_poll(self) -> Poll:
        """Return which trim to poll, when it is due and a permit is acquired for it."""
        while True:
            self._wakeup.clear()
            await self._settle()
            now = self._clock()
            hold = self._hold(now)
            if (due := self._next_due_at(now, hold)) > now:
                await self._wakeup.wait(now, due, for_outcome=math.isinf(hold))
                continue
            try:
                session = await self._connection.session()
                version = self._connection.version
                await self._ensure_listening(session)
                pause = await self._permits.acquire(session.limiter, len(self._subscriptions))
            except TrimError as error:
                await self._record_for_all_due(error, last_polls_only=hold > 0.0)
                continue
            if pause:
                await asyncio.sleep(pause)
                continue
            await self._settle()
            # The session may have been replaced meanwhile, and closed.
            if self._connection.is_current(session) and (poll := self._pop_due(session, version)) is not None:
                return poll
            self._permits.release()

    async def _settle(self) -> None:
        """Bring the schedule up to date, in portions between which the event loop serves others."""
        while True:
            if self._schedule.settle(self._clock()):
                return
            await asyncio.sleep(0)

    def _hold(self, now: float) -> float:
        """Return the seconds for which refused credentials hold all polls but last ones; infinite until an outcome."""
        return self._credentials.pause(now, self._in_flight.versions())

    def _next_due_at(self, now: float, hold: float) -> float:
        """Return when the next poll is made as things stand; infinite for never."""
        due = self._schedule.next_due_at()
        at = math.inf if due is None else max(due, now + hold)
        # A wait that ended without its last poll would miss a trim that is done, and end late.
        return min(at, self._schedule.next_last_poll_at()) if hold else at

    def _pop_due(self, session: Session, version: int) -> Poll | None:
        now = self._clock()
        held = self._hold(now) > 0.0
        trans_no = self._schedule.pop_due(now, last_polls_only=held)
        if trans_no is None:
            return None
        repeat = any(waiter.state.repeats_last_poll for waiter in self._subscriptions.pending(trans_no))
        return Poll(trans_no, session, version, now, new_connection=repeat, held=held)

    def _reschedule(self, trans_no: str) -> None:
        """Schedule a trim's next poll, unless one is in flight: that serves later waits as well."""
        waiters = self._subscriptions.pending(trans_no)
        if not waiters or trans_no in self._in_flight:
            return
        not_before = min(waiter.next_poll_at for waiter in waiters)
        self._schedule.upsert(
            trans_no,
            started_at=min(waiter.state.started_at for waiter in waiters),
            interval=min(waiter.callback.interval for waiter in waiters),
            not_before=not_before,
            deadline=min(waiter.state.last_poll_at for waiter in waiters),
            # Of tasks that wait for the same trim, the one with the fewest has it polled soonest.
            task=min((waiter.state.options.task for waiter in waiters), key=self._schedule.trims_of),
            kind=waiters[0].state.options.kind,
        )
        self._wakeup.notify_if_asleep_at(not_before)

    # --- a poll and its outcome ---

    def _on_outcome(self, poll: Poll, outcome: TrimTask | TrimError) -> None:
        if isinstance(outcome, TrimTransportError) and outcome.http_status is None:
            self._connection.recheck()
        self._record(poll.trans_no, outcome, poll.version, poll.sent_at, held=poll.held)
        if poll.outdated:
            self._expedite(poll.trans_no)

    async def _record_for_all_due(self, error: TrimError, *, last_polls_only: bool) -> None:
        """Pass an error that keeps all trims from being polled on to those that are due."""
        # The connection may be replaced between two portions.
        now, version, recorded = self._clock(), self._connection.version, 0
        while (trans_no := self._schedule.pop_due(now, call=False, last_polls_only=last_polls_only)) is not None:
            self._record(trans_no, error, version, now)
            recorded += 1
            if not recorded % PORTION:
                await asyncio.sleep(0)
                await self._settle()

    def _record(
        self, trans_no: str, outcome: TrimTask | TrimError, version: int, sent_at: float, *, held: bool = False
    ) -> None:
        """Pass the outcome of a poll on to every wait of the trim.

        :param held: it was made although the credentials are refused, so another refusal is no news
        """
        try:
            self._dispatch(trans_no, outcome, version, sent_at, held)
        # A bug here must not leave these waits without another poll, nor end any other.
        except Exception as error:
            log.exception("The outcome of a poll of trim %s could not be recorded", trans_no)
            for waiter in self._subscriptions.pending(trans_no):
                waiter.verdict.set_exception(error)

    def _dispatch(self, trans_no: str, outcome: TrimTask | TrimError, version: int, sent_at: float, held: bool) -> None:
        now = self._clock()
        if isinstance(outcome, TrimTask | TrimTaskFailedError | VideoProcessingError):
            successful = isinstance(outcome, TrimTask) and outcome.status is TrimStatus.SUCCESSFUL
            self._schedule.record(trans_no, now, finished=successful or isinstance(outcome, TrimTaskFailedError))
        waiters = self._subscriptions.pending(trans_no)
        interval = min((waiter.state.interval for waiter in waiters), default=math.inf)
        # Last polls that are due together must not use up, by their refusals, those that all waits are allowed.
        if not (held and isinstance(outcome, TrimAuthError)):
            refused = self._credentials.record(outcome, version, interval, now)
            if refused and isinstance(outcome, TrimAuthError):
                self._connection.invalidate(version)
                self._record_refusal(outcome)
        accepted = self._credentials.accepted
        decisions = [(waiter, waiter.record_response(outcome, now, sent_at, version, accepted)) for waiter in waiters]
        self._reschedule(trans_no)
        for waiter, decision in decisions:
            if decision is not None and decision.message:
                note = self._next_poll_note(trans_no, now) if decision.level == logging.INFO else ""
                waiter.log(decision.level, "Trim %s: %s%s", trans_no, decision.message, note)

    def _record_refusal(self, error: TrimAuthError) -> None:
        """Tell all waits that the credentials they share are refused."""
        refusals, accepted = self._credentials.refusals, self._credentials.accepted
        for waiter in self._subscriptions.all_pending():
            waiter.decide(lambda state: state.record_refused_credentials(error, refusals, accepted))

    def _next_poll_note(self, trans_no: str, now: float) -> str:
        """Return when the next poll is to be expected, and why it is not after the interval."""
        due, usage = self._schedule.due_at(trans_no), self._permits.usage()
        return f"; {usage}, next poll in about {max(0.0, due - now):.0f} s" if usage and due is not None else ""

    # --- callbacks ---

    async def _ensure_listening(self, session: Session) -> None:
        if self._clock() < self._listen_again_at:
            return
        try:
            await self._callbacks.ensure_listening(session.settings)
        # Callbacks save polls, and no more: polling goes on as if there were none.
        except Exception as error:
            self._listen_again_at = self._clock() + RECEIVER_RETRY_INTERVAL
            log.warning("Callbacks can't be received: %s: %s; polling goes on", type(error).__name__, error)

    def _on_callback(self, trans_no: str) -> None:
        """Poll a trim at once, ahead of the others, since it may be done."""
        waiters = [waiter for waiter in self._subscriptions.pending(trans_no) if waiter.callback.record_callback()]
        if not waiters:
            return
        if trans_no in self._in_flight:
            self._in_flight.mark_outdated(trans_no)
        else:
            self._expedite(trans_no)
        for waiter in waiters:
            waiter.log(logging.INFO, "Trim %s: callback received, polling now", trans_no)

    def _expedite(self, trans_no: str) -> None:
        now = self._clock()
        for waiter in self._subscriptions.pending(trans_no):
            waiter.expedite(now)
        self._reschedule(trans_no)
        self._schedule.expedite(trans_no, now)
        self._wakeup.notify()

    def _on_callbacks_unreliable(self) -> None:
        """Poll as without callbacks, once at least, the trims whose polls were held."""
        held = {waiter.state.trans_no for waiter in self._subscriptions.all_pending() if waiter.callback.distrust()}
        for trans_no in held:
            self._reschedule(trans_no)
