# SPDX-License-Identifier: Apache-2.0
"""Many processes that share a quota through one Redis: far away, or with clocks that are apart."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from environment import environment  # makes tests.support importable
from environment import run as run_script
from plots import svg
from report import Bar, Report, table
from server import Server
from shared_quota import most_in_any_window

from tests.support.delaying_proxy import DelayingProxy
from tests.support.redis_server import RedisServer

PROCESSES, QUICK_PROCESSES = (1, 10, 50), (1, 2)
LATENCIES = (0.0, 0.005, 0.1)
"""Seconds to Redis and back."""
CLOCKS, QUICK_CLOCKS = (0.0, 1.0, 2.0, 10.0, 60.0), (0.0, 60.0)
"""Seconds from the first process's clock to the last one's."""
APART = 10
"""Processes whose clocks are apart."""
CALLS, WINDOW, WINDOWS = 200, 10.0, 3
"""A quota that is scaled down, and windows for which it is used."""
SECONDS = WINDOW * (WINDOWS - 0.5)
LIMIT = 300.0


@dataclass(frozen=True)
class Run:
    """What a number of processes did."""

    most: int
    """Calls in the fullest window."""
    used: float
    """Part of the calls that the quota allows."""
    longest: float
    """Seconds that one waited for Redis at most."""
    planned: float
    """Part of the quota that all of them planned with, in the end."""


def run(number: int, latency: float = 0.0, clocks: float = 0.0) -> Run:
    """Have processes call at the same time as fast as the quota allows.

    :param latency: seconds to Redis and back
    :param clocks: seconds from the first process's clock to the last one's
    """
    with ExitStack() as stack:
        redis, server = stack.enter_context(RedisServer()), stack.enter_context(Server())
        proxy = stack.enter_context(DelayingProxy(redis.port, latency / 2))
        variables = stack.enter_context(environment())
        port = proxy.port if latency else redis.port
        options = [f"--url={server.url}", f"--storage=redis://127.0.0.1:{port}/0", f"--processes={number}"]
        options += [f"--quota={CALLS}/{WINDOW:.0f} seconds", f"--seconds={SECONDS}", f"--clocks={clocks}"]
        done = run_script("scale_process.py", options, variables, LIMIT)
        arrivals = sorted(server.arrivals())
    found = Run(
        most_in_any_window(arrivals, WINDOW),
        len(arrivals) / (CALLS * WINDOWS),
        max(each["longest"] for each in done),
        sum(each["planned"] for each in done) / CALLS,
    )
    print(f"  {number} processes, {latency * 1000:.0f} ms, clocks {clocks:g} s apart: {found}", flush=True)
    return found


def _plot(by_latency: dict[tuple[int, float], Run], by_clocks: dict[float, Run]) -> dict[str, bytes]:
    counts = sorted({count for count, _ in by_latency})

    def draw_processes(axes: Any) -> None:
        for latency, style in zip(LATENCIES, ("o-", "s-", "^-"), strict=True):
            used = [by_latency[count, latency].used for count in counts]
            axes.plot(counts, used, style, label=f"{latency * 1000:.0f} ms to Redis and back")
        axes.set(xscale="log", xlabel="processes on one Redis", ylabel="part of the quota that is used")
        axes.set_ylim(0.0, 1.05)
        axes.legend()

    def draw_clocks(axes: Any) -> None:
        for name, style, figures in (
            ("calls in the fullest window ÷ quota", "o-", [run.most / CALLS for run in by_clocks.values()]),
            ("part of the quota that is used", "s-", [run.used for run in by_clocks.values()]),
        ):
            axes.plot(list(by_clocks), figures, style, label=name)
        axes.set(xlabel=f"seconds between the clocks of {APART} processes, at most", xscale="symlog")
        axes.set_ylim(0.0, 1.05)
        axes.legend()

    return {"scale_processes.svg": svg(draw_processes), "scale_clocks.svg": svg(draw_clocks)}


def report(quick: bool) -> Report:
    """Measure processes by their number and latency, and by their clocks."""
    numbers, apart = (QUICK_PROCESSES, QUICK_CLOCKS) if quick else (PROCESSES, CLOCKS)
    by_latency = {(number, latency): run(number, latency) for number in numbers for latency in LATENCIES}
    by_clocks = {clocks: run(min(APART, max(numbers)), clocks=clocks) for clocks in apart}
    rows = [
        [f"{number}", f"{latency * 1000:.0f} ms", f"{found.most}", f"{found.used:.0%}", f"{found.longest:.2f}"]
        for (number, latency), found in by_latency.items()
    ]
    clock_rows = [
        [f"{clocks:g} s", f"{found.most}", f"{found.used:.0%}", f"{found.planned:.0%}"]
        for clocks, found in by_clocks.items()
    ]
    text = f"""
*Processes* that call at the same time, one call after another, as fast as {CALLS} calls in {WINDOW:g} s allow, for
{SECONDS:g} s. Redis counts them, behind a proxy that delays. The server counts, too, at arrival, in any sliding window.
All of the quota is {CALLS * WINDOWS} calls, which fit into {SECONDS:g} s.

{table(("processes", "latency", "calls in the fullest window", "quota used", "longest wait for Redis, s"), rows)}

![Part of the quota that is used](scale_processes.svg)

*Clocks* of {APART} processes, spread evenly from none to some seconds ahead; each says that it waits for as many trims.

{table(("clocks apart", "calls in the fullest window", "quota used", "quota planned with, all together"), clock_rows)}

![Clocks that are apart](scale_clocks.svg)
"""
    far = by_latency[max(numbers), 0.005]
    all_runs = [*by_latency.values(), *by_clocks.values()]
    bars = [
        Bar(
            "calls over a quota in Redis, any processes, latency, clocks",
            max(0, *(r.most - CALLS for r in all_runs)),
            0,
            0,
        ),
        Bar(f"part of the quota left unused, {max(numbers)} processes, 5 ms to Redis", 1.0 - far.used, 0.1),
        Bar("part of the quota left unused, clocks 60 s apart", 1.0 - by_clocks[max(apart)].used, 0.1),
    ]
    return Report("Processes", text, bars, _plot(by_latency, by_clocks))


if __name__ == "__main__":
    print(report(quick=True).markdown())
