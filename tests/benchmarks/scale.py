# SPDX-License-Identifier: Apache-2.0
"""What breaks first: waits in one event loop, long lists, accounts, and processes on a Redis that is far away."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from environment import environment, run  # makes tests.support importable
from plots import svg
from report import Bar, Report, table
from server import Server
from shared_quota import most_in_any_window

from tests.support.delaying_proxy import DelayingProxy
from tests.support.redis_server import RedisServer
from tests.support.schedule_simulation import Quota, simulate

WAITS, QUICK_WAITS = (100, 1000, 10_000, 50_000), (100, 1000)
LISTS, QUICK_LISTS = (100, 1000, 10_000), (100, 1000)
ACCOUNTS, QUICK_ACCOUNTS = (1, 50, 200), (1, 20)
PROCESSES, QUICK_PROCESSES = (1, 10, 50), (1, 2)
LATENCIES = (0.0, 0.005, 0.1)
"""Seconds to Redis and back."""
OTHERS, QUOTA, HOUR = 290, Quota(300), 3600.0
MAX_BLOCK = 0.1
"""Seconds that 10,000 waits may block the event loop."""
CALLS, WINDOW, START, START_EACH = 200, 4.0, 6.0, 1.0
"""A quota that is scaled down, and the seconds in which processes have to start, and more for each of them."""
TIMEOUT = 900.0


def waits(sizes: tuple[int, ...], seconds: float) -> list[dict[str, float]]:
    """Measure one event loop with each number of waits."""
    found = []
    with environment() as variables, Server() as server:
        for size in sizes:
            options = [f"--url={server.url}", f"--waits={size}", f"--seconds={seconds}"]
            figures = run("scale_client.py", options, variables, TIMEOUT)
            figures |= run("scale_client.py", [*options, "--deadline=5", "--expire"], variables, TIMEOUT)
            found.append(figures)
            print(f"  {size:,} waits: {figures}", flush=True)
    return found


def lists(sizes: tuple[int, ...]) -> list[list[float]]:
    """Simulate a list of endless trims next to another task, whose trims take 20 s; return the delays of these."""
    found = []
    for size in sizes:
        begins, durations = [0.0] * size + [30.0] * OTHERS, [2 * HOUR] * size + [20.0] * OTHERS
        delays = simulate(begins, durations, QUOTA, task=partial(_task, size), until=2 * HOUR)
        found.append(delays[size:])
        print(f"  a list of {size:,}: {statistics.mean(found[-1]):.0f} s, {max(found[-1]):.0f} s", flush=True)
    return found


def _task(size: int, number: int) -> str:
    return "list" if number < size else "other"


def accounts(numbers: tuple[int, ...], seconds: float) -> list[dict[str, float]]:
    """Measure one event loop with 20 waits of each account."""
    found = []
    with environment() as variables, Server() as server:
        for number in numbers:
            options = [f"--url={server.url}", f"--accounts={number}", "--waits=20", f"--seconds={seconds}"]
            found.append(run("scale_client.py", options, variables, TIMEOUT))
            print(f"  {number} accounts: {found[-1]}", flush=True)
    return found


def processes(number: int, latency: float, seconds: float) -> tuple[int, float]:
    """Return the most calls in any window, and the share of the quota that was used, of processes on one Redis."""
    with (
        RedisServer() as redis,
        DelayingProxy(redis.port, latency / 2) as proxy,
        environment() as variables,
        Server() as server,
    ):
        until = time.time() + seconds + START + START_EACH * number
        options = [f"--url={server.url}", f"--storage=redis://127.0.0.1:{proxy.port}/0", f"--until={until}"]
        options.append(f"--quota={CALLS}/{WINDOW:.0f} seconds")
        with ThreadPoolExecutor(number) as pool:
            each = [pool.submit(run, "shared_quota_client.py", options, variables, TIMEOUT) for _ in range(number)]
            counts = [one.result() for one in each]
        arrivals = sorted(server.arrivals())
    most = most_in_any_window(arrivals, WINDOW)
    share = (len(arrivals) - CALLS) / max(arrivals[-1] - arrivals[0], WINDOW) * WINDOW / CALLS
    print(
        f"  {number} processes, {latency * 1000:.0f} ms: {most} in {WINDOW:g} s, {share:.0%}, {counts[0]}", flush=True
    )
    return most, share


def _plot(sizes: tuple[int, ...], found: list[dict[str, float]]) -> bytes:
    def draw(axes: Any) -> None:
        for name, style in (("start", "o-"), ("waiting", "s-"), ("cancellation", "^-"), ("expiry", "v-")):
            axes.plot(sizes, [max(figures[name], 1e-4) for figures in found], style, label=name)
        axes.axhline(MAX_BLOCK, color="k", linestyle=":", label="0.1 s")
        axes.set(xscale="log", yscale="log", xlabel="waits in one event loop", ylabel="longest block, s of CPU")
        axes.legend()

    return svg(draw)


def _plot_lists(sizes: tuple[int, ...], found: list[list[float]]) -> bytes:
    def draw(axes: Any) -> None:
        for name, style, pick in (("mean", "o-", statistics.mean), ("longest", "^-", max)):
            axes.plot(sizes, [pick(delays) / QUOTA.window for delays in found], style, label=name)
        axes.set(
            xscale="log", xlabel="trims in another task's list", ylabel="windows until 290 finished trims are noticed"
        )
        axes.set_ylim(bottom=0.0)
        axes.legend()

    return svg(draw)


def benchmark(quick: bool = False) -> Report:
    """Measure each of them."""
    seconds = 3.0 if quick else 20.0
    sizes, list_sizes = (QUICK_WAITS, QUICK_LISTS) if quick else (WAITS, LISTS)
    numbers, counts = (QUICK_ACCOUNTS, QUICK_PROCESSES) if quick else (ACCOUNTS, PROCESSES)
    loops, delays, many = waits(sizes, seconds), lists(list_sizes), accounts(numbers, seconds)
    shared = {(count, latency): processes(count, latency, seconds) for count in counts for latency in LATENCIES}
    names = ("start", "waiting", "cancellation", "expiry")
    rows = [
        [f"{size:,}", f"{figures['cpu']:.1%}", *(f"{figures[name] * 1000:.0f}" for name in names)]
        for size, figures in zip(sizes, loops, strict=True)
    ]
    account_rows = [
        [str(number), f"{figures['cpu']:.1%}", f"{figures['start'] * 1000:.0f}", f"{figures['descriptors']:.0f}"]
        for number, figures in zip(numbers, many, strict=True)
    ]
    shared_rows = [
        [f"{count}", f"{latency * 1000:.0f} ms", f"{most}", f"{share:.0%}"]
        for (count, latency), (most, share) in shared.items()
    ]
    text = f"""
