# SPDX-License-Identifier: Apache-2.0
"""A burst of triggers in one event loop, in a process that has seen no trim; prints when each event came.

Says "ready" when it can begin, and begins at the next line of its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time


async def measure(names: list[str]) -> dict[str, float]:
    import airflow_provider_trim.polling.poller
    import airflow_provider_trim.triggers.run  # noqa: F401 - what the first trigger would import
    from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger

    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)

    async def wait(name: str) -> tuple[str, float]:
        trigger = TrimTaskStatusTrigger(name, "trim_bench", poll_interval=5.0, deadline=time.time() + 600)
        await anext(trigger.run())
        return name, time.time()

    async with asyncio.timeout(600):
        return dict(await asyncio.gather(*map(wait, names)))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(sys.argv[1:]))))
