# SPDX-License-Identifier: Apache-2.0
"""Several waits of one task: how far they are, and when they are over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from airflow_provider_trim.polling.state import FIRST_PROGRESS_LOG, PollState, Success, Verdict

Verdicts = list[Verdict | None]
"""One for each wait, in the order asked; None where the wait was given up undecided."""


class WaitGroup:
    """Counts the verdicts of several waits.

    :param watches: the waits, in the order asked
    :param stop_at_failure: the first wait that ends without success ends them all
    """

    def __init__(self, watches: Sequence[PollState], *, stop_at_failure: bool) -> None:
        self.watches = watches
        self.verdicts: Verdicts = [None] * len(watches)
        self._stop_at_failure = stop_at_failure
        self._started_at = min((watch.started_at for watch in watches), default=0.0)
        self._report_at = self._started_at + FIRST_PROGRESS_LOG

    @property
    def failed(self) -> int:
        """How many waits have ended without success."""
        return sum(verdict is not None and not isinstance(verdict, Success) for verdict in self.verdicts)

    @property
    def over(self) -> bool:
        """Whether nothing is left to wait for."""
        return None not in self.verdicts or (self._stop_at_failure and self.failed > 0)

    def open(self) -> list[tuple[int, PollState]]:
        """Return the waits without verdict, with their places."""
        return [(place, watch) for place, watch in enumerate(self.watches) if self.verdicts[place] is None]

    def time_out(self) -> None:
        """End the waits without verdict: their time is over."""
        for place, watch in self.open():
            self.verdicts[place] = watch.timed_out()

    def progress(self, now: float) -> str:
        """Return a line for the log, such as "17 of 40 done, 1 failed, oldest waiting 4 min 10 s"."""
        done = sum(isinstance(verdict, Success) for verdict in self.verdicts)
        text = f"{done} of {len(self.watches)} done, {self.failed} failed"
        if waiting := self.open():
            minutes, seconds = divmod(int(now - min(watch.started_at for _, watch in waiting)), 60)
            text += f", oldest waiting {minutes} min {seconds} s" if minutes else f", oldest waiting {seconds} s"
        return text

    def report_due(self, now: float) -> bool:
        """Return whether it is time for a line in the log: after a minute, two, four and so on."""
        if len(self.watches) < 2 or now < self._report_at:
            return False
        self._report_at = now + max(FIRST_PROGRESS_LOG, now - self._started_at)
        return True

    def report_in(self, now: float) -> float | None:
        """Return the seconds until the next line, or None: a single wait says itself how it is."""
        return None if len(self.watches) < 2 else max(0.0, self._report_at - now)


async def wait_for_group(
    wait: Callable[[PollState], Coroutine[Any, Any, Verdict]],
    tally: WaitGroup,
    report: Callable[[str], None],
    *,
    clock: Callable[[], float] = time.time,
) -> Verdicts:
    """Wait until a tally is over; waits that are given up are cancelled.

    :param wait: waits for one trim, in the running event loop
    :param report: takes a line for the log now and then
    """
    waits = {asyncio.ensure_future(wait(watch)): place for place, watch in tally.open()}
    try:
        pending = set(waits)
        while pending and not tally.over:
            done, pending = await asyncio.wait(
                pending, timeout=tally.report_in(clock()), return_when=asyncio.FIRST_COMPLETED
            )
            for over in done:
                tally.verdicts[waits[over]] = over.result()
            if tally.report_due(clock()):
                report(tally.progress(clock()))
        return tally.verdicts
    finally:
        for one in waits:
            one.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
