# SPDX-License-Identifier: Apache-2.0
"""What metrics cost: CPU seconds of a poll with and without them, measured in turns in one process.

``python -m tests.benchmarks.metrics``. The polls are real ones over loopback, by the session that a poller has; the
service is another process. Metrics go to StatsD by Airflow's own client, in the exporter's thread, whose CPU counts.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import time
from typing import Any

from statsd import StatsClient

from airflow_provider_trim.client.session import Session
from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.metrics import NO_METRICS
from airflow_provider_trim.metrics.exporter import Exporter
from airflow_provider_trim.metrics.recorder import Recorder
from airflow_provider_trim.transports.aio import AioTransport
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.statsd_server import StatsdServer

POLLS = 250
"""In one turn."""


def serve(connection: Any) -> None:
    """Serve in a process of its own, until the other end closes."""
    with TrimEmulator(record=False) as emulator:
        emulator.add_trim("T", seconds=float("inf"))
        connection.send((emulator.url, emulator.user, emulator.token))
        connection.recv()


class Backend:
    """Sends as Airflow's StatsD backend does, which drops tags."""

    def __init__(self, client: StatsClient) -> None:
        self._client = client

    def incr(self, stat: str, count: int, *, tags: dict[str, str]) -> None:
        self._client.incr(stat, count)

    def gauge(self, stat: str, value: float, *, tags: dict[str, str]) -> None:
        self._client.gauge(stat, value)

    def timing(self, stat: str, dt: Any, *, tags: dict[str, str]) -> None:
        self._client.timing(stat, dt)


async def turn(session: Session) -> float:
    """Poll, and return the CPU seconds of one poll."""
    begun = time.process_time()
    for _ in range(POLLS):
        await session.query("T")
    return (time.process_time() - begun) / POLLS


async def measure(settings: TrimSettings, recorder: Recorder, turns: int) -> tuple[list[float], list[float]]:
    """Return the CPU seconds of a poll without and with metrics, by turn."""
    session = Session(settings, 4, None, AioTransport)
    without: list[float] = []
    with_metrics: list[float] = []
    await turn(session)  # what is loaded and opened once
    for number in range(turns):
        for on in (number % 2 == 0, number % 2 == 1):
            session.limiter.metrics.metrics = recorder if on else NO_METRICS
            (with_metrics if on else without).append(await turn(session))
    await session.close()
    return without, with_metrics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=40)
    turns = parser.parse_args().turns
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    service = context.Process(target=serve, args=(theirs,))
    service.start()
    url, user, token = ours.recv()
    settings = TrimSettings.from_connection(host=url, login=user, password=token, extra={"quota": "off"})
    recorder = Recorder()
    with StatsdServer() as server:
        backend = Backend(StatsClient("127.0.0.1", server.port))
        Exporter(recorder, lambda: backend, hostname=lambda: "host")
        without, with_metrics = asyncio.run(measure(settings, recorder, turns))
    ours.send(None)
    service.join()
    ratios = [b / a for a, b in zip(without, with_metrics, strict=True)]
    print(f"without: {1e6 * statistics.median(without):.0f} µs of CPU for a poll")
    print(f"with:    {1e6 * statistics.median(with_metrics):.0f} µs")
    print(f"ratio:   {statistics.median(ratios):.3f} (median of {turns} turns of {POLLS} polls)")


if __name__ == "__main__":
    main()
