# SPDX-License-Identifier: Apache-2.0
"""A wait that holds its process, against the emulator; both follow one clock, which sleeping moves."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest

from airflow_provider_trim.emulator import HttpError, NoFault, TrimEmulator
from airflow_provider_trim.polling.group import WaitGroup
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.sync import LAST_POLL_QUOTA_TIMEOUT, SyncPoller
from airflow_provider_trim.polling.verdicts import Decision, Failure, PollAgain, Success, TimedOut, Verdict
from airflow_provider_trim.transports.sync import SyncTransport
from airflow_provider_trim.vod.errors import (
    TransNoNotFoundError,
    TrimAuthError,
    TrimTaskFailedError,
    TrimTransportError,
)
from airflow_provider_trim.vod.models import TrimTask
from airflow_provider_trim.vod.protocol import build_query
from tests.support.clocks import Clock
from tests.support.emulators import settings_for
from tests.support.parsing import parse_task

T = 1_516_182_478.0
LOG = logging.getLogger("tests.blocking")


def alone(state: PollState) -> WaitGroup:
    return WaitGroup([state], stop_at_failure=True)


def poller(client: Client, clock: Clock) -> SyncPoller:
    return SyncPoller(client, LOG, clock=clock, sleep=clock.advance, jitter=lambda: 1.0)


class Client:
    """Reads the emulator's token as a hook reads a connection: at the start, and when it is to be reloaded."""

    def __init__(self, emulator: TrimEmulator, token: str | None = None) -> None:
        self.emulator = emulator
        self.token = token
        self.reloads = -1
        self.closed = 0
        self.quota_timeouts: list[float] = []
        self.reload_connection()

    def close(self) -> None:
        self.closed += 1

    def reload_connection(self) -> None:
        self.reloads += 1
        self.settings = settings_for(self.emulator, password=self.token)

    def query_once(self, trans_no: str, quota_timeout: float) -> TrimTask:
        self.quota_timeouts.append(quota_timeout)
        with SyncTransport(self.settings) as transport:
            response = transport.send(build_query(self.settings, trans_no, T))
        return parse_task(response.status, response.headers, response.body, trans_no=trans_no)


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
        state = PollState("t1", WaitOptions(**parameters), now=T, jitter=lambda: 1.0)
        (verdict,) = poller(client or Client(emulator), clock).wait(alone(state))
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
    emulator.token = "t0k3n-2"
    verdict, times = run(client, interval=10)
    assert isinstance(verdict, Success)
    assert times == [0, 1, 11]
    assert client.reloads == 1
    assert "t0k3n-2" not in caplog.text
    assert "reloading the connection" in caplog.text


def test_a_second_refusal_is_a_failure(emulator: TrimEmulator, run: Any) -> None:
    emulator.add_trim("t1")
    client = Client(emulator, token="wrong")
    verdict, times = run(client)
    assert isinstance(verdict, Failure)
    assert isinstance(verdict.error, TrimAuthError)
    assert verdict.worth_retrying
    assert (times, client.reloads) == ([0, 1], 2)


@pytest.mark.parametrize("between", [HttpError(503), HttpError(429)], ids=["503", "429"])
def test_response_that_proves_no_credentials_allows_no_second_refusal(
    emulator: TrimEmulator, run: Any, between: Any
) -> None:
    emulator.add_trim("t1")
    refused = HttpError(401)
    emulator.misbehave("t1", refused, between, refused)
    verdict, times = run()
    assert isinstance(verdict, Failure)
    assert isinstance(verdict.error, TrimAuthError)
    assert len(times) == 3


@pytest.mark.parametrize(("refusals", "kind"), [(3, Success), (4, Failure)])
def test_credentials_that_were_accepted_may_be_refused_for_a_while(
    emulator: TrimEmulator, run: Any, refusals: int, kind: type
) -> None:
    emulator.add_trim("t1", seconds=15)
    emulator.misbehave("t1", NoFault(), *[HttpError(403)] * refusals)
    client = Client(emulator)
    verdict, times = run(client, interval=10, max_consecutive_failures=4)
    assert type(verdict) is kind
    assert times == [0, 10, 11, 13, 17]
    assert client.reloads == refusals


