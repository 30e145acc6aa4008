# SPDX-License-Identifier: Apache-2.0
"""The account's quota: in one process, and in a real Redis that is lost and comes back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine

from airflow_provider_trim.polling import quota as quota_module
from airflow_provider_trim.polling.quota import (
    FIRST_BACKOFF,
    STORAGE_PAUSE,
    STORAGE_TIMEOUT,
    Quota,
    quota_for,
)
from airflow_provider_trim.vod.errors import (
    TransNoNotFoundError,
    TrimQuotaExceededError,
    TrimSettingsError,
    TrimTransportError,
)
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.redis_server import RedisServer

NOW = 1_796_000_000.0


def settings(quota: str = "20/10 seconds", login: str = "account", **extra: Any) -> TrimSettings:
    return TrimSettings.from_connection(host="https://quota.example", login=login, extra={"quota": quota, **extra})


def granted(quota: Quota, tries: int = 100) -> int:
    """Ask so often, and count the calls that may be made now."""
    return sum(quota.acquire() == 0.0 for _ in range(tries))


@pytest.fixture
def traveller() -> Iterator[Any]:
    """A clock that stands still until it is told to go on."""
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is slow to answer, since the machine is busy, is not away."""
    monkeypatch.setattr(quota_module, "STORAGE_TIMEOUT", 60.0)


@pytest.fixture
def impatient(patient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not answer at all is waited for as long as in earnest."""
    monkeypatch.setattr(quota_module, "STORAGE_TIMEOUT", STORAGE_TIMEOUT)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


# --- one process ---


def test_window_is_a_little_longer_than_the_services(traveller: Any) -> None:
    """The window is longer than the service's, since a call arrives some time after it was granted."""
    quota = Quota(settings())
    assert granted(quota) == 20
    assert quota.acquire() == pytest.approx(11)
    traveller.shift(10.5)
    assert granted(quota) == 0
    traveller.shift(0.6)
    assert granted(quota) == 20


def test_the_window_moves(traveller: Any) -> None:
    """No burst at the border of two windows: each call counts for its own ten seconds."""
    quota = Quota(settings())
    for _ in range(20):
        assert quota.acquire() == 0
        traveller.shift(0.5)
    assert 0 < quota.acquire() <= 1
    traveller.shift(1.05)
    assert granted(quota) == 1


def test_one_quota_per_account_whatever_connection_points_to_it() -> None:
    assert quota_for(settings(timeout=5)) is quota_for(settings(timeout=7, auth="ws3-hmac-sha256"))
    assert quota_for(settings()) is not quota_for(settings(login="another"))
    assert quota_for(settings()) is not quota_for(settings(quota="10/10 seconds"))


def test_threads_share_the_quota() -> None:
    quota = Quota(settings("50/minute"))
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: granted(quota, 25), range(8))) == 50


def test_quota_off() -> None:
    quota = Quota(settings("off"))
    assert granted(quota, 1000) == 1000


# --- the service refuses ---


def test_consecutive_refusals_lengthen_the_cooldown() -> None:
    """The whole account slows down."""
    now = NOW
    quota = Quota(settings("off"), clock=lambda: now)
    for doubled in (1, 2, 4, 8):
        with pytest.raises(TrimQuotaExceededError), quota.watch_answer():
            raise TrimQuotaExceededError("too often", http_status=429)
        assert quota.acquire() == pytest.approx(FIRST_BACKOFF * doubled)
        now += FIRST_BACKOFF * doubled
        assert quota.acquire() == 0
    with quota.watch_answer():
        pass
    assert quota.refused(None) == FIRST_BACKOFF


@pytest.mark.parametrize("error", [TransNoNotFoundError("1603"), TrimTransportError("502", http_status=502)])
def test_any_other_response_resets_the_cooldown(error: Exception) -> None:
    quota = Quota(settings("off"), clock=lambda: NOW)
    quota.refused(None)
    with pytest.raises(type(error)), quota.watch_answer():
        raise error
    assert quota.refused(None) == FIRST_BACKOFF


def test_retry_after_is_what_the_service_says() -> None:
    now = NOW
    quota = Quota(settings("off"), clock=lambda: now)
    assert quota.refused(90.0) == 90
    assert quota.acquire() == 90
    now += 90
    assert quota.refused(0.0) == 2 * FIRST_BACKOFF  # nobody who says 0 again and again is asked without a pause


def test_calls_that_were_under_way_are_refused_as_one() -> None:
    """Sixty-four at a time would make minutes of the second that the service asks for."""
    now = NOW
    quota = Quota(settings("off"), clock=lambda: now)
    for _ in range(64):
        assert quota.refused(1.0) == 1.0
    assert quota.refused(None) == 1.0
    assert quota.refused(3.0) == 3.0
    now += 3
    assert quota.acquire() == 0
    assert quota.refused(None) == 2 * FIRST_BACKOFF


