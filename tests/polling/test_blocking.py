# SPDX-License-Identifier: Apache-2.0
"""A wait that holds its process, against the emulator; both follow one clock, which sleeping moves."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest

from airflow_provider_trim.emulator import HttpError, Normal, TrimEmulator
from airflow_provider_trim.polling.blocking import look, wait
from airflow_provider_trim.polling.many import Tally
from airflow_provider_trim.polling.watch import Decision, Failure, LookAgain, Success, TimedOut, Verdict, Watch
from airflow_provider_trim.transports.sync import SyncTransport
from airflow_provider_trim.vod.errors import (
    TransNoNotFoundError,
    TrimAuthError,
    TrimTaskFailedError,
    TrimTransportError,
)
from airflow_provider_trim.vod.models import TrimTask
from airflow_provider_trim.vod.protocol import build_query, decipher
from tests.support.clocks import Clock
from tests.support.emulators import settings_for

T = 1_516_182_478.0
LOG = logging.getLogger("tests.blocking")


def alone(watch: Watch) -> Tally:
    return Tally([watch], stop_at_failure=True)


class Client:
    """Reads the emulator's token as a hook reads a connection: at the start and when told to refresh."""

    def __init__(self, emulator: TrimEmulator, token: str | None = None) -> None:
        self.emulator = emulator
        self.token = token
        self.refreshed = -1
        self.refresh()

    def refresh(self) -> None:
        self.refreshed += 1
        self.settings = settings_for(self.emulator, password=self.token)

    def ask(self, trans_no: str, patience: float) -> TrimTask:
        with SyncTransport(self.settings) as transport:
            answer = transport.send(build_query(self.settings, trans_no, T))
        return decipher(answer.status, answer.headers, answer.body, trans_no=trans_no)


@pytest.fixture
def clock() -> Clock:
    return Clock(T)


@pytest.fixture
def emulator_options(clock: Clock) -> dict[str, Any]:
    return {"clock": clock, "duration": math.inf}


@pytest.fixture
def run(emulator: TrimEmulator, clock: Clock) -> Any:
    """Waits for trim t1 and returns the verdict and when the calls came, in seconds from the start."""

    def run(client: Client | None = None, **parameters: Any) -> tuple[Verdict, list[float]]:
        watch = Watch("t1", now=T, **parameters)
        (verdict,) = wait(alone(watch), client or Client(emulator), LOG, now=clock, sleep=clock.advance)
        return verdict, [call.time - T for call in emulator.calls]

    return run


def test_waiting_until_the_trim_is_done(emulator: TrimEmulator, run: Any) -> None:
    emulator.add_trim("t1", seconds=25)
    verdict, times = run(interval=10)
    assert isinstance(verdict, Success)
    assert verdict.task.video_info is not None
    assert verdict.task.video_info.raw == emulator.video_info("t1")
    assert times == [0, 10, 20, 30]


def test_first_poll_waits_for_its_time(emulator: TrimEmulator, run: Any) -> None:
    emulator.add_trim("t1", seconds=25)
    verdict, times = run(interval=10, first_poll_after=25)
    assert isinstance(verdict, Success)
    assert times == [25]


@pytest.mark.parametrize(("known", "kind"), [(True, TrimTaskFailedError), (False, TransNoNotFoundError)])
def test_permanent_failure_ends_the_wait(emulator: TrimEmulator, run: Any, known: bool, kind: type) -> None:
    if known:
        emulator.add_trim("t1", seconds=15, outcome="fail")
    verdict, times = run(interval=10)
    assert isinstance(verdict, Failure)
    assert type(verdict.error) is kind
    assert not verdict.worth_retrying
    assert times == ([0, 10, 20] if known else [0])


@pytest.mark.parametrize(("ends", "kind"), [(30.0, Success), (30.5, TimedOut)])
def test_last_poll_is_at_the_deadline(emulator: TrimEmulator, run: Any, ends: float, kind: type) -> None:
    emulator.add_trim("t1", seconds=ends)
    verdict, times = run(interval=20, deadline=T + 30)
    assert type(verdict) is kind
    assert times == [0, 20, 30]


