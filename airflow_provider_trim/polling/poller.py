# SPDX-License-Identifier: Apache-2.0
"""One asyncio task per event loop and connection that polls all waiting trims.

It starts with the first wait and ends with the last one. All waits share one connection and one session; waits of one
transNo share their polls. The loop decides which trim is next, acquires a permit, and makes the call. What it decides
with is given to it:

- the :class:`~airflow_provider_trim.polling.schedule.Schedule`: which trim is next;
- each wait's :class:`~airflow_provider_trim.polling.state.PollState`: what a response means;
- the :class:`~airflow_provider_trim.client.session.ConnectionCache`: the connection and its session;
- the session's :class:`~airflow_provider_trim.ratelimit.limiter.RateLimiter`: whether there is a permit;
- the :class:`~airflow_provider_trim.client.credentials.CredentialGate`: whether the credentials are refused;
- the :class:`~airflow_provider_trim.callbacks.receiver.CallbackReceiver`: which trims may be done.

None of them can end it or hold it up without bound: calls have timeouts, unexpected exceptions fail one poll, and waits
expire by a task of their own.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass

from airflow_provider_trim.callbacks.expectation import Expectation
from airflow_provider_trim.callbacks.receiver import CallbackReceiver
from airflow_provider_trim.client.credentials import CredentialGate
from airflow_provider_trim.client.session import ConnectionCache, Session, SettingsLoader
from airflow_provider_trim.polling.policy import ExpectedDelayPolicy
from airflow_provider_trim.polling.schedule import Schedule
from airflow_provider_trim.polling.state import PollAgain, PollState, Verdict
from airflow_provider_trim.polling.subscriptions import Subscriptions, Waiter
from airflow_provider_trim.polling.wakeup import Wakeup
from airflow_provider_trim.ratelimit.limiter import RateLimiter
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

MAX_PERMIT_WAIT = 5.0
"""Seconds after which a poller that waits for a permit decides anew which trim is next."""

MAX_CONCURRENT_CALLS = 64
"""Enough for the rate at which one event loop can parse responses."""

COLLABORATOR_TIMEOUT = 10.0
"""Seconds that the rate limiter or the callback receiver may take before the poller goes on without its answer."""

EXPIRY_GRACE = 30.0
"""Seconds from a wait's deadline to its end while its last poll is held up by the quota."""

