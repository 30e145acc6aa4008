# SPDX-License-Identifier: Apache-2.0
"""The steps of one call, which both drivers take alike."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trim.client.calls import query, submission
from airflow_provider_trim.client.flow import Flow, adrive, drive, exchange, permitted_exchange
from airflow_provider_trim.ratelimit.limiter import RateLimiter, limiter_for
from airflow_provider_trim.vod.errors import (
    TrimError,
    TrimQuotaExceededError,
    TrimTransportError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.clocks import Clock, no_jitter

NOW = 2_000_000_000.0
Steps = list[tuple[str, Any]]


class World:
    """What a call is made with: each step is noted, and has the outcome that it is given.

    :param pauses: until there is a permit
    :param outcome: of sending: a response, or what is raised
    """

    def __init__(self, pauses: list[float], outcome: Response | BaseException) -> None:
        self.pauses = list(pauses)
        self.outcome = outcome
        self.used = 0
        """How many signatures other processes have used."""
        self.steps: Steps = []

    def acquire(self, fraction: float = 1.0) -> float:
        self.steps.append(("acquire", None))
        return self.pauses.pop(0)

    async def aacquire(self) -> float:
        await asyncio.sleep(0)
        return self.acquire()

    def claim_signature(self, signature: str) -> bool:
        self.steps.append(("claim", signature))
        return len([name for name, _ in self.steps if name == "claim"]) > self.used

    async def aclaim_signature(self, signature: str) -> bool:
        return self.claim_signature(signature)

    def send(self, request: Request) -> Response:
        self.steps.append(("send", (request.method, request.url, request.body)))
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def sleep(self, seconds: float) -> None:
        self.steps.append(("sleep", seconds))


def in_thread(flow: Flow[Any], world: World) -> Any:
    return drive(flow, world, world.send, sleep=world.sleep)


def in_event_loop(flow: Flow[Any], world: World) -> Any:
    async def send(request: Request) -> Response:
        await asyncio.sleep(0)
        return world.send(request)

    async def sleep(seconds: float) -> None:
        world.sleep(seconds)

    return asyncio.run(adrive(flow, world, send, sleep=sleep))


DRIVERS: list[Callable[[Flow[Any], World], Any]] = [in_thread, in_event_loop]


def response(status: int = 200, code: int = 200, data: Any = None, **headers: str) -> Response:
    return Response(status, headers, json.dumps({"code": code, "message": "m", "data": data}).encode())


PROCESSING = response(data={"taskId": "x", "transNo": "t1", "status": 1})


@pytest.fixture
def settings() -> TrimSettings:
    return TrimSettings.from_connection(login="me", password="a-secret", extra={"quota": "off"})


@pytest.fixture
def limiter(settings: TrimSettings) -> RateLimiter:
    return RateLimiter(settings, clock=Clock(), jitter=no_jitter)


def both(
    settings: TrimSettings, limiter: RateLimiter, pauses: list[float], outcome: Any, *, quota_timeout: float = 60.0
) -> tuple[Any, Steps, list[float]]:
    """Make a call with each driver, and return what both had in common: outcome, steps, and waits that were logged."""
    seen = []
    for run in DRIVERS:
        world, waits = World(pauses, outcome), []
        flow = permitted_exchange(
            query("t1"), settings, limiter, quota_timeout=quota_timeout, on_wait=waits.append, clock=lambda: NOW
        )
        result: Any
        try:
            result = run(flow, world)
        except Exception as error:  # whatever it is, both have to raise it
            result = (type(error), f"{error}; retry after {getattr(error, 'retry_after', None)} s")
        seen.append((result, world.steps, waits))
    assert seen[0] == seen[1]
    return seen[0]


def test_a_call_has_a_permit_a_request_and_a_response(settings: TrimSettings, limiter: RateLimiter) -> None:
    task, steps, waits = both(settings, limiter, [0.0], PROCESSING)
    assert task.trans_no == "t1"
    assert [name for name, _ in steps] == ["acquire", "send"]
    assert steps[1][1][0] == "POST"
    assert waits == []


def test_a_call_waits_for_its_permit(settings: TrimSettings, limiter: RateLimiter) -> None:
    """Waits that are worth it are logged."""
    _, steps, waits = both(settings, limiter, [4.9, 20.0, 5.0, 0.0], PROCESSING)
    assert [step[1] for step in steps if step[0] == "sleep"] == [4.9, 20.0, 5.0]
    assert [name for name, _ in steps] == [*["acquire", "sleep"] * 3, "acquire", "send"]
    assert waits == [20.0, 5.0]


@pytest.mark.parametrize(("quota_timeout", "sleeps"), [(0.0, 0), (9.0, 0), (10.0, 1), (19.0, 1)])
def test_a_call_that_waits_too_long_is_not_made(
    settings: TrimSettings, limiter: RateLimiter, quota_timeout: float, sleeps: int
) -> None:
    (kind, text), steps, _ = both(settings, limiter, [10.0, 10.0], PROCESSING, quota_timeout=quota_timeout)
    assert kind is TrimQuotaExceededError
    assert text == "the account's call quota is exhausted; retry after 10.0 s"
    assert [name for name, _ in steps] == ["acquire", *["sleep", "acquire"] * sleeps]


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (response(code=1560), VideoProcessingError),
        (response(503), TrimTransportError),
        (TrimTransportError("no response"), TrimTransportError),
        (LookupError("a bug"), LookupError),
    ],
)
def test_errors_pass_through(settings: TrimSettings, limiter: RateLimiter, outcome: Any, kind: type) -> None:
    (raised, _), steps, _ = both(settings, limiter, [0.0], outcome)
    assert raised is kind
    assert [name for name, _ in steps] == ["acquire", "send"]


def test_the_limiter_sees_every_response(settings: TrimSettings, limiter: RateLimiter) -> None:
    (kind, _), _, _ = both(settings, limiter, [0.0], response(429, **{"Retry-After": "30"}))
    assert kind is TrimQuotaExceededError
    assert limiter.acquire() > 0


@pytest.mark.parametrize("run", DRIVERS)
def test_an_exchange_acquires_nothing(settings: TrimSettings, limiter: RateLimiter, run: Any) -> None:
    """A poller has acquired the permit before."""
    world = World([], PROCESSING)
    assert run(exchange(query("t1"), settings, limiter, clock=lambda: NOW), world).trans_no == "t1"
    assert [name for name, _ in world.steps] == ["send"]


@pytest.mark.parametrize("run", DRIVERS)
def test_a_submission_is_a_call_like_others(settings: TrimSettings, limiter: RateLimiter, run: Any) -> None:
    world = World([0.0], response(data="accepted"))
    call = submission({"transNo": "t1", "videoId": "V1"})
    flow = permitted_exchange(call, settings, limiter, quota_timeout=0.0, clock=lambda: NOW)
    assert run(flow, world) == "accepted"
    assert [name for name, _ in world.steps] == ["acquire", "send"]


@pytest.mark.parametrize("run", DRIVERS)
def test_a_flow_is_closed_however_it_ends(run: Any) -> None:
    closed = []

    def flow() -> Flow[None]:
        try:
            yield from exchange(query("t1"), settings, limiter)
        finally:
            closed.append(True)

    settings = TrimSettings.from_connection(login="me", password="a-secret")
    limiter = RateLimiter(settings)
    with pytest.raises(TrimError):
        run(flow(), World([], TrimTransportError("no response")))
    assert closed == [True]


@pytest.mark.parametrize("run", DRIVERS)
def test_signature_that_another_process_has_used_is_not_sent(run: Callable[[Flow[Any], World], Any]) -> None:
    signed = TrimSettings.from_connection(login="me", password="s", extra={"auth": "cnc-hmac-sha256", "quota": "off"})
    world = World([], response(data={"taskId": "x", "transNo": "T", "status": 1}))
    world.used = 3
    run(exchange(query("T"), signed, limiter_for(signed), clock=lambda: NOW), world)
    claims = [value for name, value in world.steps if name == "claim"]
    assert len(set(claims)) == 4
    assert [name for name, _ in world.steps] == ["claim"] * 4 + ["send"]