def test_transient_failure_does_not_end_the_wait(
    emulator: TrimEmulator, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    emulator.add_trim("t1", seconds=35)
    emulator.misbehave("t1", HttpError(503), HttpError(502))
    verdict, times = run(interval=10)
    assert isinstance(verdict, Success)
    assert times == [0, 10, 20, 30, 40]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert all(record.getMessage().startswith("Trim t1: ") for record in caplog.records)


def test_consecutive_failures_are_bounded(emulator: TrimEmulator, run: Any) -> None:
    emulator.add_trim("t1")
    emulator.misbehave("t1", HttpError(503), repeat=True)
    verdict, times = run(max_consecutive_failures=3)
    assert isinstance(verdict, Failure)
    assert isinstance(verdict.error, TrimTransportError)
    assert verdict.worth_retrying
    assert len(times) == 3


def test_a_rotated_token_is_picked_up(emulator: TrimEmulator, run: Any, caplog: pytest.LogCaptureFixture) -> None:
    emulator.add_trim("t1", seconds=5)
    client = Client(emulator)
    emulator.token = "rotated"
    verdict, times = run(client, interval=10)
    assert isinstance(verdict, Success)
    assert times == [0, 1, 11]
    assert client.refreshed == 1
    assert "rotated" not in caplog.text
    assert "looking the connection up afresh" in caplog.text


def test_a_second_refusal_is_a_failure(emulator: TrimEmulator, run: Any) -> None:
    emulator.add_trim("t1")
    client = Client(emulator, token="wrong")
    verdict, times = run(client)
    assert isinstance(verdict, Failure)
    assert isinstance(verdict.error, TrimAuthError)
    assert not verdict.worth_retrying
    assert (times, client.refreshed) == ([0, 1], 1)


@pytest.mark.parametrize(
    ("between", "refreshed"), [(HttpError(503), 1), (HttpError(429), 1), (Normal(), 2)], ids=["503", "429", "answer"]
)
def test_only_a_response_in_between_allows_another_refresh(
    emulator: TrimEmulator, run: Any, between: Any, refreshed: int
) -> None:
    """The same verdict as the poller's, though each look is a call of its own."""
    emulator.add_trim("t1")
    refused = HttpError(401)
    emulator.misbehave("t1", refused, between, refused, refused)
    client = Client(emulator)
    verdict, _ = run(client)
    assert isinstance(verdict, Failure)
    assert isinstance(verdict.error, TrimAuthError)
    assert client.refreshed == refreshed


def test_a_refusal_at_the_deadline_is_a_timeout(emulator: TrimEmulator, run: Any) -> None:
    emulator.add_trim("t1")
    verdict, times = run(Client(emulator, token="wrong"), deadline=T)
    assert isinstance(verdict, TimedOut)
    assert isinstance(verdict.last_error, TrimAuthError)
    assert times == [0]


@pytest.mark.parametrize(("seconds", "kind"), [(0.0, Success), (5.0, LookAgain)])
def test_one_poll_is_one_call(emulator: TrimEmulator, clock: Clock, seconds: float, kind: type[Decision]) -> None:
    emulator.add_trim("t1", seconds=seconds)
    decision = look(Watch("t1", now=T), Client(emulator), LOG, now=clock, sleep=clock.advance)
    assert type(decision) is kind
    assert (emulator.call_count, clock.now) == (1, T)


def test_other_exceptions_are_not_swallowed(clock: Clock, emulator: TrimEmulator) -> None:

    class Broken(Client):
        def ask(self, trans_no: str, patience: float) -> TrimTask:
            raise LookupError("a bug")

    with pytest.raises(LookupError, match="a bug"):
        wait(alone(Watch("t1", now=T)), Broken(emulator), LOG, now=clock, sleep=clock.advance)
