# SPDX-License-Identifier: Apache-2.0
"""Waits with callbacks: real HTTP, from the emulator to the poller's listener and back."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from airflow_provider_trim.callbacks import accepting
from airflow_provider_trim.callbacks import receiver as channel
from airflow_provider_trim.callbacks.health import TTL
from airflow_provider_trim.callbacks.listener import Listener
from airflow_provider_trim.callbacks.receiver import WARM_UP, CallbackReceiver, callback_health
from airflow_provider_trim.emulator import Forged, Hold, HttpError, Late, Lost, Repeated, ServiceCode, TrimEmulator
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.poller import Poller
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.verdicts import Success, TimedOut
from airflow_provider_trim.vod.callbacks import Claim
from tests.support.callback_calls import Callbacks, until
from tests.support.clocks import Clock
from tests.support.live_airflow import HOST
from tests.support.recording_schedule import RecordingSchedule

pytestmark = [pytest.mark.filterwarnings("error::ResourceWarning"), pytest.mark.usefixtures("no_old_garbage")]

NOW = 1_796_000_000.0
OK = b"HTTP/1.1 200 OK\r\n"


class Waits:
    """A poller's waits, each for a trim whose callback is expected by default."""

    def __init__(self, callbacks: Callbacks) -> None:
        self.clock = Clock(0, time.monotonic)
        self.schedule = RecordingSchedule()
        self.poller = Poller(callbacks.load, clock=self.clock, schedule=self.schedule)
        self.running: list[asyncio.Task[Any]] = []

    def start(self, trans_no: str, **parameters: Any) -> asyncio.Task[Any]:
        options = WaitOptions(**{"interval": 0.02, "expects_callback": True, **parameters})
        self.running.append(asyncio.create_task(self.poller.wait(PollState(trans_no, options, now=self.clock()))))
        return self.running[-1]

    async def end(self) -> None:
        for wait in self.running:
            wait.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)


async def done(*waits: asyncio.Task[Any]) -> None:
    async with asyncio.timeout(60):
        assert all(isinstance(verdict, Success) for verdict in await asyncio.gather(*waits))


@pytest.fixture
def emulator_options() -> dict[str, Any]:
    return {"duration": math.inf}


@pytest.fixture
def callbacks(emulator: TrimEmulator) -> Callbacks:
    return Callbacks(emulator)


@pytest.fixture
async def waits(callbacks: Callbacks) -> AsyncIterator[Waits]:
    waits = Waits(callbacks)
    yield waits
    await waits.end()
    await until(lambda: len(asyncio.all_tasks()) == 1)


@pytest.fixture
async def old(waits: Waits, callbacks: Callbacks) -> Waits:
    """Waits whose poller has listened for so long that it must have heard of any trim that begins now."""
    callbacks.add_trim("old")
    waits.start("old", expects_callback=False, interval=3600)
    await callbacks.emulator.async_wait_for_calls(1, trans_no="old")
    await until(lambda: "old" in waits.schedule.polled)  # before the clock moves
    waits.clock.advance(WARM_UP + 1)
    return waits


# --- callbacks instead of polling ---


async def test_callback_triggers_the_only_poll(old: Waits, callbacks: Callbacks) -> None:
    """The only call of its wait."""
    callbacks.add_trim("t1")
    wait = old.start("t1")
    await asyncio.sleep(0)
    callbacks.emulator.finish("t1")
    await done(wait)
    assert len(callbacks.emulator.calls_for("t1")) == 1
    (callback,) = await callbacks.emulator.async_wait_for_callbacks(1)
    assert callback.http_status == 200


async def test_many_trims_cost_a_call_each(old: Waits, callbacks: Callbacks) -> None:
    trims = [f"t{number}" for number in range(250)]
    for trans_no in trims:
        callbacks.add_trim(trans_no)
    running = [old.start(trans_no) for trans_no in trims]
    await asyncio.sleep(0)
    for trans_no in trims:
        await asyncio.to_thread(callbacks.emulator.finish, trans_no)
    await done(*running)
    assert callbacks.emulator.call_count == 251


