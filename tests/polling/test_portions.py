# SPDX-License-Identifier: Apache-2.0
"""How much is done in one go of the event loop, counted: other triggers of the process have their turns in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import pytest

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.polling import schedule as scheduling
from airflow_provider_trim.polling.budget import CallBudget, WaitingTrim
from airflow_provider_trim.polling.expiry import PORTION as ENDING
from airflow_provider_trim.polling.group import PORTION as BEGINNING
from airflow_provider_trim.polling.group import WaitGroup, wait_for_group
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.policy import ExpectedDelayPolicy
from airflow_provider_trim.polling.poller import MAX_CONCURRENT_CALLS, Poller
from airflow_provider_trim.polling.schedule import Schedule
from airflow_provider_trim.vod.errors import TrimTransportError
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.emulators import settings_for

NOW = 1000.0


class CountingPolicy(ExpectedDelayPolicy):
    """Counts how often it is asked when a trim is due."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = self.planned = 0

    def due_at(self, trim: WaitingTrim) -> float:
        self.asked += 1
        return super().due_at(trim)

    def replan(self, trims: Collection[WaitingTrim], budget: CallBudget) -> bool:
        changed = super().replan(trims, budget)
        self.planned += changed
        return changed

    def take(self) -> int:
        asked, self.asked = self.asked, 0
        return asked


def put(schedule: Schedule, number: int, now: float = NOW) -> None:
    schedule.upsert(str(number), started_at=now, interval=10.0, not_before=now, task=f"task {number % 3}")


def scarce(policy: CountingPolicy, size: int, calls: int = 300) -> Schedule:
    schedule = Schedule(policy)
    schedule.set_quota(calls, 300.0)
    for number in range(size):
        put(schedule, number)
    return schedule


def steps(schedule: Schedule, policy: CountingPolicy, now: float) -> list[int]:
    """Take all steps, and return how often each asked the policy."""
    policy.take()
    asked, done = [], False
    while not done:
        done = schedule.settle(now)
        asked.append(policy.take())
    return asked


def test_a_new_price_moves_trims_in_portions() -> None:
    policy = CountingPolicy()
    schedule = scarce(policy, 10_000)
    for now in (NOW, NOW + 400.0):
        asked = steps(schedule, policy, now)
        assert max(asked) <= scheduling.PORTION
        assert sum(asked) == 10_000
        schedule.set_quota(200, 300.0)
    assert policy.planned == 2
    schedule.next_due_at()
    assert schedule.pop_due(NOW + 4000.0) is not None


def test_a_few_trims_take_one_step() -> None:
    policy = CountingPolicy()
    assert steps(scarce(policy, scheduling.PORTION), policy, NOW) == [scheduling.PORTION]


def test_trims_that_are_due_at_once_line_up_in_portions() -> None:
    policy = CountingPolicy()
    schedule = scarce(policy, 3 * scheduling.PORTION)
    steps(schedule, policy, NOW)
    assert len(steps(schedule, policy, NOW + 4000.0)) >= 3


def test_what_happens_between_two_steps_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "PORTION", 7)
    policy = CountingPolicy()
    schedule, plain = scarce(policy, 100), scarce(CountingPolicy(), 100)
    plain.next_due_at()
    step = 0
    while not schedule.settle(NOW):
        step += 1
        for each in (schedule, plain):
            if step == 2:
                each.discard("9")
            elif step == 3:
                put(each, 100)
            elif step == 4:
                each.expedite("50", NOW)
    assert step > 4
    assert schedule.pop_due(NOW) == plain.pop_due(NOW) == "50"
    known = [str(number) for number in range(101)]
    assert [schedule.due_at(key) for key in known] == [plain.due_at(key) for key in known]
    order = []
    for each in (schedule, plain):
        order.append([])
        while (key := each.pop_due(NOW + 4000.0, call=False)) is not None:
            order[-1].append(key)
    assert order[0] == order[1]
    assert len(order[0]) == 99


async def most_in_one_go(policy: CountingPolicy, over: Callable[[], bool]) -> int:
    """Return how often the policy was asked in one go of the event loop at most, until something is over."""
    most = 0
    while not over():
        await asyncio.sleep(0)
        most = max(most, policy.take())
    return most


async def test_no_step_of_a_poller_moves_all_its_trims() -> None:
    """5,000 waits begin and are cancelled, and each time that a twentieth of them has come or gone, prices change."""
    size, policy = 5000, CountingPolicy()
    schedule = Schedule(policy)
    with TrimEmulator() as emulator:
        connection = settings_for(emulator, quota="300/5 minutes")

        async def load() -> TrimSettings:
            return connection

        poller = Poller(load, schedule=schedule)
        group = WaitGroup.begin([f"t{number}" for number in range(size)], WaitOptions(), stop_at_failure=False)
        waiting = asyncio.create_task(wait_for_group(poller.wait, group, lambda _: None))
        most = await most_in_one_go(policy, lambda: len(schedule) == size and policy.planned > 0)
        begun = policy.planned
        waiting.cancel()
        most = max(most, await most_in_one_go(policy, waiting.done))
        assert waiting.cancelled()
    assert policy.planned > begun + 2
    assert most <= scheduling.PORTION + BEGINNING + MAX_CONCURRENT_CALLS


async def test_an_error_that_keeps_all_from_being_polled_ends_them_in_portions() -> None:
    """Without a connection, each of the trims takes note of why it can't be polled."""
    size, policy = 2000, CountingPolicy()

    async def load() -> TrimSettings:
        raise TrimTransportError("no connection")

    poller = Poller(load, schedule=Schedule(policy))
    options = WaitOptions(max_consecutive_failures=1)
    group = WaitGroup.begin([f"t{number}" for number in range(size)], options, stop_at_failure=False)
    waiting = asyncio.create_task(wait_for_group(poller.wait, group, lambda _: None))
    ended = most = 0
    while not waiting.done():
        await asyncio.sleep(0)
        most, ended = max(most, group.failed - ended), group.failed
    assert ended == size
    assert most <= ENDING + 1
