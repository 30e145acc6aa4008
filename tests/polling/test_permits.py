# SPDX-License-Identifier: Apache-2.0
"""A poller's dealings with rate limiters that work, fail, hang and return nonsense."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from airflow_provider_trim.polling.permits import MAX_PERMIT_WAIT, Permits, durations_of
from airflow_provider_trim.polling.policy import ExpectedDelayPolicy
from airflow_provider_trim.polling.round_robin import RoundRobinPolicy
from airflow_provider_trim.polling.schedule import Schedule
from airflow_provider_trim.ratelimit.limiter import RateLimiter
from airflow_provider_trim.vod.errors import TrimTransportError
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.clocks import Clock, no_jitter


def limiter(quota: str = "10/100 seconds") -> tuple[RateLimiter, TrimSettings]:
    settings = TrimSettings.from_connection(login="me", password="t", extra={"quota": quota})
    return RateLimiter(settings, clock=Clock(), jitter=no_jitter), settings  # which it holds only weakly


class FaultyLimiter:
    """A limiter of which one thing is wrong."""

    calls: Any = 10
    window: Any = 100.0
    knowledge = None

    def __init__(self, pause: Any = 0.0, **wrong: Any) -> None:
        self.pause = pause
        for name, value in wrong.items():
            setattr(self, name, value)

    def planned_calls(self, owner: object) -> Any:
        return self.calls

    def report_waiting(self, owner: object, trims: int) -> None:
        pass

    def forget(self, owner: object) -> None:
        pass

    async def aacquire(self) -> float:
        if isinstance(self.pause, BaseException):
            raise self.pause
        if callable(self.pause):
            await self.pause()
        pause: float = self.pause
        return pause


@pytest.fixture
def schedule() -> Schedule:
    return Schedule(RoundRobinPolicy())


@pytest.fixture
def permits(schedule: Schedule) -> Permits:
    return Permits(schedule)


async def test_permit_is_acquired_reported_and_forgotten(permits: Permits) -> None:
    one, _settings = limiter()
    assert permits.usage() == ""
    assert await permits.acquire(one, 7) == 0.0
    assert (one.waiting, permits.usage()) == (7, "quota 1/10 used")
    permits.release()
    assert permits.usage() == "quota 0/10 used"
    permits.forget()
    permits.forget()
    assert one.waiting == 0


async def test_what_was_learned_of_an_account_is_kept_when_its_poller_ends() -> None:
    """Scheduled pipelines come in bursts, and a poller ends with its last wait."""
    (one, _first), (other, _second) = limiter(), limiter()
    for _ in range(2):
        schedule = Schedule(ExpectedDelayPolicy())
        permits = Permits(schedule)
        await permits.acquire(one, 1)
        schedule.upsert("a", started_at=0.0, interval=10.0, not_before=0.0)
        schedule.record("a", 300.0, finished=False)
        permits.forget()
    durations_of(one).all.recompute()
    assert durations_of(one).all.survival_at(250.0) > durations_of(other).all.survival_at(250.0)


async def test_limiter_of_another_account_is_reported_to_instead(permits: Permits) -> None:
    (one, _first), (other, _second) = limiter(), limiter()
    await permits.acquire(one, 3)
    await permits.acquire(other, 4)
    assert (one.waiting, other.waiting) == (0, 4)


async def test_wait_for_a_permit_has_an_end(permits: Permits) -> None:
    """After which the poller decides again."""
    one, _settings = limiter("1/100 seconds")
    assert await permits.acquire(one, 1) == 0.0
    assert await permits.acquire(one, 1) == MAX_PERMIT_WAIT


@pytest.mark.parametrize(
    ("pause", "expected"), [(2.5, 2.5), (1e9, 5.0), (math.inf, 5.0), (math.nan, 5.0), (-1.0, 0.0), (0.0, 0.0)]
)
async def test_pause_that_a_limiter_returns_is_bounded(permits: Permits, pause: float, expected: float) -> None:
    assert await permits.acquire(FaultyLimiter(pause), 1) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("faulty", [FaultyLimiter(LookupError("a bug")), FaultyLimiter(pause="soon")])
async def test_failing_limiter_is_a_passing_failure(permits: Permits, faulty: Any) -> None:
    with pytest.raises(TrimTransportError, match="the rate limiter failed: ") as raised:
        await permits.acquire(faulty, 1)
    assert raised.value.retryable


async def test_hanging_limiter_is_a_passing_failure(schedule: Schedule) -> None:
    permits = Permits(schedule, timeout=0.01)
    with pytest.raises(TrimTransportError, match="did not respond within"):
        await permits.acquire(FaultyLimiter(asyncio.Event().wait), 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"window": math.nan}, {"window": -5.0}, {"calls": -3}, {"calls": 0}, {"window": 0.0}]
)
async def test_nonsense_about_the_quota_loses_no_trim(permits: Permits, schedule: Schedule, wrong: Any) -> None:
    for number in range(50):
        schedule.upsert(f"t{number}", started_at=0.0, interval=0.5, not_before=0.0)
    await permits.acquire(FaultyLimiter(**wrong), 50)  # type: ignore[arg-type]
    now, polled = 0.0, set()
    while len(polled) < 50:
        due = schedule.next_due_at()
        assert due is not None
        assert now <= 50 * 3600.0
        now = max(now, due)
        if (key := schedule.pop_due(now)) is not None:
            polled.add(key)
