# SPDX-License-Identifier: Apache-2.0
"""Every caller takes part in the account's quota: the emulator counts, and never has to refuse one."""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_trim.emulator import HttpError, ServiceData, TrimEmulator
from airflow_provider_trim.hooks.trim import TrimApiHook
from airflow_provider_trim.polling import expiry
from airflow_provider_trim.polling.verdicts import Success
from airflow_provider_trim.ratelimit.limiter import RateLimiter, limiters
from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger
from airflow_provider_trim.vod.errors import TrimQuotaExceededError
from tests.support.emulators import set_connection
from tests.support.waits import AirflowRescheduleException, TaskInstance, operator, sensor, verdicts_of, video

CALLS, SECONDS = 4, 1
PROCESSING = ServiceData({"taskId": "task", "transNo": "T", "status": 1})


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[TrimEmulator]:
    """An emulator with a small quota, as the connections trim_default and trim_again."""
    with TrimEmulator(quota=(CALLS, SECONDS), clock=time.time) as emulator:
        for conn_id in ("trim_default", "trim_again"):
            set_connection(monkeypatch, emulator, conn_id, quota=f"{CALLS}/{SECONDS} second", timeout=10)
        yield emulator
        assert emulator.rate_limited == 0


def use_up(emulator: TrimEmulator) -> None:
    """Make all calls that the quota has."""
    emulator.add_trim("other", seconds=math.inf)
    with TrimApiHook() as hook:
        for _ in range(CALLS):
            hook.query_once("other")
        with pytest.raises(TrimQuotaExceededError) as quota_exhausted:
            hook.query_once("other")
    assert quota_exhausted.value.http_status is None
    assert 0 < quota_exhausted.value.retry_after <= SECONDS + 1
    emulator.clear_calls()


