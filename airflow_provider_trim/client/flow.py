# SPDX-License-Identifier: Apache-2.0
"""One call of the API, written once: permit → build → sign → send → parse.

A call is a generator that does no I/O. It yields what is to be done (:class:`AcquirePermit`, :class:`Sleep`,
:class:`ClaimSignature`, :class:`Send`) and is sent the result. :func:`drive` does it in a thread, :func:`adrive` in an
event loop.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_provider_trim.client.calls import Call, outcome_of
from airflow_provider_trim.client.signing import MAX_OFFSET, sign_once, signature_of
from airflow_provider_trim.ratelimit.limiter import RateLimiter
from airflow_provider_trim.vod.errors import TrimQuotaExceededError
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.settings import TrimSettings

T = TypeVar("T")

MAX_SIGNATURES = 10
"""Signatures that are tried for a request; the service decides on the last."""

MIN_LOGGED_WAIT = 5.0
"""Seconds of waiting for a permit from which the log says so."""


@dataclass(frozen=True, slots=True)
class AcquirePermit:
    """Acquire a permit of the account's rate limiter; the result is 0.0, or the seconds until the next attempt."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait.

    :param seconds: for how long
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class ClaimSignature:
    """Note that a signature is used; the result is whether it is new.

    :param signature: of a request
    """

    signature: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request; the result is the :class:`Response`.

    :param request: signed
    """

    request: Request


Effect = AcquirePermit | Sleep | ClaimSignature | Send
Flow = Generator[Effect, Any, T]


def exchange(
    call: Call[T],
    settings: TrimSettings,
    limiter: RateLimiter,
    *,
    clock: Callable[[], float] = time.time,
    jitter: Callable[[], float] = random.random,
) -> Flow[T]:
    """Make a call for which a permit was acquired.

    :param clock: Unix seconds
    :param jitter: returns a random number from 0 to 1
    :raises TrimError: the call failed
    """
    now = clock()
    offset = MAX_OFFSET * (2.0 * jitter() - 1.0) if limiter.credentials_refused else 0.0
    for _ in range(MAX_SIGNATURES):
        request = sign_once(lambda now: call.build(settings, now), now, offset)
        signature = signature_of(request)
        if not signature or (yield ClaimSignature(signature)):
            break
    sent_at = time.perf_counter()
    try:
        response: Response = yield Send(request)
        with limiter.observe_response():
            result = call.parse(response, settings, clock())
    except Exception as error:
        _record(call, error, limiter, sent_at)
        raise
    _record(call, result, limiter, sent_at)
    return result


def _record(call: Call[Any], result: object, limiter: RateLimiter, sent_at: float) -> None:
    limiter.metrics.count(call.counter, outcome_of(result))
    if call.timer is not None:
        limiter.metrics.time(call.timer, time.perf_counter() - sent_at)


def permitted_exchange(
    call: Call[T],
    settings: TrimSettings,
    limiter: RateLimiter,
    *,
    quota_timeout: float,
    on_wait: Callable[[float], object] = lambda _: None,
    clock: Callable[[], float] = time.time,
) -> Flow[T]:
    """Acquire a permit and make a call.

    :param quota_timeout: seconds to wait for a permit
    :param on_wait: takes the seconds that the call has to wait, if they are worth a line in the log
    :raises TrimQuotaExceededError: there is no permit within ``quota_timeout``; no call was made
    :raises TrimError: the call failed
    """
    waited = 0.0
    while (pause := (yield AcquirePermit())) > 0.0:
        if waited + pause > quota_timeout:
            raise TrimQuotaExceededError("the account's call quota is exhausted", retry_after=pause)
        if pause >= MIN_LOGGED_WAIT:
            on_wait(pause)
        yield Sleep(pause)
        waited += pause
    return (yield from exchange(call, settings, limiter, clock=clock))


def drive(
    flow: Flow[T],
    limiter: RateLimiter,
    send: Callable[[Request], Response],
    *,
    fraction: float = 1.0,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """Run a flow in this thread, and return its result.

    :param fraction: of the quota; there is a permit only while less than that is used
    """
    result: Any = None
    try:
        effect = next(flow)
        while True:
            try:
                match effect:
                    case AcquirePermit():
                        result = limiter.acquire(fraction)
                    case Sleep(seconds):
                        result = sleep(seconds)
                    case ClaimSignature(signature):
                        result = limiter.claim_signature(signature)
                    case Send(request):
                        result = send(request)
            except Exception as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(result)
    except StopIteration as stop:
        done: T = stop.value
        return done
    finally:
        flow.close()


async def adrive(
    flow: Flow[T],
    limiter: RateLimiter,
    send: Callable[[Request], Awaitable[Response]],
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> T:
    """Run a flow in this event loop, and return its result."""
    result: Any = None
    try:
        effect = next(flow)
        while True:
            try:
                match effect:
                    case AcquirePermit():
                        result = await limiter.aacquire()
                    case Sleep(seconds):
                        result = await sleep(seconds)
                    case ClaimSignature(signature):
                        result = await limiter.aclaim_signature(signature)
                    case Send(request):
                        result = await send(request)
            except Exception as error:
                effect = flow.throw(error)
            else:
                effect = flow.send(result)
    except StopIteration as stop:
        done: T = stop.value
        return done
    finally:
        flow.close()
