# SPDX-License-Identifier: Apache-2.0
"""Background tasks that outlive exceptions, by an injected clock and sleep."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from airflow_provider_trim.supervision import MAX_RESTART_DELAY, MIN_RESTART_DELAY, STABLE_AFTER, supervise
from tests.support.clocks import Clock

LOG = logging.getLogger("tests.supervision")


class Supervised:
    """Something that fails a few times, after it has run for some seconds each time.

    :param outcomes: an exception to raise, or None to return
    """

    def __init__(self, *outcomes: BaseException | None, runs_for: float = 0.0) -> None:
        self.outcomes = list(outcomes)
        self.runs_for = runs_for
        self.clock = Clock()
        self.delays: list[float] = []

    async def run(self) -> None:
        self.clock.advance(self.runs_for)
        outcome = self.outcomes.pop(0)
        if outcome is not None:
            raise outcome

    async def sleep(self, seconds: float) -> None:
        self.delays.append(seconds)
        self.clock.advance(seconds)

    def start(self, run: Callable[[], Awaitable[object]] | None = None) -> asyncio.Task[None]:
        work = supervise("the work", run or self.run, LOG, sleep=self.sleep, clock=self.clock)
        return asyncio.create_task(work)


async def test_it_ends_when_the_work_returns() -> None:
    work = Supervised(None)
    await work.start()
    assert work.delays == []


async def test_the_work_is_started_again_with_growing_delays(caplog: pytest.LogCaptureFixture) -> None:
    work = Supervised(*[LookupError("a bug")] * 15, None)
    await work.start()
    assert work.delays[:4] == pytest.approx([MIN_RESTART_DELAY * factor for factor in (1, 2, 4, 8)])
    assert work.delays[-1] == MAX_RESTART_DELAY
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 15
    assert caplog.messages[0] == "the work failed unexpectedly; restarting it in 0.1 s"
    assert "LookupError: a bug" in caplog.text


async def test_work_that_ran_for_long_is_started_again_soon() -> None:
    work = Supervised(*[LookupError("a bug")] * 5, None, runs_for=STABLE_AFTER)
    await work.start()
    assert work.delays == [MIN_RESTART_DELAY] * 5


async def test_cancellation_is_no_failure() -> None:
    forever = asyncio.Event()
    work = Supervised()
    task = work.start(forever.wait)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.delays == []


async def test_cancellation_ends_the_delay_as_well() -> None:
    begun, forever = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        begun.set()
        await forever.wait()

    work = Supervised(LookupError("a bug"))
    task = asyncio.create_task(supervise("the work", work.run, LOG, sleep=sleep, clock=work.clock))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_cancelled_error_without_a_cancellation_is_a_failure() -> None:
    """As a library raises it whose own task was cancelled."""
    work = Supervised(asyncio.CancelledError(), None)
    await work.start()
    assert work.delays == [MIN_RESTART_DELAY]
