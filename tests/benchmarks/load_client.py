# SPDX-License-Identifier: Apache-2.0
"""Many triggers in one event loop; prints by how much the loop was late as JSON."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time

SLEEP = 0.01
SETTLE = 5.0
"""Seconds for the poller to take all starts in, or to end."""


class Lag:
    """Notes how late a sleep was, and how long Python's garbage collection took, at most since the last query."""

    def __init__(self) -> None:
        self._most = self._collection = self._collection_began = 0.0
        self.task = asyncio.ensure_future(self._run())
        gc.callbacks.append(self._on_collection)

    def _on_collection(self, phase: str, _: object) -> None:
        now = time.monotonic()
        if phase == "stop":
            self._collection = max(self._collection, now - self._collection_began)
        self._collection_began = now

    async def _run(self) -> None:
        while True:
            begin = time.monotonic()
            await asyncio.sleep(SLEEP)
            self._most = max(self._most, time.monotonic() - begin - SLEEP)

    def most(self) -> float:
        most, self._most, self._collection = self._most, 0.0, 0.0
        return most

    def phase(self, name: str) -> dict[str, float]:
        """Return both under the name of what went on meanwhile."""
        collection = self._collection
        return {name: self.most(), f"{name}, collection": collection}


async def measure(number: int, seconds: float) -> dict[str, float]:
    from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger

    async def wait(trigger: TrimTaskStatusTrigger) -> None:
        await anext(trigger.run())

    async def start_and_stop(count: int, pause: float) -> list[asyncio.Task[None]]:
        triggers = [
            TrimTaskStatusTrigger(f"trim-{place}", "trim_bench", poll_interval=5.0, deadline=time.time() + 3600)
            for place in range(count)
        ]
        tasks = []
        for place, trigger in enumerate(triggers):
            tasks.append(asyncio.ensure_future(wait(trigger)))
            if place % 100 == 99:  # as Airflow's triggerer does, which starts them in a coroutine of its own
                await asyncio.sleep(0)
        await asyncio.sleep(pause)
        return tasks

    warm = await start_and_stop(1, 1.0)  # imports, the connection, the certificate store
    lag = Lag()
    gc.collect()
    gc.freeze()
    await asyncio.sleep(0.1)
    lag.most()
    tasks = await start_and_stop(number, SETTLE)
    figures = lag.phase("starting")
    await asyncio.sleep(seconds)
    figures |= lag.phase("waiting")
    for task in [*tasks, *warm]:
        task.cancel()
    await asyncio.sleep(SETTLE)
    figures |= lag.phase("ending")
    await asyncio.gather(*tasks, *warm, return_exceptions=True)  # whose own callbacks are not the triggers'
    lag.task.cancel()
    figures["left"] = len(asyncio.all_tasks() - {asyncio.current_task(), lag.task})
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    arguments = parser.parse_args()
    print(json.dumps(asyncio.run(measure(arguments.number, arguments.seconds))))


if __name__ == "__main__":
    main()