async def test_trim_older_than_the_listener_is_polled_first(waits: Waits, callbacks: Callbacks) -> None:
    """Its callback may have come while nothing listened."""
    callbacks.add_trim("t1", 0)
    callbacks.add_trim("t2")
    await callbacks.emulator.async_wait_for_callbacks(1)
    first, second = waits.start("t1"), waits.start("t2")
    await done(first)
    await callbacks.emulator.async_wait_for_calls(1, trans_no="t2")
    callbacks.emulator.finish("t2")
    await done(second)
    assert [len(callbacks.emulator.calls_for(trans_no)) for trans_no in ("t1", "t2")] == [1, 2]


async def test_callback_reaches_any_wait_for_the_trim(old: Waits, callbacks: Callbacks) -> None:
    """A sensor does not know how it was submitted."""
    callbacks.add_trim("t1")
    sensors = [old.start("t1", expects_callback=False, interval=3600) for _ in range(2)]
    await callbacks.emulator.async_wait_for_calls(1, trans_no="t1")
    callbacks.emulator.finish("t1")
    await done(*sensors)
    assert len(callbacks.emulator.calls_for("t1")) == 2


async def test_callback_body_is_only_a_hint(old: Waits, callbacks: Callbacks) -> None:
    """Whatever it says; the trim is polled as usual then, since no other call is to be expected."""
    callbacks.add_trim("t1")
    wait = old.start("t1")
    assert OK in await callbacks.call(callbacks.target("t1"), b'{"transNo": "t1", "status": 2, "code": 200}')
    await callbacks.emulator.async_wait_for_calls(3, trans_no="t1")
    assert not wait.done()
    callbacks.emulator.inject_callback_faults("t1", Lost())
    callbacks.emulator.finish("t1")
    await done(wait)


async def test_callback_during_a_poll_triggers_another_poll(waits: Waits, callbacks: Callbacks) -> None:
    """The response to that poll may be older than the callback."""
    callbacks.add_trim("t1")
    hold = Hold(then=ServiceCode(1560))
    callbacks.emulator.misbehave("t1", hold)
    wait = waits.start("t1", interval=3600)
    await asyncio.to_thread(hold.wait_until_held)
    callbacks.emulator.finish("t1")
    await callbacks.emulator.async_wait_for_callbacks(1)
    hold.release()
    await done(wait)
    assert len(callbacks.emulator.calls_for("t1")) == 2


async def test_failed_poll_after_a_callback_is_retried(old: Waits, callbacks: Callbacks) -> None:
    callbacks.add_trim("t1")
    callbacks.emulator.misbehave("t1", HttpError(503), HttpError(502))
    wait = old.start("t1")
    await asyncio.sleep(0)
    callbacks.emulator.finish("t1")
    await done(wait)
    assert len(callbacks.emulator.calls_for("t1")) == 3


async def test_callback_before_the_wait_is_remembered_for_some_minutes(old: Waits, callbacks: Callbacks) -> None:
    for trans_no in ("t1", "t2"):
        callbacks.add_trim(trans_no, 0)
    await callbacks.emulator.async_wait_for_callbacks(2)
    await done(old.start("t1", first_poll_after=3600))
    old.clock.advance(TTL)
    began = old.clock() - TTL - 1
    await done(old.start("t2", started_at=began))  # by a poll, since the callback is forgotten by now
    assert callbacks.emulator.call_count == 3


# --- callbacks get lost ---


async def test_wait_that_expects_a_callback_polls_rarely(old: Waits, callbacks: Callbacks) -> None:
    for trans_no in ("t1", "t2"):
        callbacks.add_trim(trans_no)
    old.start("t1")
    old.start("t2", expects_callback=False)
    await callbacks.emulator.async_wait_for_calls(10, trans_no="t2")
    assert callbacks.emulator.calls_for("t1") == []


@pytest.mark.parametrize("factor", [5])
async def test_lost_callback_is_made_up_for_by_polling(emulator: TrimEmulator, factor: int) -> None:
    callbacks = Callbacks(emulator, callback_poll_factor=factor)
    waits = Waits(callbacks)
    callbacks.add_trim("t1")
    emulator.inject_callback_faults("t1", Lost())
    wait = waits.start("t1")
    await emulator.async_wait_for_calls(3, trans_no="t1")
    emulator.finish("t1")
    await done(wait)
    await waits.end()


async def test_last_poll_is_at_the_deadline(old: Waits, callbacks: Callbacks) -> None:
    callbacks.add_trim("t1")
    wait = old.start("t1", deadline=old.clock() + 0.3)
    assert await wait == TimedOut(None)
    assert len(callbacks.emulator.calls_for("t1")) == 1


