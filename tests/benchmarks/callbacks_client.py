# SPDX-License-Identifier: Apache-2.0
"""A triggerer's event loop that waits for trims whose callbacks it expects.

Reads what to do as JSON from its first line of input, says "ready" when it listens, and ends at the next line: when all
waits are over, or at once where they are to be held. Prints when each event came, by how much the loop was late, and by
how much the memory grew.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from load_client import Lag

KEEPER = "keeper"
"""A trim that never ends and is waited for all the time, as in a triggerer that is in use."""


def resident() -> float:
    """Return this process's resident memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def main() -> None:
    from airflow_provider_trim.callbacks import receiver as channel
    from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger

    plan: dict[str, Any] = json.loads(await asyncio.to_thread(sys.stdin.readline))
    channel.WARM_UP /= plan["scale"]
    events: dict[str, list[float]] = {}

    async def wait(trans_no: str, begin: float) -> None:
        await asyncio.sleep(max(0.0, begin - time.time()))
        trigger = TrimTaskStatusTrigger(
            trans_no, "trim_bench", poll_interval=plan["interval"], started_at=begin, expects_callback=True
        )
        async for _ in trigger.run():
            events.setdefault(trans_no, []).append(time.time())

    keeper = asyncio.create_task(wait(KEEPER, time.time()))
    await asyncio.sleep(channel.WARM_UP + 2.0)
    lag = Lag()
    waits = [asyncio.create_task(wait(trans_no, begin)) for trans_no, begin in plan["trims"]]
    await asyncio.sleep(1.0)
    gc.collect()
    lag.most()
    before = resident()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    if not plan["hold"]:
        async with asyncio.timeout(plan["limit"]):
            await asyncio.gather(*waits)
    gc.collect()
    print(json.dumps({"events": events, "lag": lag.most(), "grown": resident() - before}), flush=True)
    for task in (*waits, keeper, lag.task):
        task.cancel()
    await asyncio.gather(*waits, keeper, lag.task, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