def test_refused_credentials_are_tried_by_one_trim_for_all(emulator: TrimEmulator, clock: Clock) -> None:
    """No stampede on a service whose authentication is in trouble, nor on the secrets backend."""
    for number in range(40):
        emulator.add_trim(f"t{number}", seconds=0)
    client = Client(emulator)
    states = [PollState(f"t{number}", now=T, jitter=lambda: 1.0) for number in range(40)]
    emulator.add_trim("first", seconds=0)
    first = alone(PollState("first", now=T))
    polling = poller(client, clock)
    polling.wait(first)
    emulator.misbehave(None, HttpError(403), HttpError(403))
    group = WaitGroup(states, stop_at_failure=True)
    assert all(isinstance(verdict, Success) for verdict in polling.wait(group))
    assert [call.http_status for call in emulator.calls] == [200, 403, 403, *[200] * 40]
    assert (client.reloads, clock.now) == (2, T + 3)


def test_credentials_that_stay_refused_end_all_waits_together(emulator: TrimEmulator, clock: Clock) -> None:
    group = WaitGroup([PollState(f"t{number}", now=T) for number in range(40)], stop_at_failure=False)
    verdicts = poller(Client(emulator, token="wrong"), clock).wait(group)
    assert [type(verdict.error) for verdict in verdicts if isinstance(verdict, Failure)] == [TrimAuthError] * 40
    assert emulator.call_count == 2


def test_retry_after_of_a_service_in_trouble_is_honoured(emulator: TrimEmulator, run: Any) -> None:
    emulator.add_trim("t1", seconds=0)
    emulator.misbehave("t1", HttpError(503, headers={"Retry-After": "120"}))
    verdict, times = run(interval=10, max_consecutive_failures=2)
    assert isinstance(verdict, Success)
    assert times == [0, 120]


def test_last_poll_is_repeated_once_over_a_new_connection(emulator: TrimEmulator, run: Any) -> None:
    emulator.add_trim("t1", seconds=30)
    emulator.misbehave("t1", NoFault(), HttpError(503))
    client = Client(emulator)
    verdict, times = run(client, interval=60, deadline=T + 30)
    assert isinstance(verdict, Success)
    assert (times, client.closed) == ([0, 30, 30], 1)


def test_last_poll_that_fails_twice_is_a_timeout(emulator: TrimEmulator, run: Any) -> None:
    emulator.misbehave("t1", HttpError(503), repeat=True)
    verdict, times = run(deadline=T)
    assert isinstance(verdict, TimedOut)
    assert isinstance(verdict.last_error, TrimTransportError)
    assert times == [0, 0]


def test_only_the_last_poll_waits_for_a_permit(emulator: TrimEmulator, run: Any) -> None:
    emulator.add_trim("t1")
    client = Client(emulator)
    run(client, interval=10, deadline=T + 15)
    assert client.quota_timeouts == [0.0, 0.0, LAST_POLL_QUOTA_TIMEOUT]


def test_a_refusal_at_the_deadline_is_a_timeout(emulator: TrimEmulator, run: Any) -> None:
    emulator.add_trim("t1")
    verdict, times = run(Client(emulator, token="wrong"), deadline=T)
    assert isinstance(verdict, TimedOut)
    assert isinstance(verdict.last_error, TrimAuthError)
    assert times == [0]


@pytest.mark.parametrize(("seconds", "kind"), [(0.0, Success), (5.0, PollAgain)])
def test_one_poll_is_one_call(emulator: TrimEmulator, clock: Clock, seconds: float, kind: type[Decision]) -> None:
    emulator.add_trim("t1", seconds=seconds)
    decision = poller(Client(emulator), clock).poll(PollState("t1", now=T))
    assert type(decision) is kind
    assert (emulator.call_count, clock.now) == (1, T)


def test_other_exceptions_are_not_swallowed(clock: Clock, emulator: TrimEmulator) -> None:
    class Broken(Client):
        def query_once(self, trans_no: str, quota_timeout: float) -> TrimTask:
            raise LookupError("a bug")

    with pytest.raises(LookupError, match="a bug"):
        poller(Broken(emulator), clock).wait(alone(PollState("t1", now=T)))
