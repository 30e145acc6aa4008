# SPDX-License-Identifier: Apache-2.0
"""Callbacks that reach the wrong triggerer: passed on through a real Redis that is lost and comes back."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from airflow_provider_trim.callbacks import relay
from airflow_provider_trim.callbacks.relay import CallbackRelay, channel_of
from airflow_provider_trim.emulator import Lost, TrimEmulator
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.poller import Poller
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.verdicts import Success
from airflow_provider_trim.vod.callbacks import Claim
from tests.support.callback_calls import Callbacks, until, waiting
from tests.support.redis_server import RedisServer

Start = Callable[..., asyncio.Task[Any]]


@pytest.fixture(autouse=True)
def soon_connected_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "RECONNECT_DELAY", 0.02)


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def emulator_options() -> dict[str, Any]:
    return {"duration": math.inf}


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Return a function that has a poller of its own wait for a trim, as another triggerer does."""
    running: list[asyncio.Task[Any]] = []

    def start(callbacks: Callbacks, trans_no: str, interval: float = 3600) -> asyncio.Task[Any]:
        watch = PollState(trans_no, WaitOptions(interval=interval, expects_callback=True), now=time.monotonic())
        running.append(asyncio.create_task(Poller(callbacks.load).wait(watch)))
        return running[-1]

    yield start
    for wait in running:
        wait.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    await until(lambda: len(asyncio.all_tasks()) == 1)


async def done(wait: asyncio.Task[Any]) -> None:
    async with asyncio.timeout(60):
        assert isinstance(await wait, Success)


def subscribers(redis: RedisServer, callbacks: Callbacks) -> int:
    with Redis.from_url(redis.url) as client:
        return int(client.pubsub_numsub(channel_of(callbacks.settings.account))[0][1])


def test_callback_reaches_the_waiting_process_whichever_receives_it(redis: RedisServer, emulator: TrimEmulator) -> None:
    """Two processes behind one address; neither asks by itself for an hour."""
    first = Callbacks(emulator, quota_storage=redis.url)
    second = Callbacks(emulator, quota_storage=redis.url)
    for trans_no in ("t1", "t2"):
        emulator.add_trim(trans_no, notify_url=first.address(trans_no))
    with waiting(first, "t1") as one, waiting(second, "t2") as other:
        emulator.finish("t2")
        out, _ = other.communicate(timeout=60)
        assert json.loads(out)[::2] == ["t2", True]
        emulator.finish("t1")
        out, _ = one.communicate(timeout=60)
        assert json.loads(out)[::2] == ["t1", True]
    assert len(emulator.calls_for("t1")) == len(emulator.calls_for("t2")) == 2
    assert [callback.http_status for callback in emulator.wait_for_callbacks(2)] == [200, 200]


async def test_second_process_on_a_host_listens_when_the_first_has_gone(
    redis: RedisServer, emulator: TrimEmulator, start: Start
) -> None:
    """Without a poll, and has trims polled once whose callbacks may have been missed while nothing listened."""
    callbacks = Callbacks(emulator, quota_storage=redis.url)
    for trans_no in ("t1", "t2", "t3"):
        callbacks.add_trim(trans_no)
    with waiting(callbacks, "t1") as first:
        await callbacks.listening()
        between, later = (start(callbacks, trans_no, 0.5) for trans_no in ("t2", "t3"))
        for trans_no in ("t2", "t3"):
            await emulator.async_wait_for_calls(1, trans_no=trans_no)
        emulator.finish("t1")
        await asyncio.to_thread(first.wait)
    emulator.finish("t2")
    await done(between)
    await callbacks.listening()
    await emulator.async_wait_for_calls(2, trans_no="t3")
    emulator.finish("t3")
    await done(later)
    assert len(emulator.calls_for("t3")) == 3


async def test_without_redis_a_misrouted_callback_is_dropped_and_polling_catches_up(
    emulator: TrimEmulator, start: Start
) -> None:
    first, second = (Callbacks(emulator, callback_poll_factor=2) for _ in range(2))
    emulator.add_trim("t1")
    emulator.add_trim("t2", notify_url=first.address("t2"))
    start(first, "t1")
    wait = start(second, "t2", 0.05)
    await first.listening()
    await second.listening()
    emulator.finish("t2")
    await done(wait)
    (callback,) = await emulator.async_wait_for_callbacks(1)
    assert callback.http_status == 200