async def test_failed_poll_is_retried_after_the_interval(waits: Waits, callbacks: Callbacks) -> None:
    callbacks.add_trim("t1", 0)
    callbacks.emulator.misbehave("t1", HttpError(503), HttpError(503))
    await done(waits.start("t1"))


async def test_missing_callbacks_restore_normal_polling(
    old: Waits, callbacks: Callbacks, caplog: pytest.LogCaptureFixture
) -> None:
    """By those that wait, and those that come; it is logged once."""
    callbacks.emulator.inject_callback_faults(None, Lost(), repeat=True)
    for number in range(6):
        callbacks.add_trim(f"t{number}")
    first, second = old.start("t0"), old.start("t1")
    sensor = old.start("t0", expects_callback=False)
    await callbacks.emulator.async_wait_for_calls(3, trans_no="t0")
    assert callbacks.emulator.calls_for("t1") == []
    callbacks.emulator.finish("t0")
    await done(first, sensor)
    callbacks.emulator.finish("t1")
    await done(second)
    for number in range(2, 6):
        wait = old.start(f"t{number}")
        await callbacks.emulator.async_wait_for_calls(3, trans_no=f"t{number}")
        callbacks.emulator.finish(f"t{number}")
        await done(wait)
    assert [record.levelname for record in caplog.records if "are not arriving" in record.message] == ["WARNING"]


