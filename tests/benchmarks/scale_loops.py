# SPDX-License-Identifier: Apache-2.0
"""What one event loop holds: waits, long lists, and accounts."""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any

from environment import environment, run  # makes tests.support importable
from plots import svg
from report import Bar, Report, table
from server import Server

from tests.support.schedule_simulation import Quota, simulate

WAITS, QUICK_WAITS = (100, 1000, 10_000, 50_000), (100, 1000)
LISTS, QUICK_LISTS = (100, 1000, 10_000), (100, 1000)
ACCOUNTS, QUICK_ACCOUNTS = (1, 50, 200), (1, 20)
OTHERS, QUOTA, HOUR = 290, Quota(300), 3600.0
MAX_BLOCK = 0.1
"""Seconds that 10,000 waits may block the event loop."""
PHASES = ("start", "waiting", "cancellation", "expiry")
TIMEOUT = 900.0


def waits(sizes: tuple[int, ...], seconds: float) -> list[dict[str, float]]:
    """Measure one event loop with each number of waits."""
    found = []
    with environment() as variables, Server() as server:
        for size in sizes:
            options = [f"--url={server.url}", f"--waits={size}", f"--seconds={seconds}"]
            figures = run("scale_client.py", options, variables, TIMEOUT)
            expiring = run("scale_client.py", [*options, "--deadline=5", "--expire"], variables, TIMEOUT)
            for name in ("start", "waiting", "expiry"):
                figures[name] = max(figures.get(name, 0.0), expiring[name])
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


def _plot(sizes: tuple[int, ...], found: list[dict[str, float]]) -> bytes:
    def draw(axes: Any) -> None:
        for name, style in zip(PHASES, ("o-", "s-", "^-", "v-"), strict=True):
            axes.plot(sizes, [max(figures[name], 1e-4) for figures in found], style, label=name)
        axes.axhline(MAX_BLOCK, color="k", linestyle=":", label="0.1 s")
        axes.set(xscale="log", yscale="log", xlabel="waits in one event loop", ylabel="longest block, s of CPU")
        axes.legend()

    return svg(draw)


def _plot_accounts(numbers: tuple[int, ...], found: list[dict[str, float]]) -> bytes:
    def draw(axes: Any) -> None:
        for name, style in zip(PHASES[:3], ("o-", "s-", "^-"), strict=True):
            axes.plot(numbers, [figures[name] for figures in found], style, label=f"block, s of CPU: {name}")
        axes.plot(numbers, [figures["cpu"] for figures in found], "k:", label="part of a core while waiting")
        axes.set(xlabel="accounts in one event loop, 20 waits each")
        axes.set_ylim(bottom=0.0)
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


def report(quick: bool) -> Report:
    """Measure each of them."""
    seconds = 3.0 if quick else 20.0
    sizes, list_sizes = (QUICK_WAITS, QUICK_LISTS) if quick else (WAITS, LISTS)
    numbers = QUICK_ACCOUNTS if quick else ACCOUNTS
    loops, delays, many = waits(sizes, seconds), lists(list_sizes), accounts(numbers, seconds)
    plots = {
        "scale.svg": _plot(sizes, loops),
        "scale_lists.svg": _plot_lists(list_sizes, delays),
        "scale_accounts.svg": _plot_accounts(numbers, many),
    }
    ten = next((figures for size, figures in zip(sizes, loops, strict=True) if size == 10_000), loops[-1])
    bars = [
        Bar("longest block of the event loop (s), 10,000 waits", max(ten[name] for name in PHASES), MAX_BLOCK, 3),
        Bar("windows until a finished trim is noticed next to the longest list", max(delays[-1]) / QUOTA.window, 10.0),
        Bar(f"file descriptors for each of {max(numbers)} accounts", many[-1]["descriptors"] / max(numbers), 5.0),
    ]
    return Report("Waits, lists and accounts", _text(sizes, loops, numbers, many), bars, plots)


def _text(
    sizes: tuple[int, ...], loops: list[dict[str, float]], numbers: tuple[int, ...], many: list[dict[str, float]]
) -> str:
    rows = [
        [f"{size:,}", f"{figures['cpu']:.1%}", *(f"{figures[name] * 1000:.0f}" for name in PHASES)]
        for size, figures in zip(sizes, loops, strict=True)
    ]
    account_rows = [
        [
            str(number),
            f"{figures['cpu']:.1%}",
            *(f"{figures[name] * 1000:.0f}" for name in PHASES[:3]),
            f"{figures['descriptors']:.0f}",
        ]
        for number, figures in zip(numbers, many, strict=True)
    ]
    header = ("CPU while waiting", *(f"block, ms: {name}" for name in PHASES))
    return f"""
*Waits* of one list in one event loop, at {QUOTA.calls} calls in five minutes, with nothing due but what the quota
allows. A block is the CPU time that the event loop's thread takes in one go, garbage collection included. Waits have a
deadline in an hour, or, for *expiry*, one that passes while they wait: then all want their last poll at once.

{table(("waits", *header), rows)}

![Blocks of the event loop](scale.svg)

*Lists*: {OTHERS} trims that are finished soon, next to another task's list that is not, simulated.

![Fairness](scale_lists.svg)

*Accounts* with 20 waits each, in one event loop.

{table(("accounts", *header[:4], "descriptors"), account_rows)}

![Accounts](scale_accounts.svg)
"""


if __name__ == "__main__":
    print(report(quick=True).markdown())
