# SPDX-License-Identifier: Apache-2.0
"""All waits of a connection by one task, over HTTP against the emulator."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
import math
import time
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from airflow_provider_trim.emulator import Call, ConnectionReset, Hold, HttpError, ServiceCode, TrimEmulator
from airflow_provider_trim.polling import connection
from airflow_provider_trim.polling.connection import CONNECTION_LIFETIME
from airflow_provider_trim.polling.poller import Poller, poller_for
from airflow_provider_trim.polling.watch import Decision, Failure, LookAgain, Success, TimedOut, Watch
from airflow_provider_trim.vod.errors import (
    TransNoEmptyError,
    TransNoIllegalError,
    TrimAuthError,
    TrimSettingsError,
    TrimTaskFailedError,
    TrimTransportError,
)
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.callback_calls import until
from tests.support.clocks import Clock
from tests.support.connections import await_no_connections
from tests.support.emulators import settings_for

pytestmark = [pytest.mark.filterwarnings("error::ResourceWarning"), pytest.mark.usefixtures("no_old_garbage")]

INTERVAL = 0.02
OWNER = contextvars.ContextVar[str]("owner", default="nobody")


class Loader:
    """Looks the connection up: the emulator's token of that moment, unless told otherwise."""

    def __init__(self, emulator: TrimEmulator, *errors: Exception, token: str | None = None) -> None:
        self.emulator = emulator
        self.errors = list(errors)
        self.token = token
        self.count = 0

    async def __call__(self) -> TrimSettings:
        self.count += 1
        await asyncio.sleep(0)
        if self.errors:
            raise self.errors.pop(0)
        return settings_for(self.emulator, password=self.token, quota="1000000/minute")


def watch(trans_no: str, kind: type[Watch] = Watch, **parameters: Any) -> Watch:
    return kind(trans_no, **{"now": time.time(), "interval": INTERVAL, **parameters})


def start(poller: Poller, trans_no: str, **parameters: Any) -> asyncio.Task[Any]:
    return asyncio.create_task(poller.wait(watch(trans_no, **parameters)))


async def finished(*waits: asyncio.Task[Any]) -> list[Any]:
    async with asyncio.timeout(60):
        return await asyncio.gather(*waits)


async def held(hold: Hold, count: int = 1) -> None:
    await asyncio.to_thread(hold.wait_until_held, count)


async def cancel(wait: asyncio.Task[Any]) -> None:
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    assert wait.cancelled()


@pytest.fixture
def on_call() -> list[Callable[[Call], None]]:
    """What to do after a call, in the emulator's thread, before its answer is sent."""
    return []


@pytest.fixture
def emulator_options(on_call: list[Callable[[Call], None]]) -> dict[str, Any]:
    return {"duration": math.inf, "on_call": lambda call: [do(call) for do in on_call] and None}


@pytest.fixture
def load(emulator: TrimEmulator) -> Loader:
    return Loader(emulator)


@pytest.fixture
async def poller(load: Loader, emulator: TrimEmulator) -> AsyncIterator[Poller]:
    """A poller that must end with its last watch: no task of its is left, and no connection."""
    yield Poller(load)
    if left := asyncio.all_tasks() - {asyncio.current_task()}:
        _, running = await asyncio.wait(left, timeout=60)
        assert not running
    await asyncio.to_thread(await_no_connections, emulator)


# --- verdicts ---


async def test_a_wait_ends_with_what_came_out(
    poller: Poller, emulator: TrimEmulator, on_call: list[Callable[[Call], None]]
) -> None:
    emulator.add_trim("t1")
    on_call.append(lambda call: emulator.finish("t1") if emulator.call_count == 3 else None)
    verdict = await poller.wait(watch("t1"))
    assert isinstance(verdict, Success)
    assert verdict.task.video_info is not None
    assert verdict.task.video_info.raw == emulator.video_info("t1")
    assert [call.trim_status for call in emulator.calls] == [1, 1, 1, 2]


