# SPDX-License-Identifier: Apache-2.0
"""One cell of the triggerer benchmark: N waiters of one kind in one event loop; prints its figures as JSON."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from server import ask, raise_file_limit
from waiters import CONNECTION, KINDS

WARM_UP = 20
"""Subscriptions that poll once beforehand, so that what a process loads or allocates once is in no figure."""

START_PACE = 0.009
"""Seconds between two starts, at the least, so that peers can keep up with starts and polls. A loop that can't falls
behind, and has its polls in bunches ever after, which are cheaper than the evenly spread ones of the others."""

RAMP_LIMIT = 90.0
"""Seconds after the last start in which all must have polled once; an overloaded loop takes its time."""

LAG_SLEEP = 0.01


class Waiting:
    """Subscriptions at work; fails as soon as one of them ends."""

    def __init__(self, wait: Callable[[Any], Awaitable[None]], port: int) -> None:
        self._wait = wait
        self._port = port
        self._tasks: list[asyncio.Task[None]] = []
        self._ended: list[asyncio.Task[None]] = []

    async def start(self, waiters: list[Any], spread: float) -> None:
        """Start waiters, spread evenly over a time."""
        begin = time.monotonic()
        for number, waiter in enumerate(waiters):
            await asyncio.sleep(max(0.0, begin + number * spread / len(waiters) - time.monotonic()))
            task = asyncio.ensure_future(self._wait(waiter))
            task.add_done_callback(self._ended.append)
            self._tasks.append(task)

    async def until_polled(self, distinct: int, limit: float) -> None:
        """Wait until the server has had queries for a number of different trims."""
        end = time.monotonic() + limit
        while (found := self.stats()["distinct"]) < distinct:
            if time.monotonic() > end:
                raise RuntimeError(f"only {found} of {distinct} have polled within {limit:.0f} s")
            await asyncio.sleep(0.1)

    def stats(self) -> dict[str, Any]:
        """Return the server's counts; the loop stands still meanwhile, so that they belong to this moment."""
        for task in self._ended:
            task.result()
            raise RuntimeError("a waiter has ended")
        return ask(self._port, "/stats")

    async def stop(self) -> None:
        for task in self._tasks:
            task.remove_done_callback(self._ended.append)
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()


def resident() -> int:
    """Return this process's resident memory in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def measure_lag(seconds: float) -> list[float]:
    """Return by how much sleeps of 10 ms were late."""
    late = []
    end = time.monotonic() + seconds
    while (begin := time.monotonic()) < end:
        await asyncio.sleep(LAG_SLEEP)
        late.append(time.monotonic() - begin - LAG_SLEEP)
    return late


async def measure(arguments: argparse.Namespace) -> dict[str, float]:
    """Measure in steady state; the loop's lag in a window of its own, since to measure it costs CPU."""
    kind = KINDS[arguments.kind]
    os.environ[f"AIRFLOW_CONN_{CONNECTION.upper()}"] = json.dumps(kind.connection(arguments.port))
    make = kind.prepare(arguments.port, arguments.interval)
    waiting = Waiting(kind.wait, arguments.port)
    await waiting.start([make(str(number)) for number in range(WARM_UP)], 0.5)
    await waiting.until_polled(WARM_UP, RAMP_LIMIT)
    await waiting.stop()

    waiters = [make(str(WARM_UP + number)) for number in range(arguments.number)]
    memory_made = resident()
    start, start_cpu = waiting.stats(), time.process_time()
    await waiting.start(waiters, max(arguments.interval, START_PACE * arguments.number))
    await waiting.until_polled(WARM_UP + arguments.number, RAMP_LIMIT)
    start_cpu, started = time.process_time() - start_cpu, waiting.stats()
    memory_waiting = resident()
    await asyncio.sleep(arguments.interval)  # The collection has held polls up; they come in a bunch once more.

    before, cpu_before, time_before = waiting.stats(), time.process_time(), time.monotonic()
    await asyncio.sleep(arguments.window)
    cpu, seconds = time.process_time() - cpu_before, time.monotonic() - time_before
    polled = waiting.stats()
    late = await measure_lag(arguments.lag_window)
    after = waiting.stats()
    await waiting.stop()
    polls = polled["requests"] - before["requests"]
    start_polls = started["requests"] - start["requests"]
    return {
        "cpu": 1000 * cpu / polls,
        "start": max(0.0, start_cpu - start_polls * cpu / polls) / arguments.number,
        "connections": (after["connections"] - before["connections"]) / (after["requests"] - before["requests"]),
        "memory": (memory_waiting - memory_made) / arguments.number,
        "lag_p99": statistics.quantiles(late, n=100, method="inclusive")[98],
        "lag_max": max(late),
        "rate": polls / seconds,
        "server": (polled["cpu"] - before["cpu"]) / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--interval", type=float, required=True)
    parser.add_argument("--window", type=float, required=True)
    parser.add_argument("--lag-window", type=float, required=True)
    raise_file_limit()
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
