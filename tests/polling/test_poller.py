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
import time_machine

from airflow_provider_trim.client.connection_cache import LIFETIME, ConnectionCache
from airflow_provider_trim.emulator import Call, ConnectionReset, Hold, HttpError, ServiceCode, TrimEmulator
from airflow_provider_trim.polling.expiry import EXPIRY_GRACE, MAX_EXPIRY_GRACE
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.policy import ExpectedDelayPolicy
from airflow_provider_trim.polling.poller import MAX_CONCURRENT_CALLS, Poller
from airflow_provider_trim.polling.pollers import poller_for
from airflow_provider_trim.polling.schedule import Schedule
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.transitions import State
from airflow_provider_trim.polling.verdicts import Decision, Failure, Success, TimedOut
from airflow_provider_trim.ratelimit.limiter import limiter_for
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
from tests.support.recording_schedule import RecordingSchedule

pytestmark = [pytest.mark.filterwarnings("error::ResourceWarning"), pytest.mark.usefixtures("no_old_garbage")]

INTERVAL = 0.02
OWNER = contextvars.ContextVar[str]("owner", default="none")


class Loader:
    """Loads the connection: with the emulator's token of that moment, unless another is given."""

    def __init__(self, emulator: TrimEmulator, *errors: BaseException, token: str | None = None) -> None:
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


def begin(trans_no: str, kind: type[PollState] = PollState, **parameters: Any) -> PollState:
    return kind(trans_no, WaitOptions(**{"interval": INTERVAL, **parameters}), now=time.monotonic())


def start(poller: Poller, trans_no: str, **parameters: Any) -> asyncio.Task[Any]:
    return asyncio.create_task(poller.wait(begin(trans_no, **parameters)))


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
    """What to do after a call, in the emulator's thread, before its response is sent."""
    return []


@pytest.fixture
def emulator_options(on_call: list[Callable[[Call], None]]) -> dict[str, Any]:
    return {"duration": math.inf, "on_call": lambda call: [do(call) for do in on_call] and None}


@pytest.fixture
def load(emulator: TrimEmulator) -> Loader:
    return Loader(emulator)


@pytest.fixture
async def poller(load: Loader, emulator: TrimEmulator) -> AsyncIterator[Poller]:
    """A poller that must end with its last wait: none of its tasks is left, and no connection."""
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
    verdict = await poller.wait(begin("t1"))
    assert isinstance(verdict, Success)
    assert verdict.task.video_info is not None
    assert verdict.task.video_info.raw == emulator.video_info("t1")
    assert [call.trim_status for call in emulator.calls] == [1, 1, 1, 2]


