# SPDX-License-Identifier: Apache-2.0
"""Callbacks in place of polls: what they save when they come, get lost, are forged, or reach the wrong process."""

from __future__ import annotations

from typing import Any

import numpy as np
from callbacks_runs import (
    CALLS,
    FORGERS,
    INTERVAL,
    SCALE,
    TUNED,
    WAITING,
    WINDOW,
    Load,
    Outcome,
    forged,
    misdirected,
    run,
)
from plots import label_delays, svg
from policy_bound import DISTRIBUTIONS, steady_bound
from report import Bar, Report, table

WHOLE, QUICK = Load(1000, 1200.0, 1200.0), Load(125, 150.0, 300.0)
CURVE = (25, 75)
"""Trims at a time, in addition to those of the whole run."""

BOUND_CURVE = (10, 25, 50, 75, 100, 125, 137, 150, 160)
FORGED, QUICK_FORGED = 10_000, 1000
MISDIRECTED, QUICK_MISDIRECTED = 20, 2


def plot(points: list[tuple[float, float]]) -> bytes:
    """Draw delay against concurrency, with the bound of polling."""
    bounds = [steady_bound(DISTRIBUTIONS[TUNED], size, CALLS, WINDOW, 2000) for size in BOUND_CURVE]

    def draw(axes: Any) -> None:
        axes.plot(BOUND_CURVE, bounds, "k:", label="bound of polling")
        axes.plot(*zip(*sorted(points), strict=True), "C0o-", label="with callbacks", linewidth=2.5)
        label_delays(axes, f"300 calls in 5 minutes, durations {TUNED}")

    return svg(draw)


def benchmark(quick: bool = False) -> Report:
    """Run everything."""
    load = QUICK if quick else WHOLE
    whole = load.concurrency
    all_arrive = run(load, SCALE, 1)
    print(f"  all arrive: {all_arrive.calls / all_arrive.trims:.3f} calls, {all_arrive.mean:.2f} s", flush=True)
    some = run(load, SCALE, 2, faulty=True)
    print(f"  some do not: {some.calls / some.trims:.3f} calls, {some.mean:.2f} s", flush=True)
    points = {size: run(load.at(size), 2 * SCALE, 3) for size in (() if quick else CURVE)}
    attack = forged(QUICK_FORGED if quick else FORGED)
    print(f"  forged: {attack}", flush=True)
    wrong = misdirected(QUICK_MISDIRECTED if quick else MISDIRECTED)
    print(f"  misdirected: {max(wrong):.2f} s at most", flush=True)
    bounds = {size: steady_bound(DISTRIBUTIONS[TUNED], size, CALLS, WINDOW, 2000) for size in (*points, whole)}
    rows = [
        [f"{size:.0f} at a time", f"{bounds[size]:.1f}", f"{outcome.mean:.2f}", f"{outcome.calls / outcome.trims:.3f}"]
        for size, outcome in (*points.items(), (whole, all_arrive))
    ]
    rows.append([f"{whole:.0f}, 15 % lost, late, doubled", "–", f"{some.mean:.2f}", f"{some.calls / some.trims:.3f}"])
    drawn = plot([(size, outcome.mean) for size, outcome in (*points.items(), (whole, all_arrive))])
    text = _text(rows, load, attack, wrong, all_arrive)
    return Report("Callbacks", text, _bars(all_arrive, some, attack, wrong), {"callbacks.svg": drawn})


def _bars(all_arrive: Outcome, some: Outcome, attack: dict[str, float], wrong: list[float]) -> list[Bar]:
    return [
        Bar("calls for status per trim, all callbacks arrive", all_arrive.calls / all_arrive.trims, 1.05, digits=3),
        Bar("mean detection delay (s), all callbacks arrive", all_arrive.mean, 1.0),
        Bar("trims not found, all callbacks arrive", all_arrive.missing + all_arrive.twice, 0, digits=0),
        Bar("trims not found or reported twice, 5 % lost, late, doubled each", some.missing + some.twice, 0, digits=0),
        Bar("calls for status per trim, 5 % lost, late, doubled each", some.calls / some.trims, 1.3, digits=3),
        Bar("calls caused by forged callbacks", attack["calls"], 0, digits=0),
        Bar("longest block of the event loop (s), while callbacks are forged", attack["lag"], 0.2),
        Bar("growth of memory (MiB), while callbacks are forged", attack["grown"], 5.0, digits=1),
        Bar("longest detection delay (s), callbacks at the wrong process, Redis", max(wrong), 2.0),
    ]


def _text(rows: list[list[str]], load: Load, attack: dict[str, float], wrong: list[float], all_arrive: Outcome) -> str:
    return f"""
{load.trims:,} trims that finish at random within {load.span / 60:.0f} minutes, {SCALE:g} times as fast as the clock
(the rows of fewer trims at a time: {2 * SCALE:g} times), the quota, the interval of {INTERVAL:g} s and its 60-fold
scaled down likewise; durations {TUNED}, at most {load.longest:g} s. Real triggers in a separate process, a real
listener, and the emulator, which keeps the quota and sends the callbacks. Seconds are scaled up again, so
{all_arrive.mean:.2f} s is what took {1000 * all_arrive.mean / SCALE:.0f} ms. The process waits for another trim
before them, as a triggerer in use does; the calls for that one are not counted.
The bound of polling is that of *Which trim is polled next*.

{table(("", "bound of polling", "**mean delay with callbacks**", "calls per trim"), rows)}

![Delay against concurrency](callbacks.svg)

Forged requests came at {attack["per second"]:.0f} a second from {FORGERS} connections at a time, while {WAITING} trims
waited. {len(wrong)} callbacks reached the wrong one of two processes on one Redis: {np.mean(wrong):.2f} s on average
until the right one had found the trim.
"""


if __name__ == "__main__":
    print(benchmark(quick=True).markdown())