async def test_returning_callbacks_reduce_polling_again(
    old: Waits, callbacks: Callbacks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    callback_health(callbacks.settings.account).record(False)
    for number in range(3):
        callbacks.add_trim(f"t{number}")
        wait = old.start(f"t{number}", interval=3600, first_poll_after=3600)
        await asyncio.sleep(0)
        callbacks.emulator.finish(f"t{number}")
        await done(wait)
    assert len([record for record in caplog.records if "arriving again" in record.message]) == 1
    callbacks.add_trim("t3")
    callbacks.add_trim("t4")
    old.start("t3")
    old.start("t4", expects_callback=False)
    await callbacks.emulator.async_wait_for_calls(10, trans_no="t4")
    assert callbacks.emulator.calls_for("t3") == []


async def test_what_was_learned_outlives_the_poller(old: Waits, callbacks: Callbacks) -> None:
    """With few trims, each may have a poller of its own."""
    callback_health(callbacks.settings.account).record(False)
    waits = Waits(callbacks)
    callbacks.add_trim("t1")
    waits.start("t1")
    await callbacks.emulator.async_wait_for_calls(5, trans_no="t1")
    await waits.end()


@pytest.mark.parametrize("fault", [Late(0.2), Repeated(3)])
async def test_late_and_repeated_calls_cost_nothing(old: Waits, callbacks: Callbacks, fault: Any) -> None:
    callbacks.add_trim("t1")
    callbacks.emulator.inject_callback_faults("t1", fault)
    wait = old.start("t1", interval=3600)
    await asyncio.sleep(0)
    callbacks.emulator.finish("t1")
    await done(wait)
    for _ in range(5):
        assert OK in await callbacks.call(callbacks.target("t1"))
    callbacks.add_trim("t2")
    wait = old.start("t2")
    await asyncio.sleep(0)
    callbacks.emulator.finish("t2")
    await done(wait)
    assert len(callbacks.emulator.calls_for("t1")) == 1


# --- other clients ---


async def test_repeated_callbacks_of_a_running_trim_cost_one_poll(old: Waits, callbacks: Callbacks) -> None:
    callbacks.add_trim("t1")
    old.start("t1", interval=3600)
    for _ in range(20):
        assert OK in await callbacks.call(callbacks.target("t1"))
        old.clock.advance(60)
    await callbacks.emulator.async_wait_for_calls(1, trans_no="t1")
    callbacks.add_trim("t2", 0)
    await done(old.start("t2", expects_callback=False))
    assert len(callbacks.emulator.calls_for("t1")) == 1


async def test_forged_unknown_and_senseless_requests_cost_no_call_and_no_line(
    old: Waits, callbacks: Callbacks, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    callbacks.add_trim("t1")
    callbacks.emulator.inject_callback_faults("t1", Forged())
    old.start("t1", interval=3600)
    await asyncio.sleep(0)
    caplog.clear()
    callbacks.emulator.finish("t1")
    await callbacks.emulator.async_wait_for_callbacks(1)
    for number in range(100):
        assert OK in await callbacks.call(callbacks.forged_target("t1"))
        assert OK in await callbacks.call(callbacks.target(f"unknown-{number}"), b"{}", "GET")
    for data in (
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET /%zz HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nA:" + b"b" * 99_999,
    ):
        await callbacks.say(data)
    assert OK in await callbacks.call("/", b"", "HEAD")
    assert OK in await callbacks.call("/healthz?x=/t1/", b"", "GET")
    assert [record for record in caplog.records if record.name != "asyncio"] == []
    assert capfd.readouterr().err == ""
    assert callbacks.emulator.call_count == 1
    assert b" 400 " in await callbacks.say(b"nonsense\r\n\r\n")


async def test_an_enormous_body_is_read_to_a_limit_and_dropped(old: Waits, callbacks: Callbacks) -> None:
    callbacks.add_trim("t1")
    wait = old.start("t1")
    await asyncio.sleep(0)
    callbacks.emulator.inject_callback_faults("t1", Lost())
    callbacks.emulator.finish("t1")
    head = f"POST {callbacks.target('t1')} HTTP/1.1\r\nHost: h\r\nContent-Length: {10**12}\r\n\r\n".encode()
    async with asyncio.timeout(60):
        sent = await callbacks.flood(head)
    assert sent < 32 * 1024 * 1024  # what the kernels hold between two sockets
    await done(wait)


async def test_a_compressed_body_is_not_unpacked(old: Waits, callbacks: Callbacks) -> None:
    callbacks.add_trim("t1")
    wait = old.start("t1")
    await asyncio.sleep(0)
    callbacks.emulator.inject_callback_faults("t1", Lost())
    callbacks.emulator.finish("t1")
    response = await callbacks.call(callbacks.target("t1"), b"no gzip at all", "POST", "Content-Encoding: gzip")
    assert OK in response
    await done(wait)


async def test_a_slow_caller_is_cut_off(old: Waits, callbacks: Callbacks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "CONNECTION_TIMEOUT", 0.05)
    slow = [b"", b"POST /", f"POST {callbacks.target('t1')} HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n1".encode()]
    async with asyncio.timeout(60):
        assert await asyncio.gather(*map(callbacks.say, slow)) == [b"", b"", b""]


async def test_one_request_is_answered_on_a_connection(old: Waits, callbacks: Callbacks) -> None:
    one = f"GET {callbacks.target('t1')} HTTP/1.1\r\nHost: h\r\n\r\n".encode()
    async with asyncio.timeout(60):
        response = await callbacks.say(one * 50)
    assert response.count(b"HTTP/1.1 200") == 1
    assert b"Connection: close" in response


async def test_for_one_connection_too_many_the_oldest_is_closed(
    old: Waits, callbacks: Callbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a client that holds all of them holds up no other."""
    monkeypatch.setattr(accepting, "MAX_CONNECTIONS", 8)
    held = [await asyncio.open_connection(HOST, callbacks.port) for _ in range(8)]
    callbacks.add_trim("t1")
    wait = old.start("t1")
    await asyncio.sleep(0)
    callbacks.emulator.finish("t1")
    await done(wait)
    async with asyncio.timeout(60):
        assert await held[0][0].read() == b""
    assert not held[7][0].at_eof()
    for _, writer in held:
        writer.close()


# --- the listener's life ---


async def test_listener_stops_with_the_last_watch_and_logs_its_counts(
    waits: Waits, callbacks: Callbacks, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    callbacks.add_trim("t1")
    wait = waits.start("t1")
    await callbacks.listening()
    await callbacks.call(callbacks.forged_target("t1"))
    await callbacks.emulator.async_wait_for_calls(1, trans_no="t1")  # and none by itself after that
    callbacks.emulator.finish("t1")
    await done(wait)
    await callbacks.gone()
    said = [record.message for record in caplog.records if record.name == channel.__name__]
    assert said == [
        f"Listening for callbacks on {HOST}:{callbacks.port}",
        "Stopped listening for callbacks. Callbacks: 1 received, 0 duplicate, 0 missed; 2 requests ignored (1 "
        "without a callback's path, 1 with a wrong signature)",
    ]


async def test_pollers_share_an_address(waits: Waits, callbacks: Callbacks, emulator: TrimEmulator) -> None:
    """Each connection's callbacks reach it alone."""
    other = Callbacks(emulator, **callbacks.extra)
    other.settings = callbacks.settings.model_copy(update={"login": "somebody", "callback_poll_factor": 1.0})
    others = Waits(other)
    callbacks.add_trim("t1")
    callbacks.add_trim("t2")
    mine, theirs = waits.start("t1"), others.start("t2")
    await callbacks.listening()
    emulator.finish("t1")
    await done(mine)
    await callbacks.listening()  # for the other one, which may begin after the first has ended
    await others.end()
    assert theirs.done()
    await callbacks.gone()


async def test_an_address_that_is_taken_fails_no_wait(
    waits: Waits, callbacks: Callbacks, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again."""
    monkeypatch.setattr(channel, "LISTEN_RETRY_INTERVAL", 0.01)
    callbacks.add_trim("t1")
    with socket.create_server((HOST, callbacks.port)):
        wait = waits.start("t1")
        await callbacks.emulator.async_wait_for_calls(5, trans_no="t1")
    assert [record.levelname for record in caplog.records if "Cannot listen" in record.message] == ["WARNING"]
    await callbacks.listening()
    callbacks.emulator.finish("t1")
    await done(wait)


async def test_an_address_that_cannot_be_one_fails_no_wait(
    emulator: TrimEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = Callbacks(emulator, callback_listen="triggerer..svc:8790")
    waits = Waits(callbacks)
    callbacks.add_trim("t1")
    wait = waits.start("t1")
    await emulator.async_wait_for_calls(3, trans_no="t1")
    emulator.inject_callback_faults("t1", Lost())
    emulator.finish("t1")
    await done(wait)
    await waits.end()
    assert [record.levelname for record in caplog.records if "Cannot listen" in record.message] == ["WARNING"]


async def test_unexpected_error_of_the_listener_is_tried_again(
    callbacks: Callbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError("a bug")

    receiver = CallbackReceiver(time.monotonic, lambda trans_no: None, lambda: None)
    with monkeypatch.context() as patched:
        patched.setattr(socket, "create_server", fail)
        with pytest.raises(LookupError):
            await receiver.ensure_listening(callbacks.settings)
    await receiver.ensure_listening(callbacks.settings)
    assert receiver.receiving
    receiver.close()


async def test_a_start_that_takes_too_long_is_given_up_and_tried_again(emulator: TrimEmulator) -> None:
    callbacks = Callbacks(emulator, quota_storage="redis://127.0.0.1:1")
    receiver = CallbackReceiver(time.monotonic, lambda trans_no: None, lambda: None, start_timeout=0.0)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await receiver.ensure_listening(callbacks.settings)
        assert not receiver.receiving
    receiver.close()


@pytest.mark.parametrize("ticks", range(8))
async def test_cancellation_while_the_listener_starts_leaves_nothing(callbacks: Callbacks, ticks: int) -> None:
    def handle(claim: Claim) -> bool:
        return False

    listener = Listener(HOST, callbacks.port)
    joining = asyncio.create_task(listener.subscribe(handle))
    for _ in range(ticks):
        await asyncio.sleep(0)
    joining.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await joining
        listener.unsubscribe(handle)
    with socket.create_server((HOST, callbacks.port)):
        pass


async def test_without_the_extra_nothing_listens(emulator: TrimEmulator, callbacks: Callbacks) -> None:
    callbacks.settings = callbacks.settings.model_copy(update={"callback_listen": None})
    waits = Waits(callbacks)
    emulator.add_trim("t1")
    waits.start("t1")
    await emulator.async_wait_for_calls(5, trans_no="t1")
    assert not await callbacks.heard()
    await waits.end()


async def test_a_changed_connection_is_followed(waits: Waits, callbacks: Callbacks, emulator: TrimEmulator) -> None:
    callbacks.add_trim("t1")
    wait = waits.start("t1", expects_callback=False)
    await callbacks.listening()
    moved = Callbacks(emulator)
    callbacks.settings = moved.settings
    waits.clock.advance(600)
    await moved.listening()
    await callbacks.gone()
    emulator.finish("t1")
    await done(wait)