def test_a_submission_waits_its_turn_within_its_timeout(
    trim_default: TrimEmulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not just for the length of a call: hundreds of mapped tasks submit at once."""
    caplog.set_level(logging.INFO)
    set_connection(monkeypatch, trim_default, quota="1/5 minutes")

    def submit(run_id: str, timeout: float) -> None:
        video("poke", TaskInstance(run_id=run_id), timeout=timeout, wait_for_completion=False).run()

    with time_machine.travel(time.time()) as traveller:
        start, slept = time.monotonic(), 0.0

        def sleep(seconds: float) -> None:
            nonlocal slept
            slept += seconds
            traveller.shift(seconds)

        monkeypatch.setattr(time, "sleep", sleep)
        limiters.clear(functools.partial(RateLimiter, clock=lambda: start + slept))
        submit("first", 3600)
        with pytest.raises(TrimQuotaExceededError, match="call quota is exhausted"):
            submit("impatient", 100)
        submit("patient", 3600)
    assert len(trim_default.submissions) == 2
    said = caplog.text + "".join(capfd.readouterr())  # Airflow 3 does not log by way of the standard library
    assert re.search(r"Quota exhausted; waiting 30[2-7] s", said)


@pytest.mark.parametrize("make", [sensor, operator])
@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_a_wait_waits_its_turn(counting: TrimEmulator, request: pytest.FixtureRequest, make: Any, mode: str) -> None:
    if mode == "poke":
        request.getfixturevalue("standing_clock")
    counting.add_trim("T", seconds=0)
    counting.misbehave("T", PROCESSING, PROCESSING)
    use_up(counting)
    assert make(mode, max_consecutive_failures=1).run() == counting.video_info("T")
    assert counting.call_count == 3


@pytest.mark.usefixtures("standing_clock")
def test_a_rescheduled_wait_gives_the_worker_back_instead(counting: TrimEmulator) -> None:
    counting.add_trim("T", seconds=0)
    use_up(counting)
    now = time.time()
    wait = sensor("reschedule")
    with pytest.raises(AirflowRescheduleException) as rescheduled:
        wait.operator(**wait.arguments).execute(wait.context)
    assert time.time() == now, "it has paused"
    assert rescheduled.value.reschedule_date.timestamp() > now + 0.5
    assert counting.call_count == 0


@pytest.mark.usefixtures("standing_clock")
@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_list_longer_than_the_quota_ends(counting: TrimEmulator, mode: str) -> None:
    """A rescheduled process starts again, so it waits for the quota rather than forget what it has seen."""
    names = [f"clip-{number}" for number in range(3 * CALLS)]
    for name in names:
        counting.add_trim(name, seconds=0)
    wait = sensor(mode, trans_no=names)
    assert wait.run() == [counting.video_info(name) for name in names]
    assert (counting.call_count, wait.reschedules) == (len(names), [])


@pytest.mark.usefixtures("standing_clock")
def test_a_rescheduled_list_gives_the_worker_back_at_the_first_unfinished(counting: TrimEmulator) -> None:
    names = [*(f"clip-{number}" for number in range(CALLS)), "slow", "later"]
    for name in names:
        counting.add_trim(name, seconds=0)
    counting.misbehave("slow", PROCESSING)
    wait = sensor("reschedule", trans_no=names)
    assert wait.run() == [counting.video_info(name) for name in names]
    assert len(wait.reschedules) == 1
    assert counting.call_count == (CALLS + 1) + len(names)


@pytest.mark.usefixtures("standing_clock")
def test_test_connection_and_retries_wait_their_turn(counting: TrimEmulator) -> None:
    counting.add_trim("T", seconds=0)
    counting.misbehave("T", HttpError(500), HttpError(500))
    use_up(counting)
    assert TrimApiHook().test_connection()[0]
    use_it_again = TrimApiHook()
    assert use_it_again.get_task("T").video_info
    use_it_again.close()


async def test_a_hook_in_an_event_loop_waits_its_turn(counting: TrimEmulator) -> None:
    counting.add_trim("T", seconds=0)
    async with TrimApiHook() as hook:
        for _ in range(CALLS + 2):
            assert (await hook.aget_task("T")).video_info


def test_many_triggers_of_two_connections_to_one_account(counting: TrimEmulator) -> None:
    for number in range(5):
        counting.add_trim(f"clip-{number}", seconds=0)

    async def run() -> list[Any]:
        triggers = [
            TrimTaskStatusTrigger(f"clip-{number}", conn_id, poll_interval=0.05)
            for number in range(5)
            for conn_id in ("trim_default", "trim_again")
        ]
        events = await asyncio.gather(*(anext(trigger.run()) for trigger in triggers))
        return [verdict for event in events for verdict in verdicts_of(event.payload)]

    verdicts = asyncio.run(run())
    assert len(verdicts) == 10
    assert all(isinstance(verdict, Success) for verdict in verdicts)
    assert counting.call_count == 10


def test_http_429_pauses_the_whole_connection(trim_default: TrimEmulator) -> None:
    """HTTP 429 for one trim, and no other is asked until Retry-After has passed, save those under way."""
    for name in ("a", "b", "c"):
        trim_default.add_trim(name, seconds=math.inf)
    trim_default.misbehave("a", HttpError(429, headers={"Retry-After": "1"}))

    async def run() -> None:
        deadline = time.time() + 1.6
        triggers = [TrimTaskStatusTrigger(name, poll_interval=0.05, deadline=deadline) for name in ("a", "b", "c")]
        await asyncio.gather(*(anext(trigger.run()) for trigger in triggers))

    asyncio.run(run())
    (refused,) = [call.time for call in trim_default.calls if call.http_status == 429]
    later = [call for call in trim_default.calls if call.time > refused]
    at_once = [call.trans_no for call in later if call.time < refused + 1.0]
    assert sorted(at_once) in ([], ["b"], ["b", "c"], ["c"])
    assert len(later) > len(at_once)


def test_a_wait_that_gets_no_turn_ends_at_its_deadline(
    trim_default: TrimEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service wants to be left alone for an hour: the timeout comes all the same."""
    monkeypatch.setattr(expiry, "EXPIRY_GRACE", 0.2)  # half a minute by default
    trim_default.add_trim("T", seconds=0)
    trim_default.misbehave("T", HttpError(429, headers={"Retry-After": "3600"}), repeat=True)
    with pytest.raises(AirflowSensorTimeout, match="quota"):
        sensor("deferrable", timeout=0.3).run()
    assert trim_default.call_count == 1
