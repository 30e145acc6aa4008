# SPDX-License-Identifier: Apache-2.0
"""Parts of a shared quota, through a real Redis."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import time
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.poller import Poller
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.ratelimit.fair_share import MAX_PEERS, PEER_TTL, REPORT_INTERVAL, FairShare
from airflow_provider_trim.ratelimit.limiter import limiter_for
from airflow_provider_trim.ratelimit.storage import connect
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.callback_calls import until
from tests.support.clocks import Clock
from tests.support.redis_server import RedisServer, storage_in_this_thread


class Process:
    """What reports its waits."""

    def __init__(self, server: RedisServer, account: str = "account") -> None:
        self._clock = Clock()
        self.shares = FairShare(storage_in_this_thread(connect(server.url)), account, clock=self._clock)

    def share(self, waiting: int) -> float:
        """Report, some time after the last report, and return this process's share."""
        self._clock.now += REPORT_INTERVAL
        self.shares.publish_soon(waiting)
        return self.shares.share


def test_each_has_as_much_as_it_waits_for(redis: RedisServer) -> None:
    one, other, stranger = Process(redis), Process(redis), Process(redis, "another account")
    assert one.share(30) == 1
    assert other.share(10) == 0.25
    assert one.share(30) == 0.75
    assert stranger.share(5) == 1
    assert other.share(90) == 0.75
    assert one.share(30) == 0.25


def test_a_forked_process_is_another_one(redis: RedisServer) -> None:
    process = Process(redis)
    process.share(30)
    context = multiprocessing.get_context("fork")
    shares = context.SimpleQueue()
    forked = context.Process(target=lambda: shares.put(process.share(30)))
    forked.start()
    assert shares.get() == 0.5
    forked.join()
    assert process.share(90) == 0.75


@pytest.mark.parametrize("age", [PEER_TTL, 10 * PEER_TTL, -3600.0])
def test_a_report_that_is_old_or_of_the_future_is_forgotten(redis: RedisServer, client: Any, age: float) -> None:
    """By Redis' own time: hosts' clocks may differ, and Redis' own may be set back."""
    process = Process(redis)
    process.share(30)
    (key,) = client.keys()
    seconds, _ = client.time()
    client.hset(key, "peer", f"30 {seconds - age:.0f}")
    assert process.share(30) == 1
    assert client.hlen(key) == 1
    assert 0 < client.ttl(key) <= 2 * PEER_TTL


def test_a_recent_report_counts(redis: RedisServer, client: Any) -> None:
    process = Process(redis)
    process.share(30)
    (key,) = client.keys()
    seconds, _ = client.time()
    client.hset(key, "peer", f"30 {seconds - 2}")
    assert process.share(30) == 0.5


def test_a_small_change_changes_no_plans(redis: RedisServer) -> None:
    one, other = Process(redis), Process(redis)
    one.share(100)
    assert other.share(100) == 0.5
    assert other.share(104) == 0.5
    assert other.share(150) == 0.6


def test_reports_are_made_now_and_then_only(redis: RedisServer, client: Any) -> None:
    process = Process(redis)
    process.share(1)
    (key,) = client.keys()
    client.delete(key)
    process.shares.publish_soon(1)
    assert not client.keys()


def test_without_redis_it_stays_as_it_was() -> None:
    with RedisServer() as server:
        one, other = Process(server), Process(server)
        one.share(10)
        assert other.share(10) == 0.5
        server.stop()
        assert other.share(40) == 0.5
        server.start()
        assert other.share(40) == 1


@pytest.mark.parametrize(
    "report", [b"", b"nonsense", b"\xff 1", b"-5 {now}", b"5", b"5 nan", b"1e9 {now}", b"5 {now} "]
)
def test_what_cannot_be_read_counts_nothing(redis: RedisServer, client: Any, report: bytes) -> None:
    process = Process(redis)
    process.share(10)
    (key,) = client.keys()
    seconds, _ = client.time()
    client.hset(key, "peer", report.replace(b"{now}", str(seconds).encode()))
    assert process.share(10) == 1
    assert client.hlen(key) == 1


def test_a_report_has_a_bound(redis: RedisServer, client: Any) -> None:
    process = Process(redis)
    process.share(10)
    (key,) = client.keys()
    seconds, _ = client.time()
    client.hset(key, "peer", f"{'9' * 400} {seconds}")
    assert 0 < process.share(10) < 0.001
    client.hset(key, mapping={str(number): f"5 {seconds}" for number in range(MAX_PEERS + 1)})
    assert process.share(10) == 1
    assert client.hlen(key) == 1


def test_a_key_of_another_kind_changes_nothing(redis: RedisServer, client: Any) -> None:
    process = Process(redis)
    process.share(10)
    (key,) = client.keys()
    client.set(key, "text")
    assert process.share(10) == 1


class NonsenseClient:
    """A client that returns what it is given, or raises it."""

    def __init__(self, reply: object) -> None:
        self.reply = reply

    def register_script(self, _script: str) -> Callable[..., object]:
        return self.response

    def response(self, *_: object) -> object:
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


@pytest.mark.parametrize("reply", [None, "x", b"", [], -5, math.nan, math.inf, TypeError(), OverflowError(), OSError()])
def test_advice_never_raises(reply: object) -> None:
    storage = storage_in_this_thread(NonsenseClient(reply))
    share = FairShare(storage, "account")
    share.publish_soon(10)
    assert share.share == 1
    assert storage.reachable


async def test_a_poller_plans_with_its_share(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process waits for three times as many: it polls a quarter as often as it would alone, in the long run."""
    monkeypatch.setenv("NO_PROXY", "*")
    with TrimEmulator(duration=math.inf) as emulator:
        extra: dict[str, Any] = {"quota": "100/5 minutes", "quota_storage": redis.url}
        settings = TrimSettings.from_connection(
            host=emulator.url, login=emulator.user, password=emulator.token, extra=extra
        )
        Process(redis, settings.account).share(60)

        async def load() -> TrimSettings:
            return settings

        def begin(trans_no: str) -> PollState:
            return PollState(trans_no, WaitOptions(interval=0.01), now=time.monotonic())

        poller, limiter = Poller(load), limiter_for(settings)
        waits = []
        for number in range(20):
            emulator.add_trim(f"t{number}")
            waits.append(asyncio.create_task(poller.wait(begin(f"t{number}"))))
        await until(lambda: limiter.fair_share == 25)
        assert limiter.waiting == 20
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        assert limiter.waiting == 0
