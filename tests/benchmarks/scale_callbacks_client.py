# SPDX-License-Identifier: Apache-2.0
"""One event loop that waits for trims whose callbacks come at a rate; prints when it found each, and what that cost."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import Any

from scale_client import Blocks

from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.poller import Poller
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.vod.settings import TrimSettings

INTERVAL = 3600.0
"""Seconds between two polls of a trim, so that a callback that is lost is noticed by none."""


async def measure(settings: TrimSettings, trims: list[str], seconds: float, blocks: Blocks) -> dict[str, Any]:
    """Wait for trims, and return what was found."""
    found: dict[str, float] = {}

    async def load() -> TrimSettings:
        return settings

    poller = Poller(load)

    async def wait(trans_no: str) -> None:
        options = WaitOptions(interval=INTERVAL, expects_callback=True, task=trans_no)
        await poller.wait(PollState(trans_no, options, now=time.monotonic()))
        found[trans_no] = time.time()

    waits = [asyncio.create_task(wait(trans_no)) for trans_no in trims]
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    blocks.take()
    cpu = time.process_time()
    await asyncio.to_thread(sys.stdin.readline)
    cpu, block = time.process_time() - cpu, blocks.take()
    for task in waits:
        task.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    return {"found": found, "cpu": cpu / seconds, "block": block}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connection", required=True, help="its parts as JSON")
    parser.add_argument("--trims", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="in which they are done")
    arguments = parser.parse_args()
    settings = TrimSettings.from_connection(**json.loads(arguments.connection))
    trims = [f"t{number}" for number in range(arguments.trims)]
    blocks = Blocks()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(blocks)) as runner:
        print(json.dumps(runner.run(measure(settings, trims, arguments.seconds, blocks))))


if __name__ == "__main__":
    main()
