# SPDX-License-Identifier: Apache-2.0
"""Several waits of one task: their progress, and when they are finished."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, Self

from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.state import FIRST_PROGRESS_LOG, MAX_PROGRESS_LOG_INTERVAL, PollState
from airflow_provider_trim.polling.verdicts import Success, Verdict

PORTION = 250
"""Waits that begin or are cancelled in one go of the event loop, which takes some milliseconds."""

Verdicts = list[Verdict | None]
"""One for each wait, in the order of the transNos; None for a wait that was ended without one."""


class WaitGroup:
    """The waits of one task, and their verdicts.

    :param states: one for each trim
    :param stop_at_failure: the first wait that ends without success ends them all
    """

    def __init__(self, states: Sequence[PollState], *, stop_at_failure: bool) -> None:
        self.states = states
        self.verdicts: Verdicts = [None] * len(states)
        self.successful = 0
        """Waits that have ended with success."""
        self.failed = 0
        """Waits that have ended without."""
        self._stop_at_failure = stop_at_failure
        self._started_at = min((state.started_at for state in states), default=0.0)
        self._log_at = self._started_at + FIRST_PROGRESS_LOG

    @classmethod
    def begin(
        cls,
        trans_nos: Iterable[str],
        options: WaitOptions,
        *,
        stop_at_failure: bool,
        clock: Callable[[], float] | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> Self:
        """Begin to wait for trims.

        Only times that cross processes are on the wall clock, which may jump; within this process they are not.

        :param options: how to wait for each; its times are Unix seconds
        :param clock: seconds, monotonic
        :param wall_clock: Unix seconds
        """
        now = time.monotonic() if clock is None else clock()
        options = options.shifted(now - wall_clock())
        return cls([PollState(name, options, now=now) for name in trans_nos], stop_at_failure=stop_at_failure)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to wait for."""
        all_ended = self.successful + self.failed == len(self.states)
        return all_ended or (self._stop_at_failure and self.failed > 0)

    def pending(self) -> list[tuple[int, PollState]]:
        """Return the waits without a verdict, with their places."""
        return [(place, state) for place, state in enumerate(self.states) if self.verdicts[place] is None]

    def record(self, place: int, verdict: Verdict) -> None:
        """Record the verdict of one wait."""
        if self.verdicts[place] is None:
            self.verdicts[place] = verdict
            self.successful += isinstance(verdict, Success)
            self.failed += not isinstance(verdict, Success)

    def progress_line(self, now: float) -> str:
        """Return a line for the log, such as "17/40 done, 1 failed; longest wait 4 min 10 s"."""
        text = f"{self.successful}/{len(self.states)} done, {self.failed} failed"
        if pending := self.pending():
            minutes, seconds = divmod(int(now - min(state.started_at for _, state in pending)), 60)
            text += f"; longest wait {minutes} min {seconds} s" if minutes else f"; longest wait {seconds} s"
        return text

    def should_log(self, now: float) -> bool:
        """Return whether it is time for a line in the log: after a minute, two, four and so on."""
        if len(self.states) < 2 or now < self._log_at:
            return False
        self._log_at = now + min(max(FIRST_PROGRESS_LOG, now - self._started_at), MAX_PROGRESS_LOG_INTERVAL)
        return True

    def seconds_until_log(self, now: float) -> float:
        """Return the seconds until the next line of several waits; a single one logs its progress itself."""
        return max(0.0, self._log_at - now)


async def wait_for_group(
    wait: Callable[[PollState], Coroutine[Any, Any, Verdict]],
    group: WaitGroup,
    report: Callable[[str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Verdicts:
    """Wait until a group is finished; waits that are ended without a verdict are cancelled.

    :param wait: waits for one trim, in the running event loop
    :param report: takes a line for the log now and then
    :param clock: seconds, the same as the states'
    """
    if len(group.states) == 1 and not group.finished:
        # Without a task of its own: Airflow may cancel thousands of triggers in one go of the event loop.
        group.record(0, await wait(group.states[0]))
        return group.verdicts
    ended: asyncio.Queue[asyncio.Task[Verdict]] = asyncio.Queue()
    places: dict[asyncio.Task[Verdict], int] = {}
    try:
        for place, state in group.pending():
            task = asyncio.ensure_future(wait(state))
            places[task] = place
            task.add_done_callback(ended.put_nowait)
            if not len(places) % PORTION:
                await asyncio.sleep(0)
        while not group.finished:
            over = None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(group.seconds_until_log(clock())):
                    over = await ended.get()
            if over is not None:  # its own TimeoutError, if it has one, must be seen
                group.record(places[over], over.result())
            if group.should_log(clock()):
                report(group.progress_line(clock()))
        return group.verdicts
    finally:
        await _cancel_all(places)


async def _cancel_all(tasks: Collection[asyncio.Task[Verdict]]) -> None:
    """Cancel tasks and wait for their end, without holding up the event loop."""
    try:
        for number, task in enumerate(tasks, 1):
            task.cancel()
            if not number % PORTION:
                await asyncio.sleep(0)
    finally:  # even if this is cancelled on the way
        for task in tasks:
            task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # or asyncio would log those that nothing waits for any more
