# SPDX-License-Identifier: Apache-2.0
"""A gateway that refuses credentials for a while, and the real poller of hundreds of waits, in simulated time."""

from __future__ import annotations

import asyncio
import functools
import json
import math
import urllib.parse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from airflow_provider_trim.client.connection_cache import ConnectionCache
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.poller import MAX_CONCURRENT_CALLS, Poller
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.verdicts import Failure, TimedOut, Verdict
from airflow_provider_trim.ratelimit.limiter import RateLimiter, limiters
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support import simulated_time

LATENCY = 0.1
"""Seconds from a call to its response."""

BEFORE, AFTER = 300.0, 300.0
"""Seconds of good service before the gateway refuses, at least, and of good service after that."""

ENDLESS = 1800.0
"""Seconds for which a simulation goes on that refuses for good."""


class Gateway:
    """A service whose trims take for ever. It responds 403 for a while; also what opens transports to it.

    :param not_before: seconds after which the next call is the first that it refuses
    :param duration: seconds for which it refuses
    """

    def __init__(self, not_before: float, duration: float) -> None:
        self.not_before = not_before
        self.duration = duration
        self.refuses_at = math.inf
        self.refused: list[float] = []
        self.served: list[float] = []

    def __call__(self, settings: TrimSettings, connections: int) -> Gateway:
        return self

    async def send(self, request: Request) -> Response:
        now = asyncio.get_running_loop().time()
        if now >= self.not_before:
            self.refuses_at = min(self.refuses_at, now)
        await asyncio.sleep(LATENCY)
        if self.refuses_at <= now < self.refuses_at + self.duration:
            self.refused.append(now)
            return Response(403, {}, b"<html>Forbidden</html>")
        self.served.append(now)
        trans_no = urllib.parse.parse_qs(request.body.decode())["transNo"][0]
        data = {"taskId": "x", "transNo": trans_no, "status": 1}
        return Response(200, {}, json.dumps({"code": 200, "message": "", "data": data}).encode())

    async def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Burst:
    """What a burst of refusals has done.

    :param waits: how many there were
    :param failures: the errors with which waits failed
    :param failed_after: seconds from the beginning of the burst to the first failure; infinite for none
    :param refused_calls: calls that were refused
    :param most_per_second: the most of them in any second, after the first
    :param reloads: of the connection
    :param recovered_after: seconds from the end of the burst to the next call; infinite for never
    :param timed_out_after: seconds from each deadline to the end of its wait
    """

    waits: int
    failures: Counter[str] = field(default_factory=Counter)
    failed_after: float = math.inf
    refused_calls: int = 0
    most_per_second: int = 0
    reloads: int = 0
    recovered_after: float = math.inf
    timed_out_after: tuple[float, ...] = ()


def simulate(
    duration: float,
    *,
    waits: int = 500,
    quota: str = "300/5 minutes",
    accepted: bool = True,
    deadlines: Sequence[float] = (),
) -> Burst:
    """Refuse credentials for some seconds while many trims are waited for.

    :param duration: seconds; infinite for good
    :param accepted: whether the credentials were accepted before
    :param deadlines: of the first waits, in seconds; the others have none
    """
    not_before = BEFORE if accepted else 0.0
    return simulated_time.run(lambda: _simulate(duration, waits, quota, not_before, deadlines))


async def _simulate(duration: float, waits: int, quota: str, not_before: float, deadlines: Sequence[float]) -> Burst:
    clock = asyncio.get_running_loop().time
    limiters.clear(functools.partial(RateLimiter, clock=clock))
    gateway, loads = Gateway(not_before, duration), []
    settings = TrimSettings.from_connection(login="me", password="t", extra={"quota": quota})

    async def load() -> TrimSettings:
        loads.append(clock())
        await asyncio.sleep(LATENCY)
        return settings

    connection = ConnectionCache(load, MAX_CONCURRENT_CALLS, clock=clock, open_transport=gateway)
    poller = Poller(load, clock=clock, connection=connection)
    failed: list[tuple[float, Failure]] = []
    late: list[float] = []

    async def wait(number: int) -> Verdict:
        deadline = deadlines[number] if number < len(deadlines) else None
        verdict = await poller.wait(PollState(f"t{number}", WaitOptions(deadline=deadline), now=clock()))
        if isinstance(verdict, Failure):
            failed.append((clock(), verdict))
        elif deadline is not None and isinstance(verdict, TimedOut):
            late.append(clock() - deadline)
        return verdict

    tasks = [asyncio.create_task(wait(number)) for number in range(waits)]
    longest = ENDLESS if math.isinf(duration) else duration
    await asyncio.wait(tasks, timeout=not_before + longest + AFTER)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    refuses_at = gateway.refuses_at
    later = [time for time in gateway.refused if time >= refuses_at + 1.0]
    again = min((time for time in gateway.served if time >= refuses_at), default=math.inf)
    return Burst(
        waits=waits,
        failures=Counter(type(failure.error).__name__ for _, failure in failed),
        failed_after=min((time - refuses_at for time, _ in failed), default=math.inf),
        refused_calls=len(gateway.refused),
        most_per_second=max((sum(start <= time < start + 1.0 for time in later) for start in later), default=0),
        reloads=sum(time >= refuses_at for time in loads),
        recovered_after=again - refuses_at - duration if math.isfinite(again) else math.inf,
        timed_out_after=tuple(late),
    )
