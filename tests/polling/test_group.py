# SPDX-License-Identifier: Apache-2.0
"""Several waits of one task, by an injected clock."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_trim.polling.group import WaitGroup, wait_for_group
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.verdicts import TimedOut, Verdict

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
