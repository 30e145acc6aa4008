# SPDX-License-Identifier: Apache-2.0
"""Parts of a shared quota, through a real Redis and by an injected clock."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator

import pytest
from redis import Redis

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.polling.poller import Poller
from airflow_provider_trim.polling.shares import FORGOTTEN_AFTER, REPORT_PAUSE, Shares
from airflow_provider_trim.polling.watch import Watch
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.callback_calls import until
from tests.support.emulators import settings_for
from tests.support.redis_server import RedisServer

NOW = 1_796_000_000.0


class Process:
    """What tells of its waits, on a clock that all share."""

    now = NOW

    def __init__(self, server: RedisServer, account: str = "account") -> None:
        self.client = Redis.from_url(server.url, socket_timeout=60, socket_connect_timeout=60)
        self._shares = Shares(self.client, account, clock=lambda: Process.now)

    def share(self, waiting: int) -> float:
        """Tell, some time after the last time, and return what is its part."""
        Process.now += REPORT_PAUSE
        self._shares.report(waiting)
        return self._shares.share


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def test_share_is_proportional_to_the_waits(redis: RedisServer) -> None:
    one, other, stranger = Process(redis), Process(redis), Process(redis, "another account")
    assert one.share(30) == 1
    assert other.share(10) == 0.25
    assert one.share(30) == 0.75
    assert stranger.share(5) == 1
    assert other.share(90) == 0.75
    assert one.share(30) == 0.25


def test_silent_process_is_forgotten(redis: RedisServer) -> None:
    one, other = Process(redis), Process(redis)
    one.share(30)
    assert other.share(30) == 0.5
    Process.now += FORGOTTEN_AFTER
    assert other.share(30) == 1
    (key,) = one.client.keys()
    assert one.client.hlen(key) == 1
    assert 0 < one.client.ttl(key) <= 2 * FORGOTTEN_AFTER


def test_small_change_leaves_the_share_as_it_is(redis: RedisServer) -> None:
    one, other = Process(redis), Process(redis)
    one.share(100)
    assert other.share(100) == 0.5
    assert other.share(104) == 0.5
    assert other.share(150) == 0.6


def test_waits_are_reported_now_and_then_only(redis: RedisServer) -> None:
    process = Process(redis)
    process.share(1)
    redis.stop()
    process._shares.report(1)  # would raise, or wait, if it asked


def test_without_redis_the_share_stays_as_it_was(redis: RedisServer) -> None:
    one, other = Process(redis), Process(redis)
    one.share(10)
    assert other.share(10) == 0.5
    redis.stop()
    assert other.share(40) == 0.5
    redis.start()
    assert other.share(40) == 1


@pytest.mark.parametrize("report", [b"", b"nonsense", b"\xff 1", b"-5 1796000000", b"5", b"5 nan", b"1e9 1796000000"])
def test_unreadable_report_counts_nothing(redis: RedisServer, report: bytes) -> None:
    process = Process(redis)
    process.share(10)
    (key,) = process.client.keys()
    process.client.hset(key, "somebody", report)
    assert process.share(10) == 1


async def test_poller_plans_with_its_share(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process waits for three times as many: it asks a quarter as often as it would alone, in the long run."""
    monkeypatch.setenv("NO_PROXY", "*")
    with TrimEmulator(duration=math.inf) as emulator:
        settings = settings_for(emulator, quota="100/5 minutes", quota_storage=redis.url)
        client = Redis.from_url(redis.url)
        Shares(client, settings.account).report(60)

        async def load() -> TrimSettings:
            return settings

        poller = Poller(load)
        waits = []
        for number in range(20):
            emulator.add_trim(f"t{number}")
            waits.append(asyncio.create_task(poller.wait(Watch(f"t{number}", now=time.time(), interval=0.01))))
        await until(lambda: poller._schedule._calls == 25)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        assert poller._quota is not None
        assert not poller._quota.waiting
