# SPDX-License-Identifier: Apache-2.0
"""Ten thousand waiting triggers in one event loop, under the quota: is the loop ever blocked?"""

from __future__ import annotations

from environment import environment, run, trim_connection
from report import Bar, Report, table
from server import Server

NUMBER, QUICK_NUMBER = 10_000, 1000
SECONDS, QUICK_SECONDS = 30.0, 5.0
TIMEOUT = 240.0
BLOCKED = 0.2
"""Seconds from which Airflow's triggerer says that its loop was blocked."""


def benchmark(quick: bool = False) -> Report:
    """Start them all at once, let them wait, cancel them all."""
    number, seconds = (QUICK_NUMBER, QUICK_SECONDS) if quick else (NUMBER, SECONDS)
    with Server() as server, environment(trim_bench=trim_connection(server.url, quota="300/5 minutes")) as variables:
        options = [f"--number={number}", f"--seconds={seconds}"]
        figures = run("load_client.py", options, variables, TIMEOUT)
    names = {
        "starting": "they start, all at once",
        "waiting": f"they wait, for {seconds:g} s",
        "ending": "they are cancelled, all at once",
    }
    rows = [
        [f"while {text}", *(f"{1000 * figures[key]:.0f}" for key in (name, f"{name}, collection"))]
        for name, text in names.items()
    ]
    text = f"""
{number:,} triggers with an interval of 5 s in one event loop, and a quota of 300 calls in 5 minutes. How late sleeps of
10 ms were, at most. What Airflow itself does between two triggers is not in it. Python's garbage collection is. A
collection of all objects stops the loop; whether one falls into a phase is a matter of chance.

{table(("", "longest block, ms", "longest garbage collection, ms"), rows)}
"""
    bars = [
        Bar(f"longest block of the event loop (s), {number:,} waiting, {name}", figures[name], BLOCKED)
        for name in names
    ]
    bars.append(Bar(f"tasks left behind by {number:,} cancelled triggers", figures["left"], 0, digits=0))
    return Report("Load", text, bars)


if __name__ == "__main__":
    print(benchmark(quick=True).markdown())
