# SPDX-License-Identifier: Apache-2.0
"""The limiter of an account, whichever connections point to it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine

from airflow_provider_trim.ratelimit.cooldown import INITIAL_COOLDOWN
from airflow_provider_trim.ratelimit.limiter import RateLimiter, RateLimiters, limiter_for
from airflow_provider_trim.ratelimit.storage import RedisStorage, Storages
from airflow_provider_trim.vod.errors import (
    TransNoNotFoundError,
    TrimError,
    TrimQuotaExceededError,
    TrimSettingsError,
    TrimTransportError,
)
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.clocks import Clock, no_jitter
from tests.support.redis_server import RedisServer

Settings = Callable[..., TrimSettings]


exact = functools.partial(RateLimiter, jitter=no_jitter)
"""Makes limiters whose waits are not spread."""


def granted(limiter: RateLimiter, tries: int = 100) -> int:
    """Try so often, and count the permits."""
    return sum(limiter.acquire() == 0.0 for _ in range(tries))


# --- one account, one limiter ---


def test_one_limiter_per_account_whatever_connection_points_to_it(settings: Settings) -> None:
    limiter = limiter_for(settings(timeout=5))
    assert limiter_for(settings(timeout=7, auth="ws3-hmac-sha256")) is limiter
    assert limiter_for(settings(quota="10/10 seconds")) is limiter
    assert limiter_for(settings(quota_storage="memory:///")) is limiter
    assert limiter_for(settings(login="another")) is not limiter


@pytest.mark.parametrize(
    ("host", "login"),
    [
        ("https://quota.example.", "account"),
        ("https://QUOTA.example", "account"),
        ("https://quota.example:443/path", "account"),
        ("quota.example", " account "),
    ],
)
def test_an_account_in_another_spelling_is_the_same(settings: Settings, host: str, login: str) -> None:
    assert limiter_for(TrimSettings.from_connection(host=host, login=login)) is limiter_for(settings())


def test_connections_with_different_quotas_share_the_smaller_one(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """And what was called under the larger one counts."""
    limiters = RateLimiters(exact)
    larger, smaller = settings("20/hour"), settings("10/hour")
    assert granted(limiters.get(larger), 6) == 6
    limiter = limiters.get(smaller)
    assert (limiter.calls, limiter.window, limiter.fair_share) == (10, 3600.0, 10)
    assert granted(limiter) == 4
    assert len(caplog.records) == 1
    del smaller
    assert limiter.calls == 20
    assert granted(limiter) == 10
    assert limiter.usage() == "quota 20/20 used"


def test_other_threads_miss_nothing_while_the_quota_changes(settings: Settings) -> None:
    """They ask what is shared while another thread applies a connection's new quota."""
    seen = []

    class Observed(Storages):
        def get(self, url: str) -> RedisStorage:
            seen.append(limiter.knowledge if limiter else None)
            return super().get(url)

    limiter = None
    url = "redis://127.0.0.1:1/0"  # nothing connects to it
    connection = settings("20/hour", quota_storage=url)
    limiter = exact(connection, storages=Observed())
    before = limiter.knowledge
    seen.clear()
    other = settings("10/hour", quota_storage=url)
    limiter.add_connection(other)
    assert (limiter.calls, limiter.knowledge is before) == (10, False)
    assert seen
    assert set(seen) == {before}


def test_a_quota_can_be_turned_off_and_on(settings: Settings) -> None:
    limiters = RateLimiters(exact)
    connection = settings("off")
    limiter = limiters.get(connection)
    assert (limiter.calls, limiter.window, limiter.fair_share) == (None, 0.0, None)
    assert limiter.usage() == "quota unlimited"
    assert granted(limiter, 1000) == 1000
    connection = settings("20/hour")
    assert limiters.get(connection) is limiter
    assert granted(limiter) == 20
    connection = settings("off")
    limiters.get(connection)
    assert granted(limiter) == 100


def test_a_limiter_moves_to_redis_with_what_it_has_counted(settings: Settings, redis: RedisServer) -> None:
    limiters = RateLimiters(exact)
    local = settings("20/hour", login="moves")
    assert granted(limiters.get(local), 5) == 5
    shared = settings("20/hour", login="moves", quota_storage=redis.url)
    assert granted(limiters.get(shared)) == 15
    assert granted(RateLimiter(shared)) == 0


def test_a_connection_that_cannot_work_harms_no_other(settings: Settings) -> None:
    limiters = RateLimiters(exact)
    good = settings("20/hour")
    limiter = limiters.get(good)
    with pytest.raises(TrimSettingsError, match="quota_storage") as refused:
        limiters.get(settings("5/hour", quota_storage="redis://:geheim@host:port/0"))
    assert "geheim" not in str(refused.value)
    assert granted(limiter) == 20


