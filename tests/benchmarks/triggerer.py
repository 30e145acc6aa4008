# SPDX-License-Identifier: Apache-2.0
"""What waiting costs in the triggerer: us, the peers and the floor, each in a process of its own."""

from __future__ import annotations

from typing import Any

from environment import environment, run
from plots import svg
from report import Bar, Report, table
from server import Server
from triggerer_client import START_PACE
from waiters import FLOOR, KINDS, OURS

INTERVAL = 5.0
NUMBERS = (100, 1000, 5000)
WINDOW, LAG_WINDOW = 10.0, 5.0
QUICK_NUMBERS = (200,)
QUICK_WINDOW, QUICK_LAG_WINDOW, QUICK_INTERVAL = 2.0, 1.0, 1.0
TIMEOUT = 240.0

Results = dict[tuple[str, int], dict[str, float]]


def measure_cell(kind: str, number: int, interval: float, window: float, lag_window: float) -> dict[str, float]:
    """Measure one kind at one number, against a fresh server."""
    with environment() as variables, Server() as server:
        arguments = {
            "kind": kind,
            "port": server.port,
            "number": number,
            "interval": interval,
            "window": window,
            "lag-window": lag_window,
        }
        options = [f"--{name}={value}" for name, value in arguments.items()]
        return run("triggerer_client.py", options, variables, TIMEOUT)


def measure(quick: bool) -> tuple[Results, tuple[int, ...], float]:
    numbers, interval = (QUICK_NUMBERS, QUICK_INTERVAL) if quick else (NUMBERS, INTERVAL)
    windows = (QUICK_WINDOW, QUICK_LAG_WINDOW) if quick else (WINDOW, LAG_WINDOW)
    results: Results = {}
    for number in numbers:
        for kind in KINDS:
            figures = results[kind, number] = measure_cell(kind, number, interval, *windows)
            print(
                f"  {number:5} × {kind}: {figures['cpu']:.3f} s CPU / 1,000 polls, {figures['rate']:.0f} polls/s, "
                f"server {figures['server']:.0%} busy",
                flush=True,
            )
    return results, numbers, interval


def bars(results: Results, numbers: tuple[int, ...]) -> list[Bar]:
    """Return the bars; at the smallest of several numbers, what is spent without polling outweighs the polls."""
    peers = [kind for kind in KINDS if kind not in (OURS, FLOOR)]
    found = []
    for number in numbers[1:] or numbers:
        ours, floor = results[OURS, number], results[FLOOR, number]
        cheapest = min(peers, key=lambda kind: results[kind, number]["cpu"])
        peer = results[cheapest, number]["cpu"]
        found += [
            Bar(f"CPU per 1,000 polls ÷ aiohttp floor, N = {number:,}", ours["cpu"] / floor["cpu"], 1.5),
            Bar(f"CPU per 1,000 polls ÷ cheapest peer's ({cheapest}), N = {number:,}", ours["cpu"] / peer, 0.5),
            Bar(f"connections per poll, N = {number:,}", ours["connections"], 0.01, 4),
            Bar(f"memory per waiting trim, KiB, N = {number:,}", ours["memory"] / 1024, 10, 1),
        ]
    return found


def rows(results: Results, numbers: tuple[int, ...], interval: float) -> list[list[str]]:
    return [
        [
            kind if kind != OURS else f"**{kind}**",
            f"{number:,}",
            f"{figures['cpu']:.2f}",
            f"{1000 * figures['start']:.1f}",
            f"{figures['connections']:.3f}",
            f"{figures['memory'] / 1024:.1f}",
            f"{1000 * figures['lag_p99']:.0f} / {1000 * figures['lag_max']:.0f}",
            f"{figures['rate']:.0f} of {number / interval:.0f}",
        ]
        for number in numbers
        for kind in KINDS
        for figures in [results[kind, number]]
    ]


def plot(results: Results, numbers: tuple[int, ...]) -> bytes:
    """Draw CPU per 1,000 polls by number of waiting trims."""
    colours = {OURS: "#0b5cad", FLOOR: "#555555"} | dict(
        zip([kind for kind in KINDS if kind not in (OURS, FLOOR)], ("#d9730d", "#b3261e", "#8e44ad"), strict=True)
    )

    def draw(axes: Any) -> None:
        for kind in KINDS:
            style = {"color": colours[kind], "marker": "o", "linewidth": 3 if kind == OURS else 1.5}
            values = [results[kind, number]["cpu"] for number in numbers]
            axes.plot(numbers, values, label=kind, linestyle="--" if kind == FLOOR else "-", **style)
        axes.set(
            xscale="log", yscale="log", xlabel="trims waiting in one triggerer", ylabel="CPU seconds per 1,000 polls"
        )
        axes.set_xticks(numbers, [f"{number:,}" for number in numbers])
        axes.minorticks_off()
        ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10) if axes.get_ylim()[0] <= tick <= axes.get_ylim()[1]]
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))

    return svg(draw)


def explain(interval: float, quick: bool) -> str:
    window, lag_window = (QUICK_WINDOW, QUICK_LAG_WINDOW) if quick else (WINDOW, LAG_WINDOW)
    return f"""
N waiters in one event loop, each polling every {interval:g} s; plain HTTP to a server in another process; quota off; a
fresh process for each line. All are started evenly over one interval or {1000 * START_PACE:g} ms apart, whichever takes
longer, since a loop that can't keep up with the starts has its polls in bunches from then on, which makes each cheaper.
An interval after all have polled, CPU time of the client's process (user and system) and polls are measured for
{window:g} s, and for {lag_window:g} s more by how much sleeps of 10 ms are late. Connections are counted over both.
"To start" is the CPU time, per trim, from the first start until all have polled, less that of the polls. Memory is
resident memory per trim, all polled once, less that with N trigger objects made; what a process loads once is loaded
before. At the smallest N it is mostly the allocator's steps.

HttpSensorTrigger is answered 404, the only response on which it goes on waiting. DbtCloudRunJobTrigger insists on
HTTPS and is made to speak plain HTTP like the others. The floor is one shared aiohttp session and N tasks that
post the form, read the JSON and sleep.
"""


def benchmark(quick: bool = False) -> Report:
    """Measure all kinds at all numbers."""
    results, numbers, interval = measure(quick)
    header = (
        "",
        "N",
        "CPU s / 1,000 polls",
        "CPU ms to start",
        "connections / poll",
        "KiB / trim",
        "lag p99 / max, ms",
        "polls / s",
    )
    text = "\n".join(
        [explain(interval, quick), table(header, rows(results, numbers, interval)), "", "![CPU by N](triggerer.svg)"]
    )
    return Report("Cost in the triggerer", text, bars(results, numbers), {"triggerer.svg": plot(results, numbers)})


if __name__ == "__main__":
    print(benchmark(quick=True).markdown())
