# SPDX-License-Identifier: Apache-2.0
"""Each metric is measured where its subject is, whatever it is called with."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import Any

import pytest

from airflow_provider_trim.callbacks.listener import Listener
from airflow_provider_trim.client.connection_cache import LIFETIME
from airflow_provider_trim.emulator import (
    ConnectionReset,
    Hold,
    HttpError,
    RawResponse,
    Repeated,
    ServiceCode,
    TrimEmulator,
)
from airflow_provider_trim.hooks.metrics import process_metrics
from airflow_provider_trim.hooks.trim import TrimApiHook
from airflow_provider_trim.metrics import NO_METRICS, AccountMetrics
from airflow_provider_trim.metrics.catalog import End, Outcome, Reload
from airflow_provider_trim.polling.group import WaitGroup
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.poller import Poller
from airflow_provider_trim.polling.pollers import poller_for
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.sync import SyncPoller
from airflow_provider_trim.polling.verdicts import Success
from airflow_provider_trim.polling.wait_metrics import record_end
from airflow_provider_trim.ratelimit.limiter import RateLimiter
from airflow_provider_trim.ratelimit.storage import STORAGE_RETRY_DELAY
from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.callback_calls import Callbacks, until
from tests.support.clocks import Clock, no_jitter
from tests.support.emulators import set_connection, settings_for
from tests.support.live_airflow import HOST
from tests.support.measured import Measured
from tests.support.redis_server import RedisServer

CLIP = {"video_id": "SOURCE", "seek_start": 1, "duration": 2, "filename": "clip"}


@pytest.fixture
def measured() -> Measured:
    return Measured()


@pytest.fixture
def emulator_options() -> dict[str, Any]:
    return {"duration": math.inf}


@pytest.fixture
def hook(emulator: TrimEmulator, measured: Measured, monkeypatch: pytest.MonkeyPatch) -> TrimApiHook:
    set_connection(monkeypatch, emulator, quota="1000000/minute")
    monkeypatch.setattr("airflow_provider_trim.hooks.trim.process_metrics", lambda: measured)
    hook = TrimApiHook()
    hook._sleep = lambda _: None
    return hook


class Load:
    """Loads the emulator's connection, or raises."""

    def __init__(self, emulator: TrimEmulator) -> None:
        self.emulator = emulator
        self.extra: dict[str, Any] = {"quota": "300/5 minutes"}
        self.error: Exception | None = None
        self.count = 0

    async def __call__(self) -> TrimSettings:
        self.count += 1
        if self.error is not None:
            raise self.error
        return settings_for(self.emulator, **self.extra)


@pytest.fixture
def load(emulator: TrimEmulator) -> Load:
    return Load(emulator)


def state(trans_no: str, now: float, **options: Any) -> PollState:
    return PollState(trans_no, WaitOptions(**{"interval": 0.02, **options}), now=now)


# --- calls ---

RESPONSES = {
    Outcome.DONE: None,
    Outcome.PROCESSING: ServiceCode(1560, "processing"),
    Outcome.REJECTED: ServiceCode(1603, "no such trim"),
    Outcome.UNAUTHORIZED: HttpError(403),
    Outcome.RATE_LIMITED: HttpError(429),
    Outcome.UNAVAILABLE: HttpError(502),
    Outcome.NO_RESPONSE: ConnectionReset(),
    Outcome.UNEXPECTED: RawResponse(b"<html>"),
}


@pytest.mark.parametrize("outcome", [*RESPONSES, Outcome.FAILED])
def test_polls_by_outcome(outcome: Outcome, hook: TrimApiHook, emulator: TrimEmulator, measured: Measured) -> None:
    emulator.add_trim("t1", seconds=0, outcome="fail" if outcome is Outcome.FAILED else "success")
    if (fault := RESPONSES.get(outcome)) is not None:
        emulator.misbehave("t1", fault)
    with hook:
        if outcome is Outcome.DONE:
            hook.query_once("t1")
        else:
            with pytest.raises(TrimError):
                hook.query_once("t1")
    assert measured.counts("trim.polls") == {outcome: 1}
    (seconds,) = measured.durations("trim.poll.duration")
    assert 0.0 < seconds < 60.0
    assert measured.accounts == {hook.settings.account_label}
    assert emulator.user not in hook.settings.account_label


