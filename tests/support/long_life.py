# SPDX-License-Identifier: Apache-2.0
"""A triggerer's long life in simulated time: what it holds must not grow.

Waits come and go, credentials are rotated, connections are changed, and Redis is down now and then. ``python -m
tests.benchmarks.long_life`` prints the figures.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import threading
import tracemalloc
from dataclasses import dataclass

from tests.support import containment
from tests.support.containment import Collaborator, Faults, Kind, World

HOUR = 3600.0
WAITS = 3
"""Waits at a time, of each connection."""

DURATION = 900.0
"""Seconds that a trim takes."""

ROTATION, OUTAGE_EVERY, OUTAGE = 600.0, 1800.0, 120.0
"""Seconds from one rotation of the credentials to the next, from one outage of Redis to the next, and of an outage."""


@dataclass(frozen=True)
class Sample:
    """What the process holds.

    :param hour: of simulated time
    :param memory: KiB that Python has allocated
    :param tasks: of asyncio
    :param transports: open
    :param threads: that run
    :param ended: waits, until then
    :param failed: of these
    """

    hour: float
    memory: float
    tasks: int
    transports: int
    threads: int
    ended: int
    failed: int


class _Life:
    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.world = World(faults)
        self.ended = self.failed = 0
        self.numbers = itertools.count()

    async def serve(self, conn_id: str) -> None:
        """Wait for one trim after another."""
        world = self.world
        while True:
            name = f"{conn_id}-{next(self.numbers)}"
            world.service(conn_id).ends[name] = world.loop.now + DURATION
            await world.start(conn_id, name, deadline=world.loop.now + 2 * DURATION)
            del world.service(conn_id).ends[name]
            self.failed += bool(world.ended.pop(name).cause)
            self.ended += 1

    async def rotate(self) -> None:
        """Change a connection so that each reload finds another one."""
        for number in itertools.count():
            self.world.extras["a"] = {"timeout": 20 + number % 10}
            await asyncio.sleep(ROTATION)

    async def lose_redis(self) -> None:
        for kind in itertools.cycle((Kind.RAISES, Kind.NONSENSE)):
            await asyncio.sleep(OUTAGE_EVERY)
            for collaborator in (Collaborator.WINDOW, Collaborator.SHARE, Collaborator.RELAY):
                self.faults.begin(collaborator, "a", kind)
            await asyncio.sleep(OUTAGE)
            for collaborator in (Collaborator.WINDOW, Collaborator.SHARE, Collaborator.RELAY):
                self.faults.end(collaborator, "a")

    def sample(self) -> Sample:
        gc.collect()
        transports = sum(service.open for service in self.world.services.values())
        memory = tracemalloc.get_traced_memory()[0] / 1024
        tasks = len(asyncio.all_tasks())
        hour = self.world.loop.now / HOUR
        return Sample(hour, memory, tasks, transports, threading.active_count(), self.ended, self.failed)


def live(count: int, faults: Faults | None = None, *, every: float = HOUR) -> list[Sample]:
    """Return a number of samples.

    :param every: seconds between two
    """
    samples: list[Sample] = []

    async def main() -> None:
        life = _Life(faults or Faults())
        serving = [life.serve(conn_id) for conn_id in "ab" for _ in range(WAITS)]
        tasks = [asyncio.create_task(task) for task in (*serving, life.rotate(), life.lose_redis())]
        for _ in range(count):
            await asyncio.sleep(every)
            samples.append(life.sample())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    logger = logging.getLogger("airflow_provider_trim")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    tracemalloc.start()
    try:
        containment.run(main)
    finally:
        tracemalloc.stop()
        logger.setLevel(before)
    return samples