def test_the_longest_backoff_is_a_window() -> None:
    now = NOW
    quota = Quota(settings("300/5 minutes"), clock=lambda: now)
    pauses = []
    for _ in range(100):
        pauses.append(quota.refused(None))
        now += pauses[-1]
    assert max(pauses) == 300


# --- Redis ---


def test_processes_share_the_quota_through_redis(redis: RedisServer) -> None:
    """Two quotas that know nothing of each other, as in two processes."""
    shared = settings("30/minute", login="shared", quota_storage=redis.url)
    one, other = Quota(shared), Quota(shared)
    assert granted(one, 18) == 18
    assert granted(other, 50) == 12
    assert 0 < one.acquire() <= 61
    assert asyncio.run(one.aacquire()) > 0
    assert granted(Quota(settings("30/minute", login="another", quota_storage=redis.url)), 5) == 5


def test_redis_lost_and_back(caplog: pytest.LogCaptureFixture) -> None:
    """A local tenth while it is away, evenly spread, one warning, and the shared quota again when it is back."""
    now = time.time()
    with RedisServer() as server, caplog.at_level(logging.INFO):
        shared = settings("50/hour", login="lost", quota_storage=server.url)
        quota, other = Quota(shared, clock=lambda: now), Quota(shared, clock=lambda: now)
        assert granted(quota, 10) == 10
        server.stop()
        assert granted(quota) == 1  # at once, since nobody knows what the others have called
        assert granted(other) == 1
        for _ in range(4):
            assert quota.acquire() == pytest.approx(3600 / 5)
            now += 3600 / 5
            assert granted(quota) == 1
        assert len([r for r in caplog.records if "is away" in r.getMessage()]) == 2
        server.start()
        assert granted(quota) == 0  # not tried again so soon
        now += STORAGE_PAUSE
        # It has lost its data. What this process has called itself is not granted again, nor what it calls now.
        assert granted(quota) == 50 - 10 - 5
        assert granted(other) == 0
        assert len([r for r in caplog.records if "storage is back" in r.getMessage()]) == 2


@pytest.mark.usefixtures("impatient")
def test_redis_back_with_its_data_counts_calls_made_meanwhile() -> None:
    """And no others, which it knows, however often the network between fails."""
    now = time.time()
    with RedisServer() as server:
        shared = settings("50/hour", login="unreachable", quota_storage=server.url)
        quota, other = Quota(shared, clock=lambda: now), Quota(shared, clock=lambda: now)
        assert granted(other, 30) == 30
        for _ in range(2):
            assert granted(quota, 1) == 1
            with server.unreachable():
                now += 3600 / 5
                assert granted(quota) == 1
            now += STORAGE_PAUSE
        # What was asked while Redis did not answer, it counts as well as soon as it does.
        assert granted(quota) == 50 - 30 - 2 - 2 - 2


@pytest.mark.usefixtures("impatient")
def test_calls_made_meanwhile_that_do_not_fit_are_entered_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """They count until they leave the window, though others have used it up by then."""
    monkeypatch.setattr("airflow_provider_trim.polling.quota.STORAGE_PAUSE", 86_400.0)
    with RedisServer() as server, time_machine.travel(NOW, tick=False) as traveller:
        shared = settings("50/1000 seconds", login="crowded", quota_storage=server.url)
        quota, other = Quota(shared), Quota(shared)
        now = NOW
        quota._clock = lambda: now
        assert granted(other, 46) == 46
        traveller.shift(500)
        with server.unreachable():
            for _ in range(8):
                assert granted(quota, 1) == 1
                now += 200
        now += 86_400
        assert granted(quota) == 0
        traveller.shift(507)  # what the other has called leaves the window, and what was called meanwhile does not
        assert granted(quota, 1) == 1
        assert granted(other) <= 50 - 8 - 1


def test_redis_unreachable_from_the_start_fails_no_call(caplog: pytest.LogCaptureFixture) -> None:
    quota = Quota(settings("50/hour", quota_storage="redis://127.0.0.1:1/0"))
    assert granted(quota) == 1
    assert quota.acquire() > 0
    assert len(caplog.records) == 1
    assert "redis" not in caplog.text.lower()  # nor any password in its URL


def test_a_small_quota_still_has_a_local_share() -> None:
    assert granted(Quota(settings("3/hour", quota_storage="redis://127.0.0.1:1/0"))) == 1


def test_a_storage_that_cannot_be_one_is_an_error_of_the_connection() -> None:
    with pytest.raises(TrimSettingsError, match="quota_storage") as refused:
        Quota(settings(quota_storage="redis://:secret@host:port/0"))
    assert "secret" not in str(refused.value)