def test_a_trim_that_is_processing(hook: TrimApiHook, emulator: TrimEmulator, measured: Measured) -> None:
    emulator.add_trim("t1")
    with hook:
        hook.query_once("t1")
    assert measured.counts("trim.polls") == {Outcome.PROCESSING: 1}


async def test_polls_from_an_event_loop(hook: TrimApiHook, emulator: TrimEmulator, measured: Measured) -> None:
    emulator.add_trim("t1", seconds=0)
    emulator.misbehave("t1", ConnectionReset())
    async with hook:
        with pytest.raises(TrimError):
            await hook._aquery_once("t1")
        await hook._aquery_once("t1")
    assert measured.counts("trim.polls") == {Outcome.NO_RESPONSE: 1, Outcome.DONE: 1}


def test_submissions_by_outcome(hook: TrimApiHook, emulator: TrimEmulator, measured: Measured) -> None:
    emulator.fail_submission("before", HttpError(502))
    with hook:
        hook.submit_trim(**CLIP, trans_no="t1")
    assert measured.counts("trim.submissions") == {Outcome.UNAVAILABLE: 1, Outcome.ACCEPTED: 1}
    assert measured.counts("trim.polls") == {Outcome.REJECTED: 1}  # whether it was submitted nevertheless


async def test_a_call_that_does_not_end_is_one_without_a_response(
    load: Load, emulator: TrimEmulator, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The transport's own timeout has failed."""
    monkeypatch.setattr("airflow_provider_trim.client.session.CALL_MARGIN", -29.9)
    emulator.add_trim("t1")
    hold = Hold()
    emulator.misbehave("t1", hold)
    poller = Poller(load, metrics=AccountMetrics(measured))
    wait = asyncio.create_task(poller.wait(state("t1", time.monotonic(), max_consecutive_failures=1)))
    await wait
    hold.release()
    assert measured.counts("trim.polls") == {Outcome.NO_RESPONSE: 1}


# --- waits ---


async def test_a_pollers_waits(load: Load, emulator: TrimEmulator, measured: Measured) -> None:
    for trans_no in ("good", "bad"):
        emulator.add_trim(trans_no)
    poller = Poller(load, metrics=AccountMetrics(measured))
    began = time.monotonic()
    waits = [asyncio.create_task(poller.wait(state(name, began))) for name in ("good", "good", "bad")]
    await emulator.async_wait_for_calls(3)
    assert measured.gauge("trim.waits.open") == 3
    assert (measured.gauge("trim.quota.used") or 0) >= 3
    assert measured.gauge("trim.quota.limit") == 300
    assert measured.gauge("trim.quota.fallback") is None
    emulator.finish("good")
    emulator.fail("bad")
    await asyncio.gather(*waits)
    assert measured.counts("trim.waits.ended") == {End.SUCCESS: 2, End.FAILURE: 1}
    durations, delays = (measured.durations(f"trim.{name}") for name in ("wait.duration", "detection.delay"))
    assert (len(durations), len(delays)) == (3, 2)
    assert all(0.0 < delay < max(durations) < time.monotonic() - began + 0.001 for delay in delays)
    assert measured.gauge("trim.waits.open") == 0
    assert measured.accounts == {(await load()).account_label}


def test_how_late_an_end_is_noticed(measured: Measured) -> None:
    """The trim was done at some time since the poll before, so the delay is half of that; a callback says when."""
    account, waited = AccountMetrics(measured), PollState("t1", now=0.0)
    record_end(account, waited, Success(TrimTask(status=TrimStatus.SUCCESSFUL)), 10.0)
    assert measured.durations("trim.detection.delay") == []
    waited.record_response(TrimTask(status=TrimStatus.PROCESSING), 20.0)
    record_end(account, waited, Success(TrimTask(status=TrimStatus.SUCCESSFUL)), 50.0)
    assert measured.durations("trim.detection.delay") == [15.0]
    record_end(account, waited, Success(TrimTask(status=TrimStatus.SUCCESSFUL)), 50.0, called_at=49.0)
    assert measured.durations("trim.detection.delay") == [15.0, 1.0]
    assert measured.counts("trim.waits.ended") == {End.SUCCESS: 3}


async def test_a_wait_that_times_out(load: Load, emulator: TrimEmulator, measured: Measured) -> None:
    emulator.add_trim("t1")
    now = time.monotonic()
    await Poller(load, metrics=AccountMetrics(measured)).wait(state("t1", now, deadline=now))
    assert measured.counts("trim.waits.ended") == {End.TIMEOUT: 1}
    assert measured.durations("trim.detection.delay") == []


def test_a_wait_that_holds_its_thread(hook: TrimApiHook, emulator: TrimEmulator, measured: Measured) -> None:
    clock = Clock(0.0)
    emulator.add_trim("t1")
    emulator.add_trim("t2", seconds=0)
    states = [PollState(name, WaitOptions(interval=10.0, deadline=25.0), now=0.0) for name in ("t1", "t2", "late")]
    emulator.add_trim("late")

    def sleep(seconds: float) -> None:
        clock.advance(seconds)
        if clock.now >= 10.0:
            emulator.finish("t1")

    poller = SyncPoller(hook, logging.getLogger(), clock=clock, sleep=sleep, metrics=hook.metrics)
    with hook:
        poller.wait(WaitGroup(states, stop_at_failure=False))
    assert measured.counts("trim.waits.ended") == {End.SUCCESS: 2, End.TIMEOUT: 1}
    assert measured.durations("trim.wait.duration") == [0.0, 10.0, 25.0]
    assert measured.durations("trim.detection.delay") == [5.0]  # the other was done at the first poll
    assert measured.accounts == {hook.settings.account_label}


def test_waits_that_airflow_itself_has_ended(hook: TrimApiHook, measured: Measured) -> None:
    group = WaitGroup([PollState("t1", now=time.monotonic())], stop_at_failure=True)
    poller = SyncPoller(hook, logging.getLogger(), metrics=hook.metrics)
    poller.expire(group)
    assert group.finished
    assert measured.counts("trim.waits.ended") == {End.TIMEOUT: 1}


# --- the quota ---


def test_one_cooldown_for_all_calls_that_are_refused_together(measured: Measured, emulator: TrimEmulator) -> None:
    clock = Clock()
    limiter = RateLimiter(settings_for(emulator), clock=clock, jitter=no_jitter)
    limiter.metrics.metrics = measured
    for _ in range(3):
        limiter.on_rate_limited(10.0)
    assert measured.counts("trim.cooldowns") == 1
    clock.advance(11.0)
    limiter.on_rate_limited(10.0)
    assert measured.counts("trim.cooldowns") == 2


def test_the_fallback(measured: Measured) -> None:
    clock = Clock()
    with RedisServer() as server:
        extra = {"quota": "50/hour", "quota_storage": server.url}
        limiter = RateLimiter(TrimSettings.from_connection(login="fallback", extra=extra), clock=clock)
        limiter.metrics.metrics = measured
        measured.watch(limiter.gauges)
        limiter.acquire()
        assert measured.gauge("trim.quota.fallback") == 0
        server.stop()
        for _ in range(3):
            limiter.acquire()
        assert measured.gauge("trim.quota.fallback") == 1
        server.start()
        clock.advance(STORAGE_RETRY_DELAY)
        limiter.acquire()
    assert measured.gauge("trim.quota.fallback") == 0
    assert measured.counts("trim.quota.fallbacks") == 1


def test_no_gauges_without_a_quota(measured: Measured) -> None:
    limiter = RateLimiter(TrimSettings.from_connection(login="unlimited", extra={"quota": "off"}))
    assert list(limiter.gauges()) == []


# --- callbacks ---


async def test_callbacks_by_what_became_of_them(emulator: TrimEmulator, measured: Measured) -> None:
    callbacks = Callbacks(emulator)
    poller = Poller(callbacks.load, metrics=AccountMetrics(measured))
    for trans_no in ("called", "kept"):
        callbacks.add_trim(trans_no)
    emulator.inject_callback_faults("called", Repeated(3))
    kept = asyncio.create_task(poller.wait(state("kept", time.monotonic())))
    await callbacks.listening()
    called = asyncio.create_task(poller.wait(state("called", time.monotonic(), interval=3600.0, expects_callback=True)))
    await emulator.async_wait_for_calls(1, trans_no="called")
    emulator.finish("called")
    await called
    await emulator.async_wait_for_callbacks(3)
    await until(lambda: measured.counts("trim.callbacks.duplicate") == 2)
    assert measured.counts("trim.callbacks.received") == 1
    (delay,) = measured.durations("trim.detection.delay")
    assert delay < 60.0  # not half the interval
    poller._callbacks.record_delivery(True)
    poller._callbacks.record_delivery(False)
    assert measured.counts("trim.callbacks.missed") == 1
    emulator.finish("kept")
    await kept


async def test_refused_callbacks_by_reason(emulator: TrimEmulator, measured: Measured) -> None:
    callbacks = Callbacks(emulator)
    listener = Listener(HOST, callbacks.port, metrics=measured)

    def refuse(_: object) -> bool:
        return False

    await listener.subscribe(refuse)
    try:
        await callbacks.call("/")
        await callbacks.call(callbacks.forged_target("t1"))
        await callbacks.say(b"nonsense\r\n\r\n")
        wanted = {"path": 1, "signature": 1, "malformed": 1}
        await until(lambda: measured.counts("trim.callbacks.refused") == wanted)
    finally:
        listener.unsubscribe(refuse)


# --- the connection ---


async def test_reloads_by_outcome(load: Load, emulator: TrimEmulator, measured: Measured) -> None:
    clock = Clock(0, time.monotonic)
    emulator.add_trim("t1")
    poller = Poller(load, clock=clock, metrics=AccountMetrics(measured))
    wait = asyncio.create_task(poller.wait(state("t1", clock())))
    await emulator.async_wait_for_calls(1)
    assert measured.counts("trim.connection.reloads") == {}
    for outcome in (Reload.UNCHANGED, Reload.CHANGED, Reload.FAILED):
        if outcome is Reload.CHANGED:
            load.extra["timeout"] = 29
        elif outcome is Reload.FAILED:
            load.error = LookupError("a bug")
        clock.advance(LIFETIME)
        await until(lambda outcome=outcome: outcome in measured.counts("trim.connection.reloads"))
    wait.cancel()
    assert measured.counts("trim.connection.reloads") == dict.fromkeys(Reload, 1)


def test_a_hooks_reloads(
    hook: TrimApiHook, emulator: TrimEmulator, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    for token in (None, None, "another", None):
        set_connection(monkeypatch, emulator, password=token)
        assert hook.settings
        hook.reload_connection()
    monkeypatch.setenv("AIRFLOW_CONN_TRIM_DEFAULT", "{}")
    monkeypatch.delenv("AIRFLOW_CONN_TRIM_DEFAULT")
    with pytest.raises(TrimError):
        _ = hook.settings
    assert measured.counts("trim.connection.reloads") == {Reload.UNCHANGED: 1, Reload.CHANGED: 2, Reload.FAILED: 1}


# --- whether anything is measured ---


def test_a_poller_gets_the_metrics_of_its_process(load: Load, measured: Measured) -> None:
    async def main() -> None:
        assert poller_for("measured", load, measured)._metrics.metrics is measured
        assert poller_for("other", load)._metrics.metrics is NO_METRICS

    asyncio.run(main())


@pytest.mark.parametrize("switch", [None, "STATSD_ON", "OTEL_ON", "STATSD_DATADOG_ENABLED"])
def test_nothing_is_measured_unless_airflows_metrics_are_on(
    switch: str | None, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(process_metrics.cache_clear)
    if switch is not None:
        monkeypatch.setenv(f"AIRFLOW__METRICS__{switch}", "True")
    process_metrics.cache_clear()
    assert (process_metrics() is NO_METRICS) == (switch is None)
    process_metrics().flush()
