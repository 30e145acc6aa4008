# SPDX-License-Identifier: Apache-2.0
"""One asyncio task per event loop and connection that asks for all waiting trims.

It starts with the first watch and ends with the last one. All watches share one looked-up connection and one session;
watches of one transNo share their calls. Which trim is asked next is decided by
:class:`~airflow_provider_trim.polling.schedule.Schedule`, and what an answer means by each
:class:`~airflow_provider_trim.polling.watch.Watch`.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_trim.polling.connection import SettingsLoader, SharedConnection
from airflow_provider_trim.polling.quota import Quota, used_up
from airflow_provider_trim.polling.schedule import Schedule
from airflow_provider_trim.polling.signing import sign_once
from airflow_provider_trim.polling.watch import LAST_LOOK_PATIENCE, LookAgain, Verdict, Watch
from airflow_provider_trim.vod.errors import TrimError, TrimTaskFailedError, VideoProcessingError
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from airflow_provider_trim.vod.protocol import build_query, check_trans_no, decipher

LONGEST_PAUSE = 5.0
"""Seconds after which a poller that waits for its turn looks at its watches again."""

SHORTEST_PAUSE = 0.05
"""Seconds for which a poller with nothing to ask rests at least: who comes due meanwhile is asked in one go, since to
wake up for each costs an event loop with many trims more than the calls themselves."""

CONCURRENT_CALLS = 64
"""Calls under way at a time; enough for the rate at which one event loop can decipher answers."""

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Waiter:
    """One watch and who waits for its verdict."""

    watch: Watch
    verdict: asyncio.Future[Verdict]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    """The waiting task's own, so that what is logged about its trim stands in its log."""


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
        self._connection = SharedConnection(load, clock, CONCURRENT_CALLS)
        self._quota: Quota | None = None
        self._schedule = Schedule()
        self._waiters: dict[str, list[_Waiter]] = {}
        self._changed = asyncio.Event()
        self._wakes_at = float("-inf")
        self._slots = asyncio.Semaphore(CONCURRENT_CALLS)
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self._timed_out_at = float("-inf")

    async def wait(self, watch: Watch) -> Verdict:
        """Wait for a trim's verdict. Cancelling this takes the watch out.

        :raises TransNoEmptyError, TransNoIllegalError: the watch's transNo can't be one
        :raises RuntimeError: this poller has ended
        """
        check_trans_no(watch.trans_no)
        if self._ended:
            raise RuntimeError("this poller has ended; poller_for() gives the one at work")
        waiter = _Waiter(watch, asyncio.get_running_loop().create_future())
        try:
            self._add(waiter)
            return await waiter.verdict
        finally:
            self._remove(waiter)

    def _add(self, waiter: _Waiter) -> None:
        trans_no = waiter.watch.trans_no
        self._waiters.setdefault(trans_no, []).append(waiter)
        self._reschedule(trans_no)
        if self._task is None:
            # A context of its own: what the poller logs belongs to no one task.
            self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())

    def _remove(self, waiter: _Waiter) -> None:
        trans_no = waiter.watch.trans_no
        self._waiters[trans_no].remove(waiter)
        if not self._waiters[trans_no]:
            del self._waiters[trans_no]
            self._schedule.discard(trans_no)
            self._changed.set()
        if not self._waiters and self._task is not None:
            self._end()
            self._task.cancel()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._on_idle()

    def _reschedule(self, trans_no: str) -> None:
        """Schedule a trim's next look, unless one is under way: that serves who has come since as well."""
        watches = [waiter.watch for waiter in self._undecided(trans_no)]
        if watches and trans_no not in self._looks:
            deadlines = [watch.deadline for watch in watches if watch.deadline is not None]
            not_before = min(watch.next_look for watch in watches)
            self._schedule.put(
                trans_no,
                since=min(watch.started_at for watch in watches),
                interval=min(watch.interval for watch in watches),
                not_before=not_before,
                deadline=min(deadlines, default=None),
            )
            if not_before < self._wakes_at:
                self._changed.set()

    def _undecided(self, trans_no: str) -> list[_Waiter]:
        return [waiter for waiter in self._waiters.get(trans_no, ()) if not waiter.verdict.done()]

    async def _run(self) -> None:
        try:
            while True:
                await self._slots.acquire()
                trans_no = await self._next()
                self._looks[trans_no] = asyncio.create_task(self._look(trans_no))
        except Exception as error:
            self._end()
            for trans_no in self._waiters:
                self._give_up(self._undecided(trans_no), error)
            raise
        finally:
            looks = list(self._looks.values())
            for look in looks:
                look.cancel()
            try:
                await asyncio.gather(*looks, return_exceptions=True)
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
            quota = (await self._connection.current()).quota
        except TrimError:
            return 0.0  # no call will be made: the look itself runs into the same error and tells the watches
        self._quota = quota
        self._schedule.set_quota(quota.calls, quota.window)
        return await quota.aacquire()

    def _time_out(self, now: float) -> None:
        """End the waits whose last look the quota has held up for too long."""
        if now < self._timed_out_at + 1.0:
            return
        self._timed_out_at = now
        for trans_no, waiters in self._waiters.items():
            for waiter in waiters:
                deadline = waiter.watch.deadline
                if deadline is not None and now >= deadline + LAST_LOOK_PATIENCE and trans_no not in self._looks:
                    self._tell(trans_no, used_up(0.0), 0)
                    break

    async def _look(self, trans_no: str) -> None:
        try:
            outcome, connection = await self._ask(trans_no)
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
            self._give_up(self._undecided(trans_no), error)
        finally:
            self._slots.release()

    async def _ask(self, trans_no: str) -> tuple[TrimTask | TrimError, int]:
        """Return a look's outcome, and the number of the connection's look-up that it was asked with."""
        number = self._connection.number
        try:
            session = await self._connection.current()
            number = self._connection.number
            build = functools.partial(build_query, session.settings, trans_no)
            answer = await session.transport.send(sign_once(build, self._clock()))
            with session.quota.watch_answer():
                task = decipher(
                    answer.status,
                    answer.headers,
                    answer.body,
                    trans_no=trans_no,
                    secret=session.settings.password.get_secret_value(),
                    now=self._clock(),
                )
            return task, number
        except TrimError as error:
            return error, number

    def _tell(self, trans_no: str, outcome: TrimTask | TrimError, connection: int) -> None:
        """Pass a look's outcome on to every watch of the trim."""
        now = self._clock()
        news: list[tuple[_Waiter, LookAgain]] = []
        for waiter in self._undecided(trans_no):
            try:
                decision = waiter.watch.looked(outcome, now, connection=connection)
            except Exception as error:
                self._give_up([waiter], error)
                continue
            if not isinstance(decision, LookAgain):
                waiter.verdict.set_result(decision)
                continue
            if decision.news:
                news.append((waiter, decision))
            if decision.fresh_connection:
                self._connection.refused(connection)
        self._reschedule(trans_no)
        for waiter, decision in news:
            outlook = self._outlook(trans_no, now) if decision.level == logging.INFO else ""
            waiter.context.run(log.log, decision.level, "Trim %s: %s%s", trans_no, decision.news, outlook)

    def _outlook(self, trans_no: str, now: float) -> str:
        """Say when the next look is to be expected, and why not at the interval."""
        due = self._schedule.due(trans_no)
        if self._quota is None or due is None:
            return ""
        return f"; quota: {self._quota.usage()}, next look in about {max(0.0, due - now):.0f} s"

    def _give_up(self, waiters: list[_Waiter], error: Exception) -> None:
        """Raise what must not happen where it is seen: in the tasks that wait for it."""
        for waiter in waiters:
            waiter.verdict.set_exception(error)


_pollers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = weakref.WeakKeyDictionary()


def poller_for(conn_id: str, load: SettingsLoader) -> Poller:
    """Return the running event loop's poller of a connection, made if there is none at work."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    if conn_id not in pollers:
        pollers[conn_id] = Poller(load, on_idle=lambda: pollers.__delitem__(conn_id))
    return pollers[conn_id]
