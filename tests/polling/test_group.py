# SPDX-License-Identifier: Apache-2.0
"""Several waits of one task, by an injected clock."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

import pytest

from airflow_provider_trim.polling import group as group_module
from airflow_provider_trim.polling.group import PORTION, WaitGroup, wait_for_group
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.verdicts import Failure, Success, TimedOut, Verdict
from airflow_provider_trim.vod.errors import TransNoNotFoundError
from tests.callbacks.test_expectation import DONE

NOW = 1_796_000_000.0


@pytest.mark.parametrize(("waits", "lines"), [(0, 0), (1, 0), (2, 1)])
async def test_progress_report_sleeps_between_two_lines(waits: int, lines: int) -> None:
    """After an hour, one line is due where there is more than one wait, and then none for another hour."""
    over, asked, reported = asyncio.Event(), 0, []

    def clock() -> float:
        nonlocal asked
        asked += 1
        return NOW + 3600

    async def wait(state: PollState) -> Verdict:
        await over.wait()
        return TimedOut()

    tally = WaitGroup([PollState(f"t{number}", now=NOW) for number in range(waits)], stop_at_failure=False)
    waiting = asyncio.create_task(wait_for_group(wait, tally, reported.append, clock=clock))
    for _ in range(200):
        await asyncio.sleep(0)
    assert asked < 10
    over.set()
    assert await waiting == [TimedOut()] * waits
    assert len(reported) == lines


def lines_run(module: ModuleType, work: Callable[[], object]) -> int:
    """Return how many lines of a module's code are run, each turn of a loop counted."""
    lines = 0

    def count(frame: FrameType, event: str, _: object) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != module.__file__:
            return None
        lines += event == "line"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("stop_at_failure", [False, True])
def test_costs_are_linear_in_the_number_of_waits(stop_at_failure: bool) -> None:
    """A list of 4,000 waits in one task was quadratic. Operations are counted, not seconds."""

    async def wait(state: PollState) -> Verdict:
        await asyncio.sleep(0)
        return Success(DONE)

    def work(size: int) -> int:
        states = [PollState(f"t{number}", now=NOW) for number in range(size)]
        group = WaitGroup(states, stop_at_failure=stop_at_failure)
        waiting = wait_for_group(wait, group, lambda _: None, clock=lambda: NOW)
        lines = lines_run(group_module, lambda: asyncio.run(waiting))
        assert group.successful == size
        return lines

    assert work(4000) < 10 * work(500)


async def test_waits_that_are_ended_without_a_verdict_are_cancelled() -> None:
    """By the first that fails, where that ends them all."""
    cancelled = []

    async def wait(state: PollState) -> Verdict:
        if state.trans_no == "t1":
            return Failure(TransNoNotFoundError("unknown"))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(state.trans_no)
            raise
        raise AssertionError

    group = WaitGroup([PollState(f"t{number}", now=NOW) for number in range(3)], stop_at_failure=True)
    verdicts = await wait_for_group(wait, group, lambda _: None, clock=lambda: NOW)
    assert [type(verdict) for verdict in verdicts] == [type(None), Failure, type(None)]
    assert sorted(cancelled) == ["t0", "t2"]


@pytest.mark.parametrize("kind", [LookupError, TimeoutError])
async def test_exception_of_one_wait_is_raised_and_cancels_the_others(kind: type[Exception]) -> None:
    async def wait(state: PollState) -> Verdict:
        if state.trans_no == "t1":
            raise kind("a bug")
        await asyncio.Event().wait()
        raise AssertionError

    group = WaitGroup([PollState(f"t{number}", now=NOW) for number in range(3)], stop_at_failure=False)
    with pytest.raises(kind, match="a bug"):
        await wait_for_group(wait, group, lambda _: None, clock=lambda: NOW)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_single_wait_has_no_task_of_its_own() -> None:
    """With one, 10,000 triggers that are cancelled at once held up the event loop four times as long."""
    tasks = []

    async def wait(state: PollState) -> Verdict:
        tasks.append(asyncio.current_task())
        return Success(DONE)

    verdicts = await wait_for_group(wait, WaitGroup([PollState("t", now=NOW)], stop_at_failure=True), tasks.append)
    assert verdicts == [Success(DONE)]
    assert tasks == [asyncio.current_task()]


class EndlessWaits:
    """Waits without end, counted."""

    def __init__(self) -> None:
        self.running = 0

    async def __call__(self, _: PollState) -> Verdict:
        self.running += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.running -= 1
        raise AssertionError("not reached")

    async def reached(self, count: int) -> int:
        """Wait until this number is running, and return by how many it changed in one go of the event loop, at most."""
        most, before = 0, self.running
        while self.running != count:
            await asyncio.sleep(0)
            most, before = max(most, abs(self.running - before)), self.running
        return most


def start_group(waits: EndlessWaits, size: int) -> asyncio.Task[Any]:
    group = WaitGroup.begin([f"t{number}" for number in range(size)], WaitOptions(), stop_at_failure=True)
    return asyncio.create_task(wait_for_group(waits, group, lambda _: None))


async def test_a_long_list_begins_and_ends_without_holding_up_the_event_loop() -> None:
    """Ten thousand waits that began in one go stopped all others of the triggerer for a fifth of a second."""
    waits, size = EndlessWaits(), 3000
    waiting = start_group(waits, size)
    assert await waits.reached(size) <= PORTION
    waiting.cancel()
    assert await waits.reached(0) <= PORTION
    await asyncio.wait({waiting})
    assert waiting.cancelled()


async def test_a_list_that_is_cancelled_twice_leaves_no_wait_behind() -> None:
    waits, size = EndlessWaits(), 3 * PORTION
    waiting = start_group(waits, size)
    await waits.reached(size)
    for _ in range(2):
        waiting.cancel()
        await asyncio.sleep(0)
    await asyncio.wait({waiting})
    await asyncio.sleep(0)
    assert not waits.running
