# SPDX-License-Identifier: Apache-2.0
"""Callbacks at up to 2,000 a minute to one process."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from callbacks_runs import Connection, hear, tell
from environment import HERE, LOGIN, TOKEN, environment
from plots import svg
from report import Bar, Report, table

from airflow_provider_trim.emulator import TrimEmulator

RATES, QUICK_RATES = (60, 500, 1000, 2000), (60, 500)
"""Callbacks a minute."""
SECONDS, QUICK_SECONDS = 30.0, 4.0
AFTER = 3.0
"""Seconds after the last callback in which its trim has to be found."""
MAX_BLOCK = 0.1


@dataclass(frozen=True)
class Run:
    """What callbacks at a rate cost."""

    trims: int
    lost: int
    delay: float
    """Mean seconds until a trim that is done was found."""
    longest: float
    cpu: float
    block: float


def run(rate: int, seconds: float) -> Run:
    """Have trims end at a rate, each with a callback, and return what that took."""
    number = round(rate * seconds / 60)
    with TrimEmulator(user=LOGIN, token=TOKEN) as emulator, environment() as variables:
        connection = Connection(emulator)
        for place in range(number):
            emulator.add_trim(f"t{place}", math.inf, notify_url=connection.address(f"t{place}"))
        line = [sys.executable, str(HERE / "scale_callbacks_client.py"), f"--connection={connection.parts}"]
        line += [f"--trims={number}", f"--seconds={seconds + AFTER}"]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(line, env=variables, **pipes) as process:
            hear(process)
            emulator.wait_for_calls(number)  # each trim's first poll
            tell(process, "")
            begin, ends = time.monotonic(), {}
            for place in range(number):
                time.sleep(max(0.0, begin + place * 60.0 / rate - time.monotonic()))
                ends[f"t{place}"] = time.time()
                emulator.finish(f"t{place}")
            time.sleep(AFTER)
            tell(process, "")
            done = json.loads(hear(process))
    delays = [found - ends[trans_no] for trans_no, found in done["found"].items()]
    result = Run(
        number, number - len(delays), statistics.mean(delays), max(delays), float(done["cpu"]), float(done["block"])
    )
    print(f"  {rate} callbacks a minute: {result}", flush=True)
    return result


def report(quick: bool) -> Report:
    """Measure each rate."""
    found = {rate: run(rate, QUICK_SECONDS if quick else SECONDS) for rate in (QUICK_RATES if quick else RATES)}
    rows = [
        [
            f"{rate:,}",
            f"{one.lost} of {one.trims}",
            f"{one.delay * 1000:.0f}",
            f"{one.longest * 1000:.0f}",
            f"{one.cpu:.1%}",
            f"{one.block * 1000:.0f}",
        ]
        for rate, one in found.items()
    ]

    def draw(axes: Any) -> None:
        axes.plot(list(found), [one.cpu for one in found.values()], "o-", label="part of a core")
        axes.plot(list(found), [one.block for one in found.values()], "s-", label="longest block, s of CPU")
        axes.set(xlabel="callbacks a minute")
        axes.set_ylim(bottom=0.0)
        axes.legend()

    header = ("callbacks a minute", "lost", "mean delay, ms", "longest", "CPU", "longest block, ms")
    text = f"""
*Callbacks* to one process, at an even rate, each followed by a poll of its trim; without a callback, a trim is not
polled again here.

{table(header, rows)}

![Callbacks](scale_callbacks.svg)
"""
    most = max(found)
    bars = [
        Bar(f"callbacks lost, up to {most:,} a minute", sum(one.lost for one in found.values()), 0, 0),
        Bar(f"longest block of the event loop (s), {most:,} callbacks a minute", found[most].block, MAX_BLOCK, 3),
        Bar(f"mean delay (s), {most:,} callbacks a minute", found[most].delay, 1.0),
    ]
    return Report("Callbacks", text, bars, {"scale_callbacks.svg": svg(draw)})


if __name__ == "__main__":
    print(report(quick=True).markdown())
