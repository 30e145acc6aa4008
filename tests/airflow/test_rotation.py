# SPDX-License-Identifier: Apache-2.0
"""A token that changes while many wait: the connection is reloaded, once, and no wait fails."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.polling.poller import MAX_CONCURRENT_CALLS
from airflow_provider_trim.polling.verdicts import Success
from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger
from tests.support.emulators import set_connection
from tests.support.waits import verdicts_of

pytestmark = [pytest.mark.filterwarnings("error::ResourceWarning"), pytest.mark.usefixtures("no_old_garbage")]

TASKS = 100
NAMES = [f"T{number}" for number in range(TASKS)]


def connect(monkeypatch: pytest.MonkeyPatch, emulator: TrimEmulator, token: str) -> None:
    set_connection(monkeypatch, emulator, password=token, quota="off")


async def event(trans_no: str) -> Any:
    trigger = TrimTaskStatusTrigger(trans_no, poll_interval=0.2, max_consecutive_failures=4)
    (found,) = [event.payload async for event in trigger.run()]
    (verdict,) = verdicts_of(found)
    return verdict


async def waiting(emulator: TrimEmulator) -> list[asyncio.Task[Any]]:
    """A hundred waits, each of which has been answered once."""
    for name in NAMES:
        emulator.add_trim(name, seconds=math.inf)
    tasks = [asyncio.create_task(event(name)) for name in NAMES]
    await emulator.async_wait_for_calls(TASKS, timeout=60)
    return tasks


@pytest.mark.parametrize("first", ["connection", "service"])
async def test_rotated_token_fails_no_wait(emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    """Whichever is changed first; the other follows while refused polls still wait for their second attempt."""
    connect(monkeypatch, emulator, emulator.token)
    tasks = await waiting(emulator)
    if first == "connection":
        connect(monkeypatch, emulator, "a-new-token")
    refused = len([call for call in emulator.calls if call.http_status == 401])
    assert refused == 0
    emulator.token = "a-new-token"
    connect(monkeypatch, emulator, "a-new-token")
    for name in NAMES:
        emulator.finish(name)
    events = await asyncio.wait_for(asyncio.gather(*tasks), 60)
    assert all(isinstance(found, Success) for found in events), events[0]
    refused = len([call for call in emulator.calls if call.http_status == 401])
    assert 1 <= refused <= TASKS


async def test_a_token_that_stays_wrong_fails_all_after_a_few_calls(
    emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, emulator, emulator.token)
    tasks = await waiting(emulator)
    emulator.token = "a-new-token"
    events = await asyncio.wait_for(asyncio.gather(*tasks), 60)
    assert all(not isinstance(found, Success) for found in events), events[0]
    # Those that were in flight together, at most as many as can be, and then one call for each reload.
    refused = [call for call in emulator.calls if call.http_status == 401]
    assert len(refused) <= MAX_CONCURRENT_CALLS + 4
