# SPDX-License-Identifier: Apache-2.0
"""One asyncio task per event loop and connection that asks for all waiting trims.

It starts with the first watch and ends with the last one. All watches share one looked-up connection and one session;
watches of one transNo share their calls. Which trim is asked next is decided by
:class:`~airflow_provider_trim.polling.schedule.Schedule`, and what an answer means by each
:class:`~airflow_provider_trim.polling.state.Watch`.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import time
import weakref
from collections.abc import Callable

from airflow_provider_trim.callbacks.receiver import CallbackReceiver
from airflow_provider_trim.client.session import ConnectionCache, SettingsLoader
from airflow_provider_trim.polling.schedule import Schedule
from airflow_provider_trim.polling.state import FINAL_POLL_QUOTA_TIMEOUT, PollAgain, PollState, Verdict
from airflow_provider_trim.polling.subscriptions import Subscriptions, Waiter, fail_all
from airflow_provider_trim.ratelimit.limiter import RateLimiter, quota_exhausted
from airflow_provider_trim.vod.errors import TrimError, TrimTaskFailedError, VideoProcessingError
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from airflow_provider_trim.vod.protocol import check_trans_no

LONGEST_PAUSE = 5.0
"""Seconds after which a poller that waits for its turn looks at its watches again."""

SHORTEST_PAUSE = 0.05
"""Seconds for which a poller with nothing to ask rests at least: who comes due meanwhile is asked in one go, since to
wake up for each costs an event loop with many trims more than the calls themselves."""

CONCURRENT_CALLS = 64
"""Calls under way at a time; enough for the rate at which one event loop can parse_task answers."""

log = logging.getLogger(__name__)


class Poller:
    """Serves all watches of one connection in one event loop, until the last has gone; then a new one is needed.

    :param load: looks the connection up
    :param clock: Unix seconds
    :param on_idle: called when the last watch has gone
    """

    def __init__(
        self,
        load: SettingsLoader,
        *,
        clock: Callable[[], float] = time.time,
        on_idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._on_idle = on_idle
        self._connection = ConnectionCache(load, clock, CONCURRENT_CALLS)
        self._quota: RateLimiter | None = None
        self._schedule = Schedule()
        self._callbacks = CallbackReceiver(clock, self._hint, self._doubt)
        self._waiters = Subscriptions()
        self._changed = asyncio.Event()
        self._wakes_at = float("-inf")
        self._slots = asyncio.Semaphore(CONCURRENT_CALLS)
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._hinted_meanwhile: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self._timed_out_at = float("-inf")

    async def wait(self, watch: PollState) -> Verdict:
        """Wait for a trim's verdict. Cancelling this takes the watch out.

        :raises TransNoEmptyError, TransNoIllegalError: the watch's transNo can't be one
        :raises RuntimeError: this poller has ended
        """
        check_trans_no(watch.trans_no)
        if self._ended:
            raise RuntimeError("this poller has ended; poller_for() gives the one at work")
        waiter = Waiter(watch, asyncio.get_running_loop().create_future())
        try:
            self._add(waiter)
            return await waiter.verdict
        finally:
            self._remove(waiter)

    def _add(self, waiter: Waiter) -> None:
        self._waiters.add(waiter)
        if self._callbacks.begin(waiter.watch):
            self._hint(waiter.watch.trans_no)
        else:
            self._reschedule(waiter.watch.trans_no)
        if self._task is None:
            # A context of its own: what the poller logs belongs to no one task.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())

    def _remove(self, waiter: Waiter) -> None:
        if self._waiters.remove(waiter):
            self._schedule.discard(waiter.watch.trans_no)
            self._hinted_meanwhile.discard(waiter.watch.trans_no)
            self._changed.set()
        if not self._waiters and self._task is not None:
            self._end()
            self._task.cancel()

    def _hint(self, trans_no: str) -> None:
        """Have a look at a trim at once, ahead of the others, since it is said to be done."""
        now, news = self._clock(), False
        for waiter in self._waiters.undecided(trans_no):
            expected = waiter.watch.expects_callback
            if waiter.watch.hinted(now):
                news = True
                waiter.context.run(log.info, "Trim %s: called back by the service; asking", trans_no)
                if expected:
                    self._callbacks.learn(came=True)
        if news and trans_no in self._looks:
            self._hinted_meanwhile.add(trans_no)  # that look may have come too early
        elif news:
            self._hurry(trans_no, now)

    def _hurry(self, trans_no: str, now: float) -> None:
        self._reschedule(trans_no)
        self._schedule.hurry(trans_no, now)
        self._changed.set()

    def _doubt(self) -> None:
        """Ask as usual, once at least, about the trims whose callbacks were relied upon."""
        now = self._clock()
        for trans_no in self._waiters:
            for waiter in self._waiters.undecided(trans_no):
                if waiter.watch.callback_pause:
                    waiter.watch.doubt(now)
            self._reschedule(trans_no)

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            if self._quota is not None:
                self._quota.forget(self)
            self._on_idle()

    def _reschedule(self, trans_no: str) -> None:
        """Schedule a trim's next look, unless one is under way: that serves who has come since as well."""
        watches = [waiter.watch for waiter in self._waiters.undecided(trans_no)]
        if watches and trans_no not in self._looks:
            deadlines = [watch.deadline for watch in watches if watch.deadline is not None]
            not_before = min(watch.next_poll_at for watch in watches)
            self._schedule.put(
                trans_no,
                since=min(watch.started_at for watch in watches),
                interval=min(max(watch.interval, watch.callback_pause) for watch in watches),
                not_before=not_before,
                deadline=min(deadlines, default=None),
            )
            if not_before < self._wakes_at:
                self._changed.set()

    async def _run(self) -> None:
        try:
            while True:
                await self._slots.acquire()
                trans_no = await self._next()
                self._looks[trans_no] = asyncio.create_task(self._look(trans_no))
        except Exception as error:
            self._end()
            for trans_no in self._waiters:
                fail_all(self._waiters.undecided(trans_no), error)
            raise
        finally:
            ending = [*self._looks.values(), *self._callbacks.close()]
            for task in ending:
                task.cancel()
            try:
                await asyncio.gather(*ending, return_exceptions=True)
            finally:  # even if the event loop, on its own way out, cancels this once more
                await self._connection.close()

    async def _next(self) -> str:
        """Return whom to ask, when it is time to and the quota has a call for it."""
        while True:
            self._changed.clear()
            now = self._clock()
            due = self._schedule.next_time()
            if due is None or due > now:
                await self._change(now, due)
            elif pause := await self._turn():
                self._time_out(now)
                await asyncio.sleep(min(pause, LONGEST_PAUSE))
            elif (trans_no := self._schedule.pick(self._clock())) is not None:
                return trans_no

    async def _change(self, now: float, due: float | None) -> None:
        """Wait until somebody is due, or may be, since the schedule has changed."""
        pause = None if due is None else max(due - now, SHORTEST_PAUSE)
        self._wakes_at = float("inf") if pause is None else now + pause - SHORTEST_PAUSE
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._changed.wait()

    async def _turn(self) -> float:
        """Take a call of the account's quota.

        :returns: 0, or the seconds until there may be one
        """
        try:
            session = await self._connection.current()
        except TrimError:
            return 0.0  # no call will be made: the look itself runs into the same error and tells the watches
        quota = session.quota
        if self._quota is not None and self._quota is not quota:
            self._quota.forget(self)
        self._quota = quota
        await self._callbacks.ready(session.settings)
        quota.report_waiting(self, len(self._waiters))
        pause = await quota.aacquire()
        self._schedule.set_quota(quota.fair_share, quota.window)
        return pause

    def _time_out(self, now: float) -> None:
        """End the waits whose last look the quota has held up for too long."""
        if now < self._timed_out_at + 1.0:
            return
        self._timed_out_at = now
        for trans_no in self._waiters:
            for waiter in self._waiters.undecided(trans_no):
                deadline = waiter.watch.deadline
                if deadline is not None and now >= deadline + FINAL_POLL_QUOTA_TIMEOUT and trans_no not in self._looks:
                    self._tell(trans_no, quota_exhausted(0.0), 0)
                    break

    async def _look(self, trans_no: str) -> None:
        try:
            outcome, connection = await self._connection.ask(trans_no)
            del self._looks[trans_no]
            if isinstance(outcome, TrimTask | TrimTaskFailedError | VideoProcessingError):
                finished = isinstance(outcome, TrimTaskFailedError) or (
                    isinstance(outcome, TrimTask) and outcome.status is TrimStatus.SUCCESSFUL
                )
                self._schedule.looked(trans_no, self._clock(), finished=finished)
            self._tell(trans_no, outcome, connection)
        except Exception as error:
            # One trim's trouble must not end the others' wait; whoever waits for this one is told.
            self._looks.pop(trans_no, None)
            fail_all(self._waiters.undecided(trans_no), error)
        finally:
            self._slots.release()

    def _tell(self, trans_no: str, outcome: TrimTask | TrimError, connection: int) -> None:
        """Pass a look's outcome on to every watch of the trim."""
        now = self._clock()
        news: list[tuple[Waiter, PollAgain]] = []
        for waiter in self._waiters.undecided(trans_no):
            self._callbacks.looked(waiter.watch, outcome)
            try:
                decision = waiter.watch.looked(outcome, now, connection=connection)
            except Exception as error:
                fail_all([waiter], error)
                continue
            if not isinstance(decision, PollAgain):
                waiter.verdict.set_result(decision)
                continue
            if decision.news:
                news.append((waiter, decision))
            if decision.reload_connection:
                self._connection.refused(connection)
        self._reschedule(trans_no)
        if trans_no in self._hinted_meanwhile:
            self._hinted_meanwhile.discard(trans_no)
            self._hurry(trans_no, now)
        for waiter, decision in news:
            outlook = self._outlook(trans_no, now) if decision.level == logging.INFO else ""
            waiter.context.run(log.log, decision.level, "Trim %s: %s%s", trans_no, decision.news, outlook)

    def _outlook(self, trans_no: str, now: float) -> str:
        """Say when the next look is to be expected, and why not at the interval."""
        due = self._schedule.due(trans_no)
        if self._quota is None or due is None:
            return ""
        return f"; {self._quota.usage()}, next look in about {max(0.0, due - now):.0f} s"


_pollers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = weakref.WeakKeyDictionary()


def poller_for(conn_id: str, load: SettingsLoader) -> Poller:
    """Return the running event loop's poller of a connection, made if there is none at work."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    if conn_id not in pollers:
        pollers[conn_id] = Poller(load, on_idle=lambda: pollers.__delitem__(conn_id))
    return pollers[conn_id]
