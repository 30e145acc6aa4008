# SPDX-License-Identifier: Apache-2.0
"""Four real processes that share a quota through a real Redis, and call as fast as it lets them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from environment import environment, run  # makes tests.support importable
from report import Bar, Report, table
from server import Server

from tests.support.redis_server import RedisServer

PROCESSES = 4
CALLS, WINDOW = 60, 3.0
QUOTA = f"{CALLS}/{WINDOW:.0f} seconds"
START = 6.0
"""Seconds that the processes have to start in, so that all of them are there for most of the run."""
DURATION, QUICK_DURATION = 24.0, 9.0
TIMEOUT = 120.0


def most_in_any_window(arrivals: Sequence[float], window: float) -> int:
    """Return the most arrivals in any stretch of time that is shorter than the window."""
    most = first = 0
    for last, arrival in enumerate(arrivals):
        while arrival - arrivals[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


def used(arrivals: Sequence[float]) -> float:
    """Return the share of the quota that was used in the long run, without the burst that opens it."""
    return (len(arrivals) - CALLS) / (arrivals[-1] - arrivals[0]) * WINDOW / CALLS


def measure(duration: float) -> tuple[list[float], list[dict[str, int]]]:
    """Return when calls arrived, in seconds, and each process's counts."""
    with RedisServer() as redis, environment() as variables, Server() as server:
        until = time.time() + START + duration
        options = [f"--url={server.url}", f"--storage={redis.url}", f"--quota={QUOTA}", f"--until={until}"]
        with ThreadPoolExecutor(PROCESSES) as pool:
            running = [
                pool.submit(run, "shared_quota_client.py", options, variables, TIMEOUT) for _ in range(PROCESSES)
            ]
            counts = [each.result() for each in running]
        arrivals = sorted(server.arrivals())
    if len(arrivals) != sum(each["calls"] for each in counts):
        raise RuntimeError(f"{len(arrivals)} calls have arrived of {counts}")
    return arrivals, counts


def benchmark(quick: bool = False) -> Report:
    """Count the calls over the quota in any window, as the service would."""
    duration = QUICK_DURATION if quick else DURATION
    arrivals, counts = measure(duration)
    most, share = most_in_any_window(arrivals, WINDOW), used(arrivals)
    print(f"  {most} calls in the fullest {WINDOW:g} s, {share:.0%} of the quota used", flush=True)
    rows = [
        ["quota", f"{CALLS} calls per {WINDOW:g} s"],
        ["the most that arrived in any such window", str(most)],
        ["share of the quota that was used", f"{share:.1%}"],
        ["calls of each process", ", ".join(str(each["calls"]) for each in counts)],
        ["requests for a permit, per call", f"{sum(each['asked'] for each in counts) / len(arrivals):.1f}"],
    ]
    text = (
        f"{PROCESSES} processes on one Redis, each calling as fast as `limiter_for(…).acquire()` lets it, for\n"
        f"{duration:g} s and what is left of {START:g} s in which to start; the quota is scaled down. Counted by the\n"
        "server, at arrival, in any sliding window. The package counts in a window that is a little longer than the\n"
        "service's, by at least half a second, which costs more of a short window than of five minutes.\n\n"
    )
    bar = Bar("calls over the quota in any sliding window, 4 processes on Redis", max(0, most - CALLS), 0, 0)
    return Report("One quota, four processes", text + table(("", "measured"), rows), [bar])


if __name__ == "__main__":
    print(benchmark(quick=True).markdown())
