# SPDX-License-Identifier: Apache-2.0
"""One event loop with many waits, of one account or of many; prints what each phase costs.

A *block* is the CPU time that the event loop's thread takes in one go: how busy the machine is does not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import selectors
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from environment import TOKEN

from airflow_provider_trim.polling.group import WaitGroup, wait_for_group
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.poller import Poller
from airflow_provider_trim.vod.settings import TrimSettings

SETTLE = 3.0
"""Seconds in which the first calls are made."""


class Blocks(selectors.DefaultSelector):
    """The event loop's selector: from the end of one selection to the next, the loop's thread takes one go."""

    def __init__(self) -> None:
        super().__init__()
        self._longest, self._began = 0.0, time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._longest = max(self._longest, time.thread_time() - self._began)
        found = super().select(timeout)
        self._began = time.thread_time()
        return found

    def take(self) -> float:
        longest, self._longest = self._longest, 0.0
        return longest


def loader(url: str, login: str, quota: str) -> Callable[[], Coroutine[Any, Any, TrimSettings]]:
    async def load() -> TrimSettings:
        return TrimSettings.from_connection(host=url, login=login, password=TOKEN, extra={"quota": quota})

    return load


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def measure(arguments: argparse.Namespace, blocks: Blocks) -> dict[str, float]:
    found: dict[str, float] = {}
    before = descriptors()
    deadline = time.time() + arguments.deadline
    waits = []
    for account in range(arguments.accounts):
        poller = Poller(loader(arguments.url, f"account-{account}", arguments.quota))
        names = [f"{account}-{number}" for number in range(arguments.waits)]
        options = WaitOptions(interval=10.0, deadline=deadline, task=str(account))
        group = WaitGroup.begin(names, options, stop_at_failure=False)
        waits.append(asyncio.create_task(wait_for_group(poller.wait, group, lambda _: None)))
        await asyncio.sleep(0)  # as between two triggers that Airflow starts
    await asyncio.sleep(SETTLE)
    found["start"], found["descriptors"] = blocks.take(), descriptors() - before
    cpu = time.process_time()
    await asyncio.sleep(arguments.seconds)
    found["waiting"], found["cpu"] = blocks.take(), (time.process_time() - cpu) / arguments.seconds
    if arguments.expire:
        await asyncio.gather(*waits)
        found["expiry"] = blocks.take()
    else:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        found["cancellation"] = blocks.take()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--accounts", type=int, default=1)
    parser.add_argument("--waits", type=int, required=True, help="of each account")
    parser.add_argument("--quota", default="300/5 minutes")
    parser.add_argument("--seconds", type=float, default=10.0, help="of waiting that are measured")
    parser.add_argument("--deadline", type=float, default=3600.0, help="seconds until the waits time out")
    parser.add_argument("--expire", action="store_true", help="wait until they have")
    blocks = Blocks()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(blocks)) as runner:
        print(json.dumps(runner.run(measure(parser.parse_args(), blocks))))


if __name__ == "__main__":
    main()
