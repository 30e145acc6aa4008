# SPDX-License-Identifier: Apache-2.0
"""However many connections a triggerer has, its calls have a bound, and each connection has some."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from airflow_provider_trim.emulator import Hold, TrimEmulator
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.pollers import MAX_CALLS_OF_LOOP, calls_of_each, poller_for
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.emulators import settings_for


@pytest.mark.parametrize(("pollers", "calls"), [(1, 64), (8, 64), (9, 56), (50, 10), (200, 4), (10_000, 4)])
def test_many_pollers_of_a_loop_share_its_calls(pollers: int, calls: int) -> None:
    assert calls_of_each(pollers) == calls
    assert calls == 4 or pollers * calls <= MAX_CALLS_OF_LOOP


@asynccontextmanager
async def waiting(conn_id: str, settings: TrimSettings, trims: int) -> AsyncIterator[None]:
    async def load() -> TrimSettings:
        return settings

    poller = poller_for(conn_id, load)
    states = [PollState(f"{conn_id}-{number}", WaitOptions(), now=0.0) for number in range(trims)]
    waits = [asyncio.create_task(poller.wait(state)) for state in states]
    try:
        yield
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def test_calls_of_many_connections_that_hang(emulator: TrimEmulator) -> None:
    """Of thirteen connections with fifty waits each, thirty-nine calls of each are under way."""
    hold = Hold()
    emulator.misbehave(None, hold, repeat=True)
    settings = settings_for(emulator, quota="off")
    async with AsyncExitStack() as stack:
        for number in range(13):
            await stack.enter_async_context(waiting(f"conn{number}", settings, 50))
        await asyncio.to_thread(hold.wait_until_held, 13 * 39)
        assert hold.held == 13 * 39
    await asyncio.to_thread(hold.wait_until_left)
