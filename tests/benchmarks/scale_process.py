# SPDX-License-Identifier: Apache-2.0
"""Many processes that share a quota, forked from one that has imported what they need; prints what each did as JSON.

They have connected to Redis before they begin, all at once, to call as fast as they may.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import multiprocessing
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

import time_machine
from environment import LOGIN, TOKEN, form
from server import TRIM_PATH

from airflow_provider_trim.ratelimit.limiter import limiter_for
from airflow_provider_trim.vod.settings import TrimSettings

WAITING = 20
"""Trims that the process says it waits for."""

START_TIMEOUT = 120.0

HEADERS = {"Content-Type": "application/x-www-form-urlencoded"}


async def call(settings: TrimSettings, url: str, seconds: float) -> dict[str, float]:
    """Call for some seconds, and return the calls, the share that was planned with, and the longest wait for Redis."""
    limiter, calls, longest = limiter_for(settings), 0, 0.0
    until = time.monotonic() + seconds
    with contextlib.closing(http.client.HTTPConnection(str(urlsplit(url).netloc), timeout=30)) as connection:
        while (left := until - time.monotonic()) > 0:
            limiter.report_waiting(settings, WAITING)
            begin = time.monotonic()
            pause = await limiter.aacquire()
            longest = max(longest, time.monotonic() - begin)
            if pause:
                await asyncio.sleep(min(pause, left))
                continue
            connection.request("POST", TRIM_PATH, urlencode(form(f"call-{calls}")), HEADERS)
            connection.getresponse().read()
            calls += 1
    return {"calls": calls, "planned": limiter.planned_calls(settings) or 0, "longest": longest}


def settings_of(arguments: argparse.Namespace, login: str) -> TrimSettings:
    return TrimSettings.from_connection(
        host=arguments.url,
        login=login,
        password=TOKEN,
        extra={"quota": arguments.quota, "quota_storage": arguments.storage},
    )


def run(arguments: argparse.Namespace, place: int, begin: Any, done: Any) -> None:
    """Be one of the processes."""
    warm = limiter_for(settings_of(arguments, "warm"))
    warm.acquire()
    begin.wait(START_TIMEOUT)
    ahead = arguments.clocks * place / max(arguments.processes - 1, 1)
    with time_machine.travel(time.time() + ahead):
        done.put(asyncio.run(call(settings_of(arguments, LOGIN), arguments.url, arguments.seconds)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--storage", required=True)
    parser.add_argument("--quota", required=True)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--clocks", type=float, default=0.0, help="seconds by which the last one's clock is ahead")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("fork")
    begin, done = context.Barrier(arguments.processes), context.Queue()
    processes = [
        context.Process(target=run, args=(arguments, place, begin, done), daemon=True)
        for place in range(arguments.processes)
    ]
    for process in processes:
        process.start()
    print(json.dumps([done.get(timeout=START_TIMEOUT + arguments.seconds) for _ in processes]))


if __name__ == "__main__":
    main()