async def test_a_failed_trim_is_a_failure(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.add_trim("t1", seconds=0, outcome="fail")
    verdict = await poller.wait(watch("t1"))
    assert isinstance(verdict, Failure)
    assert isinstance(verdict.error, TrimTaskFailedError)
    assert verdict.error.request_id == emulator.calls[0].request_id


async def test_interval_holds_and_last_poll_is_at_the_deadline(emulator: TrimEmulator, load: Loader) -> None:
    """Whoever comes wakes the poller, which sees then how late it is."""
    for trans_no, seconds in (("t1", math.inf), ("t2", 0), ("t3", 0)):
        emulator.add_trim(trans_no, seconds)
    clock = Clock(0, time.time)
    poller = Poller(load, clock=clock)
    waiting = start(poller, "t1", interval=6000, deadline=time.time() + 5000)
    await emulator.await_calls(1)
    await until(lambda: not poller._looks)  # its answer is read
    clock.now = 4000
    await finished(start(poller, "t2"))
    assert len(emulator.calls_for("t1")) == 1
    clock.now = 5000
    await finished(start(poller, "t3"))
    assert await finished(waiting) == [TimedOut(None)]
    assert len(emulator.calls_for("t1")) == 2


async def test_transient_failures_do_not_end_the_wait(
    poller: Poller, emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_trim.polling.quota.FIRST_BACKOFF", INTERVAL)  # a second, in earnest
    emulator.add_trim("t1", seconds=0)
    emulator.misbehave("t1", HttpError(503), ConnectionReset(), HttpError(429), ServiceCode(1560))
    assert isinstance(await poller.wait(watch("t1", max_consecutive_failures=3)), Success)
    assert emulator.call_count == 5


async def test_consecutive_failures_are_bounded(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.misbehave("t1", HttpError(503), repeat=True)
    verdict = await poller.wait(watch("t1", max_consecutive_failures=3))
    assert isinstance(verdict, Failure)
    assert verdict.worth_retrying
    assert emulator.call_count == 3


@pytest.mark.parametrize(("trans_no", "kind"), [("", TransNoEmptyError), ("x" * 33, TransNoIllegalError)])
async def test_an_impossible_trans_no_starts_nothing(poller: Poller, load: Loader, trans_no: str, kind: type) -> None:
    before = asyncio.all_tasks()
    with pytest.raises(kind):
        await poller.wait(watch(trans_no))
    assert asyncio.all_tasks() == before
    assert load.count == 0


# --- sharing ---


async def test_waits_of_one_trim_share_their_calls(
    poller: Poller, emulator: TrimEmulator, on_call: list[Callable[[Call], None]]
) -> None:
    emulator.add_trim("t1")
    on_call.append(lambda call: emulator.finish("t1") if emulator.call_count == 5 else None)
    verdicts = await finished(*(start(poller, "t1") for _ in range(7)))
    assert all(isinstance(verdict, Success) for verdict in verdicts)
    assert emulator.call_count == 6


async def test_new_waiter_during_a_poll_shares_its_response(poller: Poller, emulator: TrimEmulator) -> None:
    for trans_no in ("t1", "t2"):
        emulator.add_trim(trans_no, seconds=0)
    hold = Hold()
    emulator.misbehave("t1", hold)
    first = start(poller, "t1")
    await held(hold)
    second = start(poller, "t1")
    assert isinstance(await poller.wait(watch("t2")), Success)  # so the poller had its chance
    assert emulator.call_count == 1
    hold.release()
    assert all(isinstance(verdict, Success) for verdict in await finished(first, second))
    assert len(emulator.calls_for("t1")) == 1


async def test_new_waiter_with_shorter_interval_polls_sooner(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.add_trim("t1")
    patient = start(poller, "t1", interval=3600)
    await emulator.await_calls(1)
    emulator.finish("t1")
    newcomer = start(poller, "t1")
    assert all(isinstance(verdict, Success) for verdict in await finished(patient, newcomer))
    assert emulator.call_count == 2


async def test_one_connection_serves_one_wait_after_another(
    poller: Poller, emulator: TrimEmulator, load: Loader
) -> None:
    keeper = start(poller, "keeper", first_poll_after=3600)
    for n in range(5):
        emulator.add_trim(f"t{n}", seconds=0)
        assert isinstance(await poller.wait(watch(f"t{n}")), Success)
    assert emulator.connections_opened == 1
    assert load.count == 1
    await cancel(keeper)


async def test_many_waits_share_one_connection_lookup_and_survive_a_rotated_token(
    poller: Poller, emulator: TrimEmulator, load: Loader
) -> None:
    trims = [f"t{n}" for n in range(100)]
    for trans_no in trims:
        emulator.add_trim(trans_no)
    waits = [start(poller, trans_no, interval=0.1) for trans_no in trims]
    await emulator.await_calls(150)
    assert load.count == 1
    emulator.token = "rotated"
    emulator.clear_calls()
    await emulator.await_calls(250)
    for trans_no in trims:
        emulator.finish(trans_no)
    verdicts = await finished(*waits)
    assert all(isinstance(verdict, Success) for verdict in verdicts)
    assert load.count == 2
    assert {call.http_status for call in emulator.calls} == {200, 401}


async def test_five_hundred_waits_end(poller: Poller, emulator: TrimEmulator) -> None:
    for n in range(500):
        emulator.add_trim(f"t{n}", seconds=0.2)
    verdicts = await finished(*(start(poller, f"t{n}", interval=0.2) for n in range(500)))
    assert all(isinstance(verdict, Success) for verdict in verdicts)
    assert len({verdict.task.trans_no for verdict in verdicts}) == 500
    assert emulator.connections_opened <= 100


async def test_hanging_poll_delays_no_other(poller: Poller, emulator: TrimEmulator) -> None:
    hold = Hold()
    emulator.misbehave("t0", hold)
    stuck = start(poller, "t0")
    await held(hold)
    for n in range(1, 10):
        emulator.add_trim(f"t{n}", seconds=0.05)
    assert all(
        isinstance(verdict, Success) for verdict in await finished(*(start(poller, f"t{n}") for n in range(1, 10)))
    )
    assert not stuck.done()
    await cancel(stuck)
    await asyncio.to_thread(hold.wait_until_left)


# --- the connection ---


async def test_wrong_token_fails_after_one_reload(emulator: TrimEmulator) -> None:
    load = Loader(emulator, token="wrong")
    verdict = await Poller(load).wait(watch("t1"))
    assert isinstance(verdict, Failure)
    assert isinstance(verdict.error, TrimAuthError)
    assert not verdict.worth_retrying
    assert (load.count, emulator.call_count) == (2, 2)


async def test_late_refusal_of_the_old_token_causes_no_further_reload(
    poller: Poller, emulator: TrimEmulator, load: Loader
) -> None:
    for trans_no in ("t1", "t2"):
        emulator.add_trim(trans_no, seconds=0)
    hold = Hold(then=HttpError(401))
    emulator.misbehave("t1", hold)
    emulator.misbehave("t2", HttpError(401))
    late = start(poller, "t1")
    await held(hold)
    assert isinstance(await poller.wait(watch("t2")), Success)
    hold.release()
    assert isinstance((await finished(late))[0], Success)
    assert load.count == 2


async def test_a_connection_that_cannot_work_is_a_failure(emulator: TrimEmulator) -> None:
    error = TrimSettingsError("there is no connection 'x'")
    assert await Poller(Loader(emulator, error)).wait(watch("t1")) == Failure(error, worth_retrying=False)
    assert emulator.call_count == 0


@pytest.mark.parametrize(("failures", "limit", "kind"), [(2, 3, Success), (3, 3, Failure)])
async def test_failed_connection_lookup_is_transient(
    emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch, failures: int, limit: int, kind: type
) -> None:
    emulator.add_trim("t1", seconds=0)
    load = Loader(emulator, *(TrimTransportError("no secrets today") for _ in range(failures)))
    monkeypatch.setattr(connection, "FAILED_LOOK_UP_PAUSE", INTERVAL / 2)
    verdict = await Poller(load).wait(watch("t1", max_consecutive_failures=limit))
    assert type(verdict) is kind
    assert not isinstance(verdict, Failure) or verdict.worth_retrying
    assert load.count == 3


async def test_connection_is_reloaded_from_time_to_time(emulator: TrimEmulator) -> None:
    """One that says the same keeps its session."""
    emulator.add_trim("t1")
    later = 0.0
    load = Loader(emulator)
    waiting = start(Poller(load, clock=lambda: time.time() + later), "t1")
    await emulator.await_calls(3)
    assert load.count == 1
    later = CONNECTION_LIFETIME
    await emulator.await_calls(len(emulator.calls) + 3)
    emulator.finish("t1")
    await finished(waiting)
    assert (load.count, emulator.connections_opened) == (2, 1)


async def test_stale_connection_is_kept_where_it_cannot_be_reloaded(emulator: TrimEmulator) -> None:
    """A secrets backend that is away for a moment ends no wait."""
    emulator.add_trim("t1")
    later = 0.0
    load = Loader(emulator)
    poller = Poller(load, clock=lambda: time.time() + later)
    waiting = start(poller, "t1", max_consecutive_failures=1)
    await emulator.await_calls(1)
    load.errors.append(TrimSettingsError("there is no connection"))
    later = CONNECTION_LIFETIME
    await emulator.await_calls(len(emulator.calls) + 3)
    assert load.count == 2
    emulator.finish("t1")
    assert isinstance((await finished(waiting))[0], Success)


async def test_failed_connection_lookup_is_shared_by_all_waits(emulator: TrimEmulator) -> None:
    load = Loader(emulator, *[TrimTransportError("away")] * 100)
    poller = Poller(load)
    verdicts = await finished(*(start(poller, f"t{n}", max_consecutive_failures=1) for n in range(50)))
    assert {type(verdict) for verdict in verdicts} == {Failure}
    assert load.count == 1


async def test_a_poller_that_has_ended_says_so(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.add_trim("t1", seconds=0)
    await finished(start(poller, "t1"))
    with pytest.raises(RuntimeError, match="has ended"):
        await finished(start(poller, "t1"))


# --- the end ---


async def test_cancelled_wait_is_polled_no_more(poller: Poller, emulator: TrimEmulator) -> None:
    for trans_no in ("t1", "t2"):
        emulator.add_trim(trans_no)
    hold = Hold()
    emulator.misbehave("t1", hold)
    waiting, other = start(poller, "t1"), start(poller, "t2")
    await held(hold)
    await cancel(waiting)
    hold.release()
    await emulator.await_calls(1, trans_no="t1")
    await emulator.await_calls(len(emulator.calls_for("t2")) + 5, trans_no="t2")
    assert len(emulator.calls_for("t1")) == 1
    emulator.finish("t2")
    assert isinstance((await finished(other))[0], Success)


async def test_wait_cancelled_between_polls_is_polled_no_more(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.add_trim("t2")
    other = start(poller, "t2", deadline=time.time() + 0.2)
    waiting = start(poller, "t1", first_poll_after=0.1)
    await asyncio.sleep(0)  # both have begun
    await cancel(waiting)
    assert isinstance((await finished(other))[0], TimedOut)
    assert emulator.calls_for("t1") == []


async def test_a_cancelled_wait_leaves_the_others_of_its_trim(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.add_trim("t1")
    waiting, other = start(poller, "t1"), start(poller, "t1")
    await emulator.await_calls(1)
    await cancel(waiting)
    emulator.finish("t1")
    assert isinstance((await finished(other))[0], Success)


async def test_last_wait_cancels_the_poll_under_way(poller: Poller, emulator: TrimEmulator) -> None:
    hold = Hold()
    emulator.misbehave("t1", hold)
    waiting = start(poller, "t1")
    await held(hold)
    await cancel(waiting)
    await asyncio.to_thread(hold.wait_until_left)


async def test_next_wait_gets_a_new_poller(emulator: TrimEmulator, load: Loader) -> None:
    emulator.add_trim("t1")
    first = poller_for("c1", load)
    assert poller_for("c1", load) is first
    assert poller_for("c2", load) is not first
    waiting = start(first, "t1")
    await emulator.await_calls(1)
    assert poller_for("c1", load) is first
    emulator.finish("t1")
    await finished(waiting)
    second = poller_for("c1", load)
    assert second is not first
    assert isinstance(await second.wait(watch("t1")), Success)
    assert load.count == 2


def test_every_event_loop_has_its_own_poller(emulator: TrimEmulator, load: Loader) -> None:
    """The loop may end right after the last wait, while the poller is still on its way out."""
    emulator.add_trim("t1", seconds=0)
    hold = Hold()
    emulator.misbehave("t2", hold, repeat=True)

    async def main(turns: int) -> None:
        poller = poller_for("c1", load)
        stuck = start(poller, "t2")
        await held(hold)
        assert isinstance(await poller_for("c1", load).wait(watch("t1")), Success)
        stuck.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        for turns in range(8):
            asyncio.run(main(turns))
            hold.wait_until_left()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []
    assert load.count == 8


# --- what is none of this module's ---


class Broken(Watch):
    def looked(self, *_: Any, **__: Any) -> Decision:
        raise LookupError("a bug")


async def test_a_bug_in_one_wait_ends_no_other(poller: Poller, emulator: TrimEmulator) -> None:
    """Nor does it become a loop."""
    for trans_no in ("t1", "t2"):
        emulator.add_trim(trans_no)
    other = start(poller, "t2")
    with pytest.raises(LookupError, match="a bug"):
        await poller.wait(watch("t1", Broken))
    assert len(emulator.calls_for("t1")) == 1
    emulator.finish("t2")
    assert isinstance((await finished(other))[0], Success)


async def test_exception_of_the_loader_reaches_the_waiter(emulator: TrimEmulator) -> None:
    load = Loader(emulator, LookupError("a bug"))
    with pytest.raises(LookupError, match="a bug"):
        await Poller(load).wait(watch("t1"))
    assert load.count == 1


async def test_exception_of_the_poller_reaches_all_waiters(emulator: TrimEmulator, load: Loader) -> None:
    """Nobody waits for ever for a poller that has ended."""
    hold = Hold()
    emulator.misbehave("t1", hold)
    broken = False

    def clock() -> float:
        if broken:
            raise LookupError("a bug")
        return time.time()

    poller = Poller(load, clock=clock)
    first = start(poller, "t1")
    await held(hold)
    broken = True
    second = start(poller, "t2")
    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [LookupError, LookupError]


# --- the log ---


async def test_news_go_to_the_log_of_the_waiting_task(poller: Poller, emulator: TrimEmulator) -> None:
    """Airflow tells by context whose log a line belongs to."""
    heard: list[tuple[str, int, str]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append((OWNER.get(), record.levelno, record.getMessage()[:8]))

    async def wait(name: str, trans_no: str) -> None:
        OWNER.set(name)
        assert isinstance(await poller.wait(watch(trans_no)), Success)

    logger = logging.getLogger("airflow_provider_trim.polling.poller")
    logger.addHandler(handler := Handler(logging.INFO))
    try:
        for trans_no in ("t1", "t2"):
            emulator.add_trim(trans_no, seconds=0)
            emulator.misbehave(trans_no, HttpError(503), HttpError(503))
        await finished(*(asyncio.create_task(wait(name, name[:2])) for name in ("t1", "t2", "t1 too")))
    finally:
        logger.removeHandler(handler)
    assert sorted(heard) == [
        ("t1", logging.WARNING, "Trim t1:"),
        ("t1 too", logging.WARNING, "Trim t1:"),
        ("t2", logging.WARNING, "Trim t2:"),
    ]


async def test_a_heartbeat_says_what_is_next_and_why(
    load: Loader, emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("airflow_provider_trim.polling.watch.FIRST_HEARTBEAT", 0.0)  # a minute, in earnest
    emulator.add_trim("T", seconds=0)
    emulator.misbehave("T", ServiceCode(1560))
    now = time.time()  # until the line is there
    with caplog.at_level(logging.INFO, logger="airflow_provider_trim.polling.poller"):
        waiting = start(Poller(load, clock=lambda: now), "T", now=now, interval=0.3)
        await until(lambda: caplog.messages != [])
        now += 1
        await finished(waiting)
    (line,) = caplog.messages
    assert line == ("Trim T: still processing after 0 s; quota: 1 of 1000000 calls used, next look in about 0 s")


async def test_poller_runs_in_its_own_context(emulator: TrimEmulator, load: Loader) -> None:
    owners = []

    async def noting() -> TrimSettings:
        owners.append(OWNER.get())
        return await load()

    OWNER.set("t1")
    emulator.add_trim("t1", seconds=0)
    await Poller(noting).wait(watch("t1"))
    assert owners == ["nobody"]


async def test_every_watch_decides_on_its_own_polls(poller: Poller, emulator: TrimEmulator) -> None:
    """A watch is asked only for decisions at looks, with the number of the look-up they were made with."""
    seen: list[tuple[bool, int]] = []

    class Curious(Watch):
        def looked(self, outcome: Any, now: float, *, connection: int = 0) -> Decision:
            decision = super().looked(outcome, now, connection=connection)
            seen.append((isinstance(decision, LookAgain) and decision.fresh_connection, connection))
            return decision

    emulator.add_trim("t1")
    waiting = start(poller, "t1", kind=Curious)
    await emulator.await_calls(2)
    emulator.token = "rotated"
    emulator.finish("t1")
    await finished(waiting)
    assert seen == [*[(False, 1)] * (len(seen) - 2), (True, 1), (False, 2)]