*Waits* of one list in one event loop, at {QUOTA.calls} calls in five minutes, with nothing due but what the quota
allows. A block is the CPU time that the event loop's thread takes in one go.

{table(("waits", "CPU while waiting", *(f"block, ms: {name}" for name in names)), rows)}

![Blocks of the event loop](scale.svg)

*Lists*: {OTHERS} trims that are finished soon, next to another task's list that is not, simulated.

![Fairness](scale_lists.svg)

*Accounts* with 20 waits each, in one event loop.

{table(("accounts", "CPU while waiting", "block at start, ms", "descriptors"), account_rows)}

*Processes* that call as fast as {CALLS} calls in {WINDOW:g} s allow, counted in one Redis behind a proxy that delays.

{table(("processes", "latency", "calls in the fullest window", "quota used"), shared_rows)}
"""
    ten = next((figures for size, figures in zip(sizes, loops, strict=True) if size == 10_000), loops[-1])
    bars = [
        Bar("longest block of the event loop (s), 10,000 waits", max(ten[name] for name in names), MAX_BLOCK, 3),
        Bar("windows until a finished trim is noticed next to the longest list", max(delays[-1]) / QUOTA.window, 10.0),
        Bar(
            "calls over a quota in Redis, any processes and latency",
            max(0, max(m for m, _ in shared.values()) - CALLS),
            0,
            0,
        ),
    ]
    return Report(
        "Scale", text, bars, {"scale.svg": _plot(sizes, loops), "scale_lists.svg": _plot_lists(list_sizes, delays)}
    )


if __name__ == "__main__":
    print(benchmark(quick=True).markdown())