def test_limiters_can_be_cleared(settings: Settings, clock: Clock) -> None:
    limiters, connection = RateLimiters(exact), settings("20/hour")
    assert granted(limiters.get(connection)) == 20
    limiters.clear(functools.partial(RateLimiter, clock=clock))
    limiter = limiters.get(connection)
    assert granted(limiter) == 20
    clock.now += 3700
    assert granted(limiter) == 20


# --- permits ---


def test_threads_share_it(settings: Settings) -> None:
    connection = settings("50/minute")
    limiter = RateLimiter(connection)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: granted(limiter, 25), range(8))) == 50


def test_waits_for_a_permit_are_spread(settings: Settings, clock: Clock) -> None:
    """Workers that all wait for the quota must not wake together."""
    connection, waits = settings("1/100 seconds"), []
    for jitter in (0.0, 0.5, 1.0):
        limiter = RateLimiter(connection, clock=clock, jitter=lambda jitter=jitter: jitter)
        assert limiter.acquire() == 0
        waits.append(limiter.acquire())
    assert waits == pytest.approx([101.0, 103.5, 106.0])


async def test_without_redis_the_event_loop_is_not_left(settings: Settings) -> None:
    connection = settings("2/minute")
    limiter = RateLimiter(connection)
    assert [await limiter.aacquire() > 0 for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("hours", [-1, 1])
def test_the_hosts_clock_may_be_set(settings: Settings, hours: int) -> None:
    """No poll for an hour, and a cooldown of 3,630 s."""
    connection = settings("2/minute")
    with time_machine.travel(1_796_000_000) as traveller:
        limiter = RateLimiter(connection, jitter=no_jitter)
        assert granted(limiter) == 2
        limiter.on_rate_limited(30.0)
        traveller.shift(hours * 3600)
        assert 0 < limiter.acquire() <= 30


# --- the service refuses ---


def test_a_429_pauses_the_whole_account(settings: Settings, clock: Clock) -> None:
    connection = settings("off")
    limiter = RateLimiter(connection, clock=clock, jitter=no_jitter)
    for doubled in (1, 2, 4, 8):
        with pytest.raises(TrimQuotaExceededError), limiter.observe_response():
            raise TrimQuotaExceededError("too often", http_status=429)
        assert limiter.acquire() == pytest.approx(INITIAL_COOLDOWN * doubled)
        clock.now += INITIAL_COOLDOWN * doubled
        assert limiter.acquire() == 0
    with limiter.observe_response():
        pass
    assert limiter.on_rate_limited(None) == INITIAL_COOLDOWN


@pytest.mark.parametrize("error", [TransNoNotFoundError("1603"), TrimTransportError("502", http_status=502)])
def test_any_other_response_ends_the_row_of_refusals(settings: Settings, clock: Clock, error: Exception) -> None:
    connection = settings("off")
    limiter = RateLimiter(connection, clock=clock, jitter=no_jitter)
    limiter.on_rate_limited(None)
    with pytest.raises(type(error)), limiter.observe_response():
        raise error
    clock.now += INITIAL_COOLDOWN
    assert limiter.on_rate_limited(None) == INITIAL_COOLDOWN


@pytest.mark.parametrize("kind", [TrimQuotaExceededError, TrimTransportError])
@pytest.mark.parametrize(("quota", "bounded"), [("300/5 minutes", 300.0), ("10/2 minutes", 120.0), ("off", 300.0)])
def test_retry_after_is_bounded_by_the_window_for_every_reader(
    settings: Settings, clock: Clock, kind: type[TrimError], quota: str, bounded: float
) -> None:
    connection = settings(quota)
    limiter = RateLimiter(connection, clock=clock, jitter=no_jitter)
    with pytest.raises(kind) as refused, limiter.observe_response():
        raise kind("later", retry_after=86_400.0)
    assert refused.value.retry_after == bounded
    assert limiter.acquire() == (bounded if kind is TrimQuotaExceededError else 0.0)


# --- what pollers report ---


def test_reports_of_pollers_add_up_until_they_are_forgotten(settings: Settings) -> None:
    connection, one, other = settings(), object(), object()
    limiter = RateLimiter(connection)
    limiter.report_waiting(one, 3)
    limiter.report_waiting(other, 4)
    limiter.report_waiting(one, 5)
    assert limiter.waiting == 9
    limiter.forget(one)
    limiter.forget(one)
    assert limiter.waiting == 4
