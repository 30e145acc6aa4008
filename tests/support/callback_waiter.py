# SPDX-License-Identifier: Apache-2.0
"""A process that waits for trims whose callbacks it expects, as a triggerer does.

Prints "ready" when it has polled all of them and listens, then a line of JSON for each that it has found done: its
transNo and when that was, in Unix seconds. Ends when all are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import time

from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.poller import Poller
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.verdicts import Success
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.recording_schedule import RecordingSchedule


async def wait(connection: str, trims: list[str], interval: float) -> None:
    settings = TrimSettings.from_connection(**json.loads(connection))

    async def load() -> TrimSettings:
        return settings

    async def one(trans_no: str) -> None:
        options = WaitOptions(interval=interval, expects_callback=True)
        verdict = await poller.wait(PollState(trans_no, options, now=time.monotonic()))
        print(json.dumps([trans_no, time.time(), isinstance(verdict, Success)]), flush=True)

    schedule = RecordingSchedule()
    poller = Poller(load, schedule=schedule)
    waits = [asyncio.create_task(one(trans_no)) for trans_no in trims]
    while not schedule.polled.issuperset(trims):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await asyncio.gather(*waits)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connection", required=True, help="its parts, as JSON")
    parser.add_argument("--interval", type=float, required=True)
    parser.add_argument("trims", nargs="+")
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stderr)
    asyncio.run(wait(arguments.connection, arguments.trims, arguments.interval))


if __name__ == "__main__":
    main()
