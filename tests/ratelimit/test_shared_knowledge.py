# SPDX-License-Identifier: Apache-2.0
"""What processes learn from each other, through a real Redis."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trim.polling.account_durations import AccountDurations
from airflow_provider_trim.polling.permits import Permits, durations_of
from airflow_provider_trim.polling.policy import ExpectedDelayPolicy
from airflow_provider_trim.polling.schedule import Schedule
from airflow_provider_trim.ratelimit.limiter import RateLimiter
from airflow_provider_trim.ratelimit.shared_knowledge import (
    EXCHANGE_INTERVAL,
    KNOWLEDGE_TTL,
    MAX_TEXT,
    SharedKnowledge,
)
from airflow_provider_trim.ratelimit.storage import connect
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.clocks import Clock
from tests.support.redis_server import RedisServer, storage_in_this_thread


def knowledge(server: RedisServer, account: str = "account") -> SharedKnowledge:
    clock = itertools.count(step=EXCHANGE_INTERVAL).__next__
    return SharedKnowledge(storage_in_this_thread(connect(server.url)), account, clock=clock)


def received(process: SharedKnowledge, text: str, weight: int) -> bytes | None:
    process.exchange_soon(lambda: text, weight)
    return process.take()


def test_the_process_that_knows_less_reads_and_the_one_that_knows_most_writes(redis: RedisServer, client: Any) -> None:
    one, other, stranger = knowledge(redis), knowledge(redis), knowledge(redis, "another account")
    assert received(other, "nothing", 0) is None
    assert not client.keys()
    assert received(one, "much", 40) is None
    assert received(other, "little", 3) == b"much"
    assert other.take() is None
    assert received(stranger, "little", 3) is None
    assert received(other, "more", 41) is None
    assert received(one, "much", 40) == b"more"


def test_what_is_kept_expires(redis: RedisServer, client: Any) -> None:
    received(knowledge(redis), "text", 1)
    (key,) = client.keys()
    assert 0 < client.ttl(key) <= KNOWLEDGE_TTL


@pytest.mark.parametrize(
    "stored",
    [
        {"text": "x" * (MAX_TEXT + 1), "weight": "900"},
        {"text": "x", "weight": "1e9"},
        {"text": "x", "weight": "inf"},
        {"text": "x", "weight": "many"},
        {"text": "x"},
        {"weight": "900"},
    ],
)
def test_what_is_none_of_ours_is_replaced(redis: RedisServer, client: Any, stored: dict[str, str]) -> None:
    process = knowledge(redis)
    received(process, "text", 1)
    (key,) = client.keys()
    client.delete(key)
    client.hset(key, mapping=stored)
    assert received(process, "text", 1) is None
    assert client.hgetall(key) == {b"text": b"text", b"weight": b"1"}


def test_text_that_was_rejected_is_replaced_whatever_it_weighs(redis: RedisServer) -> None:
    one, other = knowledge(redis), knowledge(redis)
    received(one, "gibberish", 500)
    assert received(other, "text", 1) == b"gibberish"
    other.reject()
    assert received(other, "text", 1) is None
    assert received(knowledge(redis), "less", 0) == b"text"


def test_nothing_fails_with_a_key_of_another_kind(redis: RedisServer, client: Any) -> None:
    process = knowledge(redis)
    received(process, "text", 1)
    (key,) = client.keys()
    client.set(key, "text")
    assert received(process, "text", 1) is None


def test_nothing_fails_without_redis() -> None:
    with RedisServer() as server:
        process = knowledge(server)
    assert received(process, "text", 1) is None


class Process:
    """A poller's permits, with everything else a process has."""

    def __init__(self, server: RedisServer) -> None:
        extra = {"quota": "300/5 minutes", "quota_storage": server.url}
        self._settings = TrimSettings.from_connection(login="me", password="t", extra=extra)
        self._clock = Clock()
        self._limiter = RateLimiter(self._settings, clock=self._clock)
        self._schedule = Schedule(ExpectedDelayPolicy())
        self._permits = Permits(self._schedule)

    @property
    def durations(self) -> AccountDurations:
        return durations_of(self._limiter)

    async def poll(self) -> None:
        """Acquire a permit, some time after the last exchange."""
        self._clock.now += EXCHANGE_INTERVAL
        assert not await self._permits.acquire(self._limiter, 1)

    async def poll_until(self, true: Callable[[], bool]) -> None:
        """Poll until something is true; while an exchange is under way, there is no other."""
        async with asyncio.timeout(60):
            while not true():
                await self.poll()
                await asyncio.sleep(0.01)

    def learn(self, seconds: float, trims: int = 30) -> None:
        """Find trims that take a number of seconds."""
        for number in range(trims):
            key = str(number)
            self._schedule.upsert(key, started_at=0.0, interval=10.0, not_before=0.0)
            self._schedule.pop_due(seconds)
            self._schedule.record(key, seconds * 0.9, finished=False)
            self._schedule.record(key, seconds, finished=True)
            self._schedule.discard(key)
            self._schedule.next_due_at()
        self.durations.all.recompute()


async def test_a_process_that_starts_learns_what_others_know(redis: RedisServer, client: Any) -> None:
    experienced, started = Process(redis), Process(redis)
    await experienced.poll()
    experienced.learn(20.0)
    await experienced.poll_until(lambda: any(client.scan_iter("*durations*")))
    assert started.durations.all.survival_at(25.0) > 0.3
    await started.poll_until(lambda: started.durations.all.survival_at(25.0) <= 0.1)
    assert started.durations.all.survival_at(15.0) > 0.9


@pytest.mark.parametrize(
    "text",
    [b"gibberish", b"\xff", b"[]", b"{}", b"7", b"[NaN]", b"[" * 5000, b"[-1, 1]"],
    ids=lambda text: repr(text[:9]),
)
async def test_what_cannot_be_read_changes_nothing_and_is_replaced(
    redis: RedisServer, client: Any, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    process = Process(redis)
    await process.poll()
    process.learn(20.0)
    await process.poll_until(lambda: any(client.scan_iter("*durations*")))
    (key,) = client.scan_iter("*durations*")
    client.hset(key, mapping={"text": text, "weight": 999})
    await process.poll_until(lambda: client.hget(key, "text") != text)
    assert process.durations.all.survival_at(25.0) < 0.1
    assert [record.levelname for record in caplog.records] == ["WARNING"]
