# SPDX-License-Identifier: Apache-2.0
"""The window in a real Redis, which is lost and comes back."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import time
from collections.abc import Callable

import pytest
import time_machine
from redis import Redis

from airflow_provider_trim.ratelimit.limiter import RateLimiter
from airflow_provider_trim.ratelimit.storage import STORAGE_RETRY_DELAY
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.clocks import Clock, no_jitter
from tests.support.delaying_proxy import DelayingProxy
from tests.support.redis_server import RedisServer

Settings = Callable[..., TrimSettings]


def granted(limiter: RateLimiter, tries: int = 100) -> int:
    """Try so often, and count the permits."""
    return sum(limiter.acquire() == 0.0 for _ in range(tries))


def messages(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if text in record.getMessage()]


def test_processes_share_it(redis: RedisServer, settings: Settings) -> None:
    """Two limiters that know nothing of each other, as in two processes."""
    shared = settings("30/minute", login="shared", quota_storage=redis.url)
    one, other = RateLimiter(shared, jitter=no_jitter), RateLimiter(shared, jitter=no_jitter)
    assert granted(one, 18) == 18
    assert granted(other, 50) == 12
    assert 0 < one.acquire() <= 61
    assert 0 < asyncio.run(one.aacquire()) <= 61
    assert one.usage() == "quota 18/30 used by this process"
    another = settings("30/minute", login="another", quota_storage=redis.url)
    assert granted(RateLimiter(another), 5) == 5


def test_forked_processes_share_it(redis: RedisServer, settings: Settings) -> None:
    """As Celery and Airflow fork their workers, from a process that has imported this package and may have called."""
    shared = settings("30/minute", login="forked", quota_storage=redis.url)
    context = multiprocessing.get_context("fork")
    counts = context.SimpleQueue()
    parent = RateLimiter(shared, jitter=no_jitter)
    assert granted(parent, 3) == 3

    def child() -> None:
        counts.put((granted(parent, 10), granted(RateLimiter(shared, jitter=no_jitter), 10)))

    found = []
    for _ in range(2):
        forked = context.Process(target=child)
        forked.start()
        found.append(counts.get())
        forked.join()
    assert found == [(10, 10), (7, 0)]
    assert granted(parent, 10) == 0


def test_a_redis_that_is_far_away_counts_every_call(
    redis: RedisServer, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """50 ms there and back, as between regions: that is slow, and no reason to fall back."""
    with DelayingProxy(redis.port, 0.025) as proxy:
        shared = settings("5/minute", login="far", quota_storage=f"redis://127.0.0.1:{proxy.port}/0")
        one, other = RateLimiter(shared, jitter=no_jitter), RateLimiter(shared, jitter=no_jitter)
        assert granted(one, 3) == 3
        assert granted(other, 4) == 2
    assert not messages(caplog, "unreachable")


def test_permits_come_back_when_they_leave_the_window(redis: RedisServer, settings: Settings) -> None:
    shared = settings("3/1 second", login="moving", quota_storage=redis.url)
    one, other = RateLimiter(shared, jitter=no_jitter), RateLimiter(shared, jitter=no_jitter)
    assert granted(one, 5) == 3
    started, wait = time.monotonic(), other.acquire()
    assert 0 < wait <= 1.505
    while other.acquire():
        pass
    assert time.monotonic() - started >= wait - 0.1  # Redis goes by another clock


def test_calls_that_are_worth_less_use_a_part_of_the_quota(redis: RedisServer, settings: Settings) -> None:
    shared = settings("8/minute", login="parts", quota_storage=redis.url)
    one, other = RateLimiter(shared, jitter=no_jitter), RateLimiter(shared, jitter=no_jitter)
    assert [one.acquire(0.25) == 0.0 for _ in range(2)] == [True, True]
    assert 0 < other.acquire(0.25) <= 61
    assert granted(other) == 6


@pytest.mark.parametrize("seconds", [-3600, -10, -2, 2, 10, 3600])
def test_hosts_clocks_play_no_part(redis: RedisServer, settings: Settings, seconds: int) -> None:
    """With clocks two seconds apart, a window of 30 calls had 31."""
    shared = settings("30/minute", login=f"clock {seconds}", quota_storage=redis.url)
    assert granted(RateLimiter(shared), 30) == 30
    with time_machine.travel(time.time() + seconds):
        late = RateLimiter(shared, jitter=no_jitter)
        assert granted(late, 30) == 0
        assert 0 < late.acquire() <= 61


def test_a_clock_of_redis_that_was_set_back_closes_the_window_for_no_longer_than_it_is(
    redis: RedisServer, settings: Settings
) -> None:
    shared = settings("30/minute", login="set back", quota_storage=redis.url)
    with Redis.from_url(redis.url) as client:
        before = set(client.keys("*:calls"))
        assert granted(RateLimiter(shared), 30) == 30
        (key,) = set(client.keys("*:calls")) - before
        for name in client.zrange(key, 0, -1):
            client.zincrby(key, 3600 * 1e6, name)
        assert 60 < RateLimiter(shared, jitter=no_jitter).acquire() <= 61
        seconds, _ = client.time()
        assert client.zcount(key, "-inf", (seconds + 10) * 1e6) == 30
        assert 0 < client.ttl(key) <= 61


def test_processes_with_different_quotas_share_one_count(redis: RedisServer, settings: Settings) -> None:
    """As when a connection is changed, and one process knows that before another."""
    larger = RateLimiter(settings("30/minute", login="changed", quota_storage=redis.url), jitter=no_jitter)
    smaller = RateLimiter(settings("2/1 second", login="changed", quota_storage=redis.url), jitter=no_jitter)
    assert granted(larger, 20) == 20
    assert granted(smaller, 5) == 0
    assert granted(larger, 50) == 10


def test_redis_lost_and_back(settings: Settings, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """A tenth while it is unreachable, evenly spaced, one warning, and the shared quota again when it is back."""
    caplog.set_level(logging.INFO)
    with RedisServer() as server:
        shared = settings("50/hour", login="lost", quota_storage=server.url)
        limiter, other = (RateLimiter(shared, clock=clock, jitter=no_jitter) for _ in range(2))
        assert granted(limiter, 10) == 10
        server.stop()
        assert granted(limiter) == 1  # at once, since the calls of the others are unknown
        assert granted(other) == 1
        for _ in range(4):
            assert limiter.acquire() == pytest.approx(3600 / 5)
            clock.now += 3600 / 5
            assert granted(limiter) == 1
        (warning, _) = messages(caplog, "unreachable")
        assert warning == (
            "Quota storage unreachable (ConnectionError): falling back to 5 calls per 3600 s in this process"
        )
        server.start()
        assert granted(limiter) == 0  # not tried again so soon
        clock.now += STORAGE_RETRY_DELAY
        # It has lost its data. What this process has called itself is not granted again, nor what it calls now.
        assert granted(limiter) == 50 - 10 - 5
        assert granted(other) == 0
        assert messages(caplog, "reachable again") == ["Quota storage reachable again; sharing the quota"] * 2


def test_a_restart_between_two_calls_is_noticed(settings: Settings) -> None:
    """No call has failed meanwhile, and the data is lost all the same."""
    with RedisServer() as server:
        limiter = RateLimiter(settings("50/hour", quota_storage=server.url), jitter=no_jitter)
        other = RateLimiter(settings("50/hour", quota_storage=server.url), jitter=no_jitter)
        assert granted(limiter, 10) == 10
        with Redis.from_url(server.url) as client:
            client.flushall()
        assert granted(limiter, 2) == 2
        assert granted(other) == 50 - 12


def test_redis_back_with_its_data_counts_calls_made_meanwhile(settings: Settings, clock: Clock) -> None:
    """And none twice, however often the network between fails."""
    with RedisServer() as server:
        shared = settings("50/hour", login="unreachable", quota_storage=server.url)
        limiter, other = (RateLimiter(shared, clock=clock, jitter=no_jitter) for _ in range(2))
        assert granted(other, 30) == 30
        for _ in range(3):
            assert granted(limiter, 1) == 1
            with server.unreachable():
                clock.now += 3600 / 5
                assert granted(limiter) == 1
            clock.now += STORAGE_RETRY_DELAY
        # A call that Redis was asked for while it hung may have been recorded, under the name that it has anyway.
        assert granted(limiter) == 50 - 30 - 3 - 3


def test_calls_made_meanwhile_count_though_others_have_used_the_quota_up(settings: Settings, clock: Clock) -> None:
    with RedisServer() as server:
        shared = settings("50/hour", login="crowded", quota_storage=server.url)
        limiter, other = (RateLimiter(shared, clock=clock, jitter=no_jitter) for _ in range(2))
        assert granted(limiter, 1) == 1
        with server.unreachable():
            for _ in range(4):
                assert granted(limiter, 1) == 1
                clock.now += 3600 / 5
        # Redis may execute late what it was asked for while it hung.
        assert 50 - 1 - 4 <= granted(other) <= 50 - 1
        clock.now += STORAGE_RETRY_DELAY
        assert granted(limiter) == 0
        with Redis.from_url(server.url) as client:
            (key,) = client.keys("*:calls")
            assert client.zcard(key) == 50  # the latest ones: no process needs to know more


def test_each_recorded_call_counts_from_when_it_was_made(settings: Settings, clock: Clock) -> None:
    with RedisServer() as server:
        limiter = RateLimiter(settings("10/hour", quota_storage=server.url), clock=clock, jitter=no_jitter)
        server.stop()
        assert granted(limiter) == 1
        clock.now += 3600.0
        server.start()
        assert granted(limiter) == 9
        assert limiter.acquire() == pytest.approx(18.5, abs=1.0)


async def test_the_event_loop_falls_back_as_well(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer() as server:
        limiter = RateLimiter(settings("50/hour", quota_storage=server.url), jitter=no_jitter)
        assert await limiter.aacquire() == 0
        with server.unreachable():
            assert await limiter.aacquire() == 0
            assert await limiter.aacquire() == pytest.approx(3600 / 5, abs=60)
        assert len(messages(caplog, "unreachable")) == 1


def test_redis_unreachable_from_the_start_fails_no_call(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    limiter = RateLimiter(settings("50/hour", quota_storage="redis://:geheim@127.0.0.1:1/0"))
    assert granted(limiter) == 1
    assert limiter.acquire() > 0
    assert len(caplog.records) == 1
    assert "geheim" not in caplog.text


def test_a_key_of_another_kind_fails_no_call(redis: RedisServer, settings: Settings, clock: Clock) -> None:
    """Something else than Redis, a key of another program, a command that is not allowed."""
    shared = settings("50/hour", login="another program", quota_storage=redis.url)
    with Redis.from_url(redis.url) as client:
        before = set(client.keys("*:calls"))
        assert granted(RateLimiter(shared, clock=clock), 1) == 1
        (key,) = set(client.keys("*:calls")) - before
        client.set(key, "text")
        assert granted(RateLimiter(shared, clock=clock)) == 1