async def test_a_failed_trim_is_a_failure(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.add_trim("t1", seconds=0, outcome="fail")
    verdict = await poller.wait(begin("t1"))
    assert isinstance(verdict, Failure)
    assert isinstance(verdict.error, TrimTaskFailedError)
    assert verdict.error.request_id == emulator.calls[0].request_id


async def test_interval_holds_and_last_poll_is_at_the_deadline(emulator: TrimEmulator, load: Loader) -> None:
    """Each new wait wakes the poller, which sees then how late it is."""
    for trans_no, seconds in (("t1", math.inf), ("t2", 0), ("t3", 0)):
        emulator.add_trim(trans_no, seconds)
    clock = Clock(0, time.monotonic)
    schedule = RecordingSchedule()
    poller = Poller(load, clock=clock, schedule=schedule)
    waiting = start(poller, "t1", interval=6000, deadline=clock() + 5000)
    await until(lambda: "t1" in schedule.polled)
    clock.now = 4000
    await finished(start(poller, "t2"))
    assert len(emulator.calls_for("t1")) == 1
    clock.now = 5000
    await finished(start(poller, "t3"))
    assert await finished(waiting) == [TimedOut(None)]
    assert len(emulator.calls_for("t1")) == 2


async def test_kind_of_a_wait_is_what_the_trim_is_planned_with(emulator: TrimEmulator, load: Loader) -> None:
    emulator.add_trim("t1", seconds=0)
    emulator.add_trim("t2", seconds=0)
    schedule = RecordingSchedule()
    poller = Poller(load, schedule=schedule)
    of_a_task = PollState("t1", WaitOptions(interval=INTERVAL, kind="dag.task"), now=time.monotonic())
    await finished(asyncio.create_task(poller.wait(of_a_task)), start(poller, "t2"))
    assert schedule.kinds == {"t1": "dag.task", "t2": None}


async def test_transient_failures_do_not_end_the_wait(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.add_trim("t1", seconds=0)
    at_once = HttpError(429, headers={"Retry-After": "0"})
    emulator.misbehave("t1", HttpError(503), ConnectionReset(), at_once, ServiceCode(1560))
    assert isinstance(await poller.wait(begin("t1", max_consecutive_failures=3)), Success)
    assert emulator.call_count == 5


async def test_consecutive_failures_are_bounded(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.misbehave("t1", HttpError(503), repeat=True)
    verdict = await poller.wait(begin("t1", max_consecutive_failures=3))
    assert isinstance(verdict, Failure)
    assert verdict.worth_retrying
    assert emulator.call_count == 3


@pytest.mark.parametrize(("trans_no", "kind"), [("", TransNoEmptyError), ("x" * 33, TransNoIllegalError)])
async def test_an_impossible_trans_no_starts_nothing(poller: Poller, load: Loader, trans_no: str, kind: type) -> None:
    before = asyncio.all_tasks()
    with pytest.raises(kind):
        await poller.wait(begin(trans_no))
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
    assert isinstance(await poller.wait(begin("t2")), Success)  # so the poller had its chance
    assert emulator.call_count == 1
    hold.release()
    assert all(isinstance(verdict, Success) for verdict in await finished(first, second))
    assert len(emulator.calls_for("t1")) == 1


async def test_new_waiter_with_shorter_interval_polls_sooner(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.add_trim("t1")
    patient = start(poller, "t1", interval=3600)
    await emulator.async_wait_for_calls(1)
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
        assert isinstance(await poller.wait(begin(f"t{n}")), Success)
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
    await emulator.async_wait_for_calls(150)
    assert load.count == 1
    emulator.token = "rotated"
    emulator.clear_calls()
    await emulator.async_wait_for_calls(250)
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
    verdict = await Poller(load).wait(begin("t1"))
    assert isinstance(verdict, Failure)
    assert type(verdict.error) is TrimAuthError
    assert verdict.worth_retrying
    assert (load.count, emulator.call_count) == (2, 2)


async def test_refused_credentials_that_were_never_accepted_end_all_waits(emulator: TrimEmulator) -> None:
    poller = Poller(Loader(emulator, token="wrong"))
    verdicts = await finished(*(start(poller, f"t{n}", first_poll_after=n and 3600) for n in range(50)))
    assert [type(verdict.error) for verdict in verdicts] == [TrimAuthError] * 50
    assert emulator.call_count == 2


@pytest.mark.parametrize(("refusals", "kind"), [(9, Success), (10, Failure)])
async def test_accepted_credentials_may_be_refused_for_a_while(
    poller: Poller, emulator: TrimEmulator, load: Loader, refusals: int, kind: type
) -> None:
    """A gateway responses 403 while 50 trims wait. One poll at a time tries, and reloads first."""
    trims = [f"t{number}" for number in range(50)]
    for trans_no in trims:
        emulator.add_trim(trans_no)
    waits = [
        start(poller, trans_no, interval=0.001, first_poll_after=0 if trans_no == "t0" else 3600) for trans_no in trims
    ]
    await emulator.async_wait_for_calls(2)
    emulator.misbehave(None, *[HttpError(403)] * refusals)
    if kind is Success:
        emulator.finish("t0")
        assert isinstance((await finished(waits[0]))[0], Success)
        assert not any(wait.done() for wait in waits[1:])
        for wait in waits[1:]:
            await cancel(wait)
    else:
        verdicts = await finished(*waits)
        assert {type(verdict.error) for verdict in verdicts} == {TrimAuthError}
        assert all(verdict.worth_retrying for verdict in verdicts)
    assert [call.http_status for call in emulator.calls if call.http_status != 200] == [403] * refusals
    assert load.count == refusals + (kind is Success)


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
    assert isinstance(await poller.wait(begin("t2")), Success)
    hold.release()
    assert isinstance((await finished(late))[0], Success)
    assert load.count == 2


async def test_a_connection_that_cannot_work_is_a_failure(emulator: TrimEmulator) -> None:
    error = TrimSettingsError("there is no connection 'x'")
    verdict = await Poller(Loader(emulator, error)).wait(begin("t1"))
    assert isinstance(verdict, Failure)
    assert (type(verdict.error), str(verdict.error)) == (TrimSettingsError, str(error))
    assert not verdict.worth_retrying
    assert emulator.call_count == 0


@pytest.mark.parametrize(
    "error", [TrimTransportError("no secrets today"), LookupError("a bug"), asyncio.CancelledError()]
)
@pytest.mark.parametrize(("failures", "limit", "kind"), [(2, 30, Success), (1000, 3, Failure)])
async def test_failed_load_of_the_connection_is_transient(
    emulator: TrimEmulator, error: BaseException, failures: int, limit: int, kind: type
) -> None:
    """Whatever the loader raises."""
    emulator.add_trim("t1", seconds=0)
    load = Loader(emulator, *[error] * failures)
    connection = ConnectionCache(load, 1, clock=lambda: 100 * time.monotonic())  # whose delays are shorter so
    verdict = await Poller(load, connection=connection).wait(begin("t1", max_consecutive_failures=limit))
    assert type(verdict) is kind
    assert not isinstance(verdict, Failure) or verdict.worth_retrying
    assert not isinstance(verdict, Success) or load.count == 3


async def test_connection_is_reloaded_from_time_to_time(emulator: TrimEmulator) -> None:
    """One that says the same keeps its session."""
    emulator.add_trim("t1")
    clock = Clock(0, time.monotonic)
    load = Loader(emulator)
    waiting = start(Poller(load, clock=clock), "t1")
    await emulator.async_wait_for_calls(3)
    assert load.count == 1
    clock.advance(LIFETIME)
    await emulator.async_wait_for_calls(len(emulator.calls) + 3)
    emulator.finish("t1")
    await finished(waiting)
    assert (load.count, emulator.connections_opened) == (2, 1)


async def test_stale_connection_is_kept_where_it_cannot_be_reloaded(emulator: TrimEmulator) -> None:
    """A secrets backend that is unreachable for a moment ends no wait."""
    emulator.add_trim("t1")
    clock = Clock(0, time.monotonic)
    load = Loader(emulator)
    poller = Poller(load, clock=clock)
    waiting = start(poller, "t1", max_consecutive_failures=1)
    await emulator.async_wait_for_calls(1)
    load.errors.append(TrimSettingsError("there is no connection"))
    clock.advance(LIFETIME)
    await emulator.async_wait_for_calls(len(emulator.calls) + 3)
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
    with pytest.raises(RuntimeError, match="poller is closed"):
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
    await emulator.async_wait_for_calls(1, trans_no="t1")
    await emulator.async_wait_for_calls(len(emulator.calls_for("t2")) + 5, trans_no="t2")
    assert len(emulator.calls_for("t1")) == 1
    emulator.finish("t2")
    assert isinstance((await finished(other))[0], Success)


async def test_wait_cancelled_between_polls_is_polled_no_more(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.add_trim("t2")
    other = start(poller, "t2", deadline=time.monotonic() + 0.2)
    waiting = start(poller, "t1", first_poll_after=0.1)
    await asyncio.sleep(0)  # both have begun
    await cancel(waiting)
    assert isinstance((await finished(other))[0], TimedOut)
    assert emulator.calls_for("t1") == []


async def test_a_cancelled_wait_leaves_the_others_of_its_trim(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.add_trim("t1")
    waiting, other = start(poller, "t1"), start(poller, "t1")
    await emulator.async_wait_for_calls(1)
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
    await emulator.async_wait_for_calls(1)
    assert poller_for("c1", load) is first
    emulator.finish("t1")
    await finished(waiting)
    second = poller_for("c1", load)
    assert second is not first
    assert isinstance(await second.wait(begin("t1")), Success)
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
        assert isinstance(await poller_for("c1", load).wait(begin("t1")), Success)
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


class Broken(PollState):
    def record_response(self, *_: Any, **__: Any) -> Decision:
        raise LookupError("a bug")


async def test_a_bug_in_one_wait_ends_no_other(poller: Poller, emulator: TrimEmulator) -> None:
    """Nor does it become a loop."""
    for trans_no in ("t1", "t2"):
        emulator.add_trim(trans_no)
    others = [start(poller, "t1"), start(poller, "t2")]
    with pytest.raises(LookupError, match="a bug"):
        await poller.wait(begin("t1", Broken))
    for trans_no in ("t1", "t2"):
        emulator.finish(trans_no)
    assert all(isinstance(verdict, Success) for verdict in await finished(*others))


class FaultySchedule(Schedule):
    """A schedule of which one method fails a few times.

    :param method: its name
    :param times: how often it fails
    """

    def __init__(self, method: str, times: int) -> None:
        super().__init__(ExpectedDelayPolicy())
        self.failures = times
        work = getattr(self, method)

        def fail(*arguments: Any, **options: Any) -> Any:
            if self.failures and (len(self) == 2 or not arguments):
                self.failures -= 1
                raise LookupError("a bug")
            return work(*arguments, **options)

        setattr(self, method, fail)


@pytest.mark.parametrize("method", ["next_due_at", "pop_due", "set_quota"])
async def test_a_bug_in_the_loop_delays_the_waits_and_ends_none(
    emulator: TrimEmulator, load: Loader, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    for trans_no in ("t1", "t2"):
        emulator.add_trim(trans_no, seconds=0)
    poller = Poller(load, schedule=(schedule := FaultySchedule(method, 2)))
    verdicts = await finished(start(poller, "t1"), start(poller, "t2"))
    assert all(isinstance(verdict, Success) for verdict in verdicts)
    assert schedule.failures == 0


async def test_a_bug_while_a_response_is_recorded_reaches_those_that_wait_for_the_trim(
    emulator: TrimEmulator, load: Loader
) -> None:
    """Or they would wait for ever."""
    for trans_no in ("t1", "t2"):
        emulator.add_trim(trans_no, seconds=0)
    hold = Hold()
    emulator.misbehave("t2", hold)
    poller = Poller(load, schedule=FaultySchedule("record", 1))
    waits = [start(poller, trans_no) for trans_no in ("t1", "t1", "t2")]
    await held(hold)
    with pytest.raises(LookupError, match="a bug"):
        await finished(waits[0])
    with pytest.raises(LookupError, match="a bug"):
        await finished(waits[1])
    hold.release()
    assert isinstance((await finished(waits[2]))[0], Success)


# --- deadlines ---


async def test_last_poll_that_failed_is_repeated_over_a_new_connection(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.add_trim("t1", seconds=0)
    emulator.misbehave("t1", ServiceCode(1560), HttpError(503))
    verdict = await poller.wait(begin("t1", interval=60, deadline=time.monotonic() + 0.1))
    assert isinstance(verdict, Success)
    assert [call.http_status for call in emulator.calls] == [200, 503, 200]
    assert emulator.connections_opened == 2


async def test_last_poll_that_fails_twice_is_a_timeout(poller: Poller, emulator: TrimEmulator) -> None:
    emulator.misbehave("t1", HttpError(503), repeat=True)
    verdict = await poller.wait(begin("t1", deadline=time.monotonic()))
    assert isinstance(verdict, TimedOut)
    assert isinstance(verdict.last_error, TrimTransportError)
    assert emulator.call_count == 2


async def timed_out(wait: asyncio.Task[Any], text: str) -> None:
    verdict = (await finished(wait))[0]
    assert isinstance(verdict, TimedOut)
    assert text in str(verdict.last_error)


async def test_load_that_hangs_holds_up_no_deadline(emulator: TrimEmulator) -> None:
    """All waits of the connection stood still, past their timeouts."""
    clock, loading = Clock(0, time.monotonic), asyncio.Event()

    async def hang() -> TrimSettings:
        loading.set()
        await asyncio.Event().wait()
        raise AssertionError

    wait = start(Poller(hang, clock=clock, expiry_interval=0.01), "t1", deadline=clock() + 60)
    await loading.wait()
    clock.advance(60 + EXPIRY_GRACE)
    await timed_out(wait, "the last poll could not be made within 30 s")


async def test_reload_that_hangs_holds_up_no_poll(emulator: TrimEmulator, load: Loader) -> None:
    """The session in hand serves."""
    emulator.add_trim("t1")
    clock, hanging = Clock(0, time.monotonic), False

    async def hang_later() -> TrimSettings:
        if hanging:
            await asyncio.Event().wait()
        return await load()

    wait = start(Poller(hang_later, clock=clock), "t1")
    await emulator.async_wait_for_calls(2)
    hanging = True
    clock.advance(LIFETIME)
    await emulator.async_wait_for_calls(emulator.call_count + 5)
    emulator.finish("t1")
    assert isinstance((await finished(wait))[0], Success)


async def test_calls_that_hang_hold_up_no_deadline(emulator: TrimEmulator, load: Loader) -> None:
    """All of the poller's calls hang."""
    clock, hold = Clock(0, time.monotonic), Hold()
    emulator.misbehave(None, hold, repeat=True)
    poller = Poller(load, clock=clock, expiry_interval=0.01)
    stuck = [start(poller, f"t{number}", deadline=clock() + 60) for number in range(MAX_CONCURRENT_CALLS)]
    await held(hold, MAX_CONCURRENT_CALLS)
    waiting = start(poller, "waiting", deadline=clock() + 60)
    await asyncio.sleep(0)
    clock.advance(60 + EXPIRY_GRACE)
    await timed_out(waiting, "the last poll could not be made within 30 s")
    assert not any(wait.done() for wait in stuck)
    clock.advance(MAX_EXPIRY_GRACE - EXPIRY_GRACE)
    await timed_out(stuck[0], "the last poll did not end within 90 s")
    await finished(*stuck)
    await asyncio.to_thread(hold.wait_until_left)


async def test_quota_that_is_used_up_holds_up_no_deadline(emulator: TrimEmulator) -> None:
    clock = Clock(0, time.monotonic)
    settings = settings_for(emulator, quota="1/hour")
    assert limiter_for(settings).acquire() == 0.0

    async def load() -> TrimSettings:
        return settings

    wait = start(Poller(load, clock=clock, expiry_interval=0.01), "t1", deadline=clock() + 60)
    await until(lambda: limiter_for(settings).waiting == 1)
    clock.advance(60 + EXPIRY_GRACE)
    await timed_out(wait, "the account's call quota was exhausted for 30 s")
    assert emulator.call_count == 0


# --- delays ---


async def test_retry_after_of_a_service_in_trouble_is_honoured(poller: Poller, emulator: TrimEmulator) -> None:
    """It was polled at its interval, and failed after ten."""
    emulator.add_trim("t1", seconds=0)
    emulator.misbehave("t1", HttpError(503, headers={"Retry-After": "1"}))
    assert isinstance(await poller.wait(begin("t1", max_consecutive_failures=2)), Success)
    first, second = emulator.calls
    assert second.time - first.time >= 1.0


@pytest.mark.parametrize("hours", [-1, 1])
async def test_system_clock_may_be_set(poller: Poller, emulator: TrimEmulator, hours: int) -> None:
    """No poll for an hour."""
    emulator.add_trim("t1")
    wait = start(poller, "t1", deadline=time.monotonic() + 60)
    await emulator.async_wait_for_calls(2)
    with time_machine.travel(time.time() + hours * 3600):
        await emulator.async_wait_for_calls(emulator.call_count + 5)
        emulator.finish("t1")
        assert isinstance((await finished(wait))[0], Success)


# --- the log ---


async def test_news_go_to_the_log_of_the_waiting_task(poller: Poller, emulator: TrimEmulator) -> None:
    """Airflow tells by context whose log a line belongs to."""
    heard: list[tuple[str, int, str]] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append((OWNER.get(), record.levelno, record.getMessage()[:8]))

    async def wait(name: str, trans_no: str) -> None:
        OWNER.set(name)
        assert isinstance(await poller.wait(begin(trans_no)), Success)

    logger = logging.getLogger("airflow_provider_trim.polling.subscriptions")
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


async def test_progress_line_says_what_is_next_and_why(
    emulator: TrimEmulator, load: Loader, caplog: pytest.LogCaptureFixture
) -> None:
    emulator.add_trim("T", seconds=0)
    emulator.misbehave("T", ServiceCode(1560))
    clock = Clock(0, time.monotonic)
    state = PollState("T", WaitOptions(interval=0.3), now=clock())
    clock.advance(61)
    with caplog.at_level(logging.INFO, logger="airflow_provider_trim.polling"):
        await Poller(load, clock=clock).wait(state)
    (line,) = caplog.messages
    assert line == "Trim T: still processing after 61 s; quota 1/1000000 used, next poll in about 0 s"


async def test_poller_runs_in_its_own_context(emulator: TrimEmulator, load: Loader) -> None:
    owners = []

    async def noting() -> TrimSettings:
        owners.append(OWNER.get())
        return await load()

    OWNER.set("t1")
    emulator.add_trim("t1", seconds=0)
    await Poller(noting).wait(begin("t1"))
    assert owners == ["none"]


async def test_every_wait_decides_on_its_own_polls(poller: Poller, emulator: TrimEmulator) -> None:
    """Only after polls, with the version of the connection with which each was made."""
    seen: list[tuple[bool, int]] = []

    class Recording(PollState):
        def record_response(self, *arguments: Any, version: int = 0, **options: Any) -> Decision:
            decision = super().record_response(*arguments, version=version, **options)
            seen.append((self.state is State.REAUTHENTICATING, version))
            return decision

    emulator.add_trim("t1")
    waiting = start(poller, "t1", kind=Recording)
    await emulator.async_wait_for_calls(2)
    emulator.token = "rotated"
    emulator.finish("t1")
    await finished(waiting)
    assert seen == [*[(False, 1)] * (len(seen) - 2), (True, 1), (False, 2)]


async def test_a_trim_counts_for_the_task_with_the_fewest_that_waits_for_it(
    load: Loader, emulator: TrimEmulator
) -> None:
    """Tasks take turns: one that waits for a single trim is not held up by a list that contains it, too."""
    for trans_no in ("t1", "t2", "t3"):
        emulator.add_trim(trans_no)
    poller = Poller(load, schedule=(schedule := Schedule(ExpectedDelayPolicy())))
    waits = [start(poller, trans_no, task="list") for trans_no in ("t1", "t2", "t3")]
    await asyncio.sleep(0)
    assert schedule.trims_of("list") == 3
    waits.append(start(poller, "t2", task="single"))
    await asyncio.sleep(0)
    assert (schedule.trims_of("list"), schedule.trims_of("single")) == (2, 1)
    for wait in waits:
        await cancel(wait)
    assert (schedule.trims_of("list"), schedule.trims_of("single")) == (0, 0)