async def test_relayed_callbacks_are_verified(redis: RedisServer, emulator: TrimEmulator, start: Start) -> None:
    """A client that can write to Redis can forge no callback."""
    callbacks = Callbacks(emulator, quota_storage=redis.url)
    callbacks.add_trim("t1")
    emulator.inject_callback_faults("t1", Lost())
    wait = start(callbacks, "t1")
    await emulator.async_wait_for_calls(1)
    emulator.finish("t1")
    name = channel_of(callbacks.settings.account)
    with Redis.from_url(redis.url) as client:
        for nonsense in (b"", b"\xff\xfe", b"/t1", callbacks.forged_target("t1").encode(), b"/" * 100_000):
            assert client.publish(name, nonsense) == 1
        callbacks.add_trim("t2")
        emulator.send_callback("t2")  # published, too, after all of that
        await until(lambda: emulator.callbacks_for("t2") != [])
        assert not wait.done()
        assert emulator.call_count == 1
        client.publish(name, callbacks.target("t1"))
    await done(wait)


async def test_unreachable_redis_fails_no_wait_and_is_found_again(
    redis: RedisServer, emulator: TrimEmulator, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, relay.__name__)
    redis.stop()
    first, second = (Callbacks(emulator, quota_storage=redis.url) for _ in range(2))
    first.add_trim("t1")
    emulator.add_trim("t2", notify_url=first.address("t2"))
    direct, passed_on = start(first, "t1"), start(second, "t2")
    await emulator.async_wait_for_calls(2)
    redis.start()
    await until(lambda: subscribers(redis, first) == 2)
    emulator.finish("t1")
    await done(direct)
    emulator.add_trim("t3")
    start(first, "t3")
    await until(lambda: subscribers(redis, first) == 2)
    await first.listening()
    emulator.finish("t2")
    await done(passed_on)
    said = [record.message for record in caplog.records if record.name == relay.__name__]
    assert sum("relay down" in text for text in said) == 2  # once for each poller, however often it was tried
    assert sum("relay up" in text for text in said) == 2


async def test_relay_ends_with_the_last_watch(redis: RedisServer, emulator: TrimEmulator, start: Start) -> None:
    callbacks = Callbacks(emulator, quota_storage=redis.url)
    callbacks.add_trim("t1")
    wait = start(callbacks, "t1")
    await until(lambda: subscribers(redis, callbacks) == 1)
    await emulator.async_wait_for_calls(1)
    emulator.finish("t1")
    await done(wait)
    await until(lambda: subscribers(redis, callbacks) == 0)


async def test_an_unexpected_exception_ends_neither_relay_nor_wait(
    redis: RedisServer, emulator: TrimEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    """It was gone without a line, and so were the callbacks of other triggerers."""
    callbacks = Callbacks(emulator, quota_storage=redis.url)
    received: list[str] = []
    gaps = 0

    def on_claim(claim: Claim) -> None:
        received.append(claim.trans_no)
        if claim.trans_no == "t1":
            raise LookupError("a bug of the handler")

    def on_gap() -> None:
        nonlocal gaps
        gaps += 1
        if gaps == 1:
            raise LookupError("a bug")

    redis.stop()
    own = CallbackRelay(callbacks.settings, on_claim, on_gap)
    await until(lambda: any("relay down" in message for message in caplog.messages))
    redis.start()  # the first connection meets the bug
    await until(lambda: gaps == 2)
    await own.wait_until_connected()
    with Redis.from_url(redis.url) as client:
        for trans_no in ("t1", "t2"):
            client.publish(channel_of(callbacks.settings.account), callbacks.target(trans_no))
    await until(lambda: received == ["t1", "t2"])
    await asyncio.gather(own.close(), return_exceptions=True)
    failures = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert failures == [
        "the callback relay failed unexpectedly; restarting it in 0.1 s",
        "A callback could not be handled",
    ]