MAX_EXPIRY_GRACE = 90.0
"""The same while that poll is in flight; the poll is not waited for any longer."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Poll:
    """One that is in flight."""

    session: Session
    version: int
    """Of the connection."""
    task: asyncio.Task[None] | None = None
    outdated: bool = False
    """A callback came meanwhile, so the response may be older than what it announced."""


class Poller:
    """Serves all waits of one connection in one event loop, until the last has ended; then a new one is needed.

    :param load: loads the connection
    :param clock: seconds, monotonic
    :param on_idle: called when the last wait has ended
    :param schedule: which trim is next; by default by the expected delay
    """

    def __init__(
        self,
        load: SettingsLoader,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_idle: Callable[[], None] = lambda: None,
        schedule: Schedule | None = None,
    ) -> None:
        self._clock = clock
        self._on_idle = on_idle
        self._connection = ConnectionCache(load, MAX_CONCURRENT_CALLS, clock=clock)
        self._credentials = CredentialGate()
        self._limiter: RateLimiter | None = None
        self._schedule = schedule or Schedule(ExpectedDelayPolicy())
        self._callbacks = CallbackReceiver(clock, self._on_callback, self._on_callbacks_unreliable)
        self._subscriptions = Subscriptions()
        self._in_flight: dict[str, _Poll] = {}
        self._concurrency = asyncio.Semaphore(MAX_CONCURRENT_CALLS)
        self._wakeup = Wakeup()
        self._next_expiry = math.inf
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
        options = state.options
        callback = Expectation(
            self._callbacks, expected=options.expects_callback, interval=state.interval, clock=self._clock
        )
        waiter = Waiter(state, callback, asyncio.get_running_loop().create_future())
        try:
            self._add(waiter)
            return await waiter.verdict
        finally:
            self._remove(waiter)

    def _add(self, waiter: Waiter) -> None:
        trans_no = waiter.state.trans_no
        self._subscriptions.add(waiter)
        if self._callbacks.has_received(trans_no):
            self._on_callback(trans_no)
        else:
            waiter.callback.begin(waiter.state.started_at)
            self._reschedule(trans_no)
        if waiter.state.deadline is not None:
            self._next_expiry = min(self._next_expiry, waiter.state.deadline + EXPIRY_GRACE)
        if self._task is None:
            # A context of its own: what the poller logs belongs to no one task.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())

    def _remove(self, waiter: Waiter) -> None:
        trans_no = waiter.state.trans_no
        if self._subscriptions.remove(waiter):
            self._schedule.discard(trans_no)
            self._wakeup.notify()
        if not self._subscriptions and self._task is not None:
            self._close()
            self._task.cancel()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._limiter is not None:
                self._limiter.forget(self)
            self._on_idle()

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(supervise("the poll loop", self._poll_loop, log))
                group.create_task(supervise("the expiry of waits", self._expiry_loop, log))
        finally:
            polls = [poll.task for poll in self._in_flight.values() if poll.task is not None]
            ending = [*polls, *self._callbacks.close()]
            for task in ending:
                task.cancel()
            try:
                await asyncio.gather(*ending, return_exceptions=True)
            finally:  # even if the event loop, on its own way out, cancels this once more
                await self._connection.close()

    # --- which trim is polled when ---

    async def _poll_loop(self) -> None:
        while True:
            await self._concurrency.acquire()
            try:
                trans_no, poll = await self._next_poll()
            except BaseException:
                self._concurrency.release()
                raise
            self._in_flight[trans_no] = poll
            poll.task = asyncio.create_task(self._make(poll, trans_no))

    async def _next_poll(self) -> tuple[str, _Poll]:
        """Return which trim to poll, when it is due and a permit is acquired for it."""
        while True:
            self._wakeup.clear()
            now = self._clock()
            due = self._schedule.next_due_at()
            held = self._credentials.pause(now, len(self._in_flight))
            if due is None or due > now or held:
                await self._wakeup.wait(now, math.inf if due is None else max(due, now + held))
                continue
            try:
                poll = _Poll(await self._connection.session(), self._connection.version)
            except TrimError as error:
                if (trans_no := self._schedule.pop_due(self._clock())) is not None:
                    self._record(trans_no, error, self._connection.version)
                continue
            if pause := await self._acquire(poll.session):
                await asyncio.sleep(min(pause, MAX_PERMIT_WAIT))
            elif (trans_no := self._schedule.pop_due(self._clock())) is not None:
                return trans_no, poll
            else:
                poll.session.limiter.release()

    async def _acquire(self, session: Session) -> float:
        """Acquire a permit.

        :returns: 0.0, or the seconds until there may be one
        """
        limiter = session.limiter
        if self._limiter is not None and self._limiter is not limiter:
            self._limiter.forget(self)
        self._limiter = limiter
        pause = MAX_PERMIT_WAIT
        try:
            async with asyncio.timeout(COLLABORATOR_TIMEOUT):
                limiter.report_waiting(self, len(self._subscriptions))
                pause = await limiter.aacquire()
            self._schedule.set_quota(limiter.planned_calls(self), limiter.window)
            async with asyncio.timeout(COLLABORATOR_TIMEOUT):
                await self._callbacks.ensure_listening(session.settings)
        # Neither a limiter's nor a receiver's fault may stop the polls of all waits.
        except Exception as error:
            log.warning("Polling goes on in spite of a fault: %s: %s", type(error).__name__, error)
        return pause if 0.0 <= pause < math.inf else MAX_PERMIT_WAIT

    def _reschedule(self, trans_no: str) -> None:
        """Schedule a trim's next poll, unless one is in flight: that serves later waits as well."""
        waiters = self._subscriptions.pending(trans_no)
        if not waiters or trans_no in self._in_flight:
            return
        deadlines = [waiter.state.deadline for waiter in waiters if waiter.state.deadline is not None]
        not_before = min(waiter.next_poll_at for waiter in waiters)
        self._schedule.upsert(
            trans_no,
            started_at=min(waiter.state.started_at for waiter in waiters),
            interval=min(waiter.callback.interval for waiter in waiters),
            not_before=not_before,
            deadline=min(deadlines, default=None),
        )
        self._wakeup.notify_if_asleep_at(not_before)

    # --- a poll and its outcome ---

    async def _make(self, poll: _Poll, trans_no: str) -> None:
        try:
            outcome = await self._query(poll.session, trans_no)
            del self._in_flight[trans_no]
            self._learn(trans_no, outcome)
            self._record(trans_no, outcome, poll.version)
            if poll.outdated:
                self._expedite(trans_no, self._clock())
        finally:
            self._in_flight.pop(trans_no, None)
            self._concurrency.release()
            if self._credentials.refusals:
                self._wakeup.notify()  # the loop may wait for this poll to end

    async def _query(self, session: Session, trans_no: str) -> TrimTask | TrimError:
        new_session = any(waiter.state.repeats_last_poll for waiter in self._subscriptions.pending(trans_no))
        try:
            return await session.query(trans_no, new_session=new_session)
        except TrimError as error:
            if isinstance(error, TrimTransportError) and error.http_status is None:
                self._connection.recheck()
            return error
        # A fault of the transport, the signer or the parser fails this poll, not the waits of other trims.
        except Exception as error:
            log.exception("Polling trim %s failed unexpectedly", trans_no)
            return TrimTransportError(f"the poll failed unexpectedly: {type(error).__name__}: {error}")

    def _learn(self, trans_no: str, outcome: TrimTask | TrimError) -> None:
        if isinstance(outcome, TrimTask | TrimTaskFailedError | VideoProcessingError):
            successful = isinstance(outcome, TrimTask) and outcome.status is TrimStatus.SUCCESSFUL
            finished = successful or isinstance(outcome, TrimTaskFailedError)
            self._schedule.record(trans_no, self._clock(), finished=finished)

    def _record(self, trans_no: str, outcome: TrimTask | TrimError, version: int) -> None:
        """Pass the outcome of a poll on to every wait of the trim."""
        now = self._clock()
        waiters = self._subscriptions.pending(trans_no)
        interval = min((waiter.state.interval for waiter in waiters), default=math.inf)
        if self._credentials.record(outcome, version, interval, now):
            self._connection.invalidate(version)
            self._record_refusal(outcome)
        conclusive = isinstance(outcome, TrimTask | VideoProcessingError)
        done = isinstance(outcome, TrimTask) and outcome.status is TrimStatus.SUCCESSFUL
        messages: list[tuple[Waiter, PollAgain]] = []
        for waiter in waiters:
            waiter.callback.record_poll(conclusive=conclusive, done=done)
            decision = waiter.state.record_response(
                outcome, now, version=version, credentials_accepted=self._credentials.accepted
            )
            if not isinstance(decision, PollAgain):
                waiter.resolve(decision)
                continue
            if decision.message:
                messages.append((waiter, decision))
        self._reschedule(trans_no)
        for waiter, decision in messages:
            note = self._next_poll_note(trans_no, now) if decision.level == logging.INFO else ""
            waiter.log(decision.level, "Trim %s: %s%s", trans_no, decision.message, note)

    def _record_refusal(self, error: TrimTask | TrimError) -> None:
        """Tell all waits that the credentials they share are refused."""
        if not isinstance(error, TrimAuthError):
            return
        refusals, accepted = self._credentials.refusals, self._credentials.accepted
        for waiter in self._subscriptions.all_pending():
            decision = waiter.state.record_refused_credentials(error, refusals, accepted)
            if not isinstance(decision, PollAgain):
                waiter.resolve(decision)

    def _next_poll_note(self, trans_no: str, now: float) -> str:
        """Return when the next poll is to be expected, and why it is not after the interval."""
        due = self._schedule.due_at(trans_no)
        if self._limiter is None or due is None:
            return ""
        return f"; {self._limiter.usage()}, next poll in about {max(0.0, due - now):.0f} s"

    # --- deadlines ---

    async def _expiry_loop(self) -> None:
        """End the waits whose last poll is held up: by the quota, by other calls, or by the service."""
        while True:
            await asyncio.sleep(1.0)
            if (now := self._clock()) < self._next_expiry:
                continue
            self._next_expiry = math.inf
            for waiter in self._subscriptions.all_pending():
                if waiter.state.deadline is not None:
                    in_flight = waiter.state.trans_no in self._in_flight
                    expires_at = waiter.state.deadline + (MAX_EXPIRY_GRACE if in_flight else EXPIRY_GRACE)
                    if expires_at <= now:
                        waiter.resolve(waiter.state.expire())
                    else:
                        self._next_expiry = min(self._next_expiry, expires_at)

    # --- callbacks ---

    def _on_callback(self, trans_no: str) -> None:
        """Poll a trim at once, ahead of the others, since it may be done."""
        now, first = self._clock(), False
        for waiter in self._subscriptions.pending(trans_no):
            if waiter.callback.record_callback():
                first = True
                waiter.state.expedite(now)
                waiter.log(logging.INFO, "Trim %s: callback received, polling now", trans_no)
        if first and trans_no in self._in_flight:
            self._in_flight[trans_no].outdated = True
        elif first:
            self._expedite(trans_no, now)

    def _expedite(self, trans_no: str, now: float) -> None:
        for waiter in self._subscriptions.pending(trans_no):
            waiter.state.expedite(now)
        self._reschedule(trans_no)
        self._schedule.expedite(trans_no, now)
        self._wakeup.notify()

    def _on_callbacks_unreliable(self) -> None:
        """Poll as without callbacks, once at least, the trims whose polls were held."""
        held = {waiter.state.trans_no for waiter in self._subscriptions.all_pending() if waiter.callback.distrust()}
        for trans_no in held:
            self._reschedule(trans_no)


_pollers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = weakref.WeakKeyDictionary()


def poller_for(conn_id: str, load: SettingsLoader) -> Poller:
    """Return the running event loop's poller of a connection, made if there is none."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    if conn_id not in pollers:
        pollers[conn_id] = Poller(load, on_idle=lambda: pollers.__delitem__(conn_id))
    return pollers[conn_id]
