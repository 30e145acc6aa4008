# SPDX-License-Identifier: Apache-2.0
"""Bursts of trims of any duration, and the fixed poll or backoff that is the best in hindsight."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from subprocess import PIPE
from typing import Any

from burst_simulation import (
    BURSTS,
    PAUSES,
    SIZES,
    WARMED_BY,
    Quota,
    as_airflow_begins,
    best_naive,
    lower_limit,
    mixed,
    ours,
    regime,
    round_robin,
    seeds_of,
    two_dags,
)
from environment import HERE, LOGIN, TOKEN, environment, trim_connection
from plots import svg
from report import Bar, Report, table

from airflow_provider_trim.emulator import TrimEmulator

SEEDS, QUICK_SEEDS = 12, 1
REAL_SIZE, REAL_SECONDS, REAL_BAR = 40, 12.0, 4.0

COLD_RATIO, COLD_SECONDS, COLD_MEAN = 1.25, 1.5, 0.75
WARM_RATIO, WARM_SECONDS, WARM_MEAN = 1.05, 1.0, 0.60

Cell = tuple[str, int]

_ALONE = ("mean delay of the short ones ÷ alone", 1.5)
_COMPARED = {
    "burst of 60 of 10 s during a steady 30 of 2 min": _ALONE,
    "bursts of 40 of 12 s during a steady 40 of 10 min": _ALONE,
    "steady 5 of 12 s with a steady 40 of 10 min": _ALONE,
    "durations triple at once": ("mean delay after 50 trims ÷ where they were so all the time", 1.2),
}
"""What a load is compared with, and its bar."""


def benchmark(quick: bool = False) -> Report:
    """Simulate the grid, what else a load may be, and run one burst in real time."""
    most = QUICK_SEEDS if quick else SEEDS
    cells: list[Cell] = list(product(BURSTS, SIZES[::3] if quick else SIZES))
    names, sizes = zip(*cells, strict=True)
    seeds = [seeds_of(size, most) for size in sizes]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        naive = dict(zip(cells, pool.map(best_naive, names, sizes, seeds), strict=True))
        turns = dict(zip(cells, pool.map(round_robin, names, sizes, seeds), strict=True))
        cold = dict(zip(cells, pool.map(ours, names, sizes, seeds, [False] * len(cells)), strict=True))
        warm = dict(zip(cells, pool.map(ours, names, sizes, seeds, [True] * len(cells)), strict=True))
        print(f"  grid: {_mean(cold, naive):.3f} cold, {_mean(warm, naive):.3f} warm", flush=True)
        few = range(1 if quick else 6)
        loads = {
            "burst of 60 of 10 s during a steady 30 of 2 min": list(pool.map(mixed, few)),
            "bursts of 40 of 12 s during a steady 40 of 10 min": list(pool.map(partial(two_dags, bursts=True), few)),
            "steady 5 of 12 s with a steady 40 of 10 min": list(pool.map(partial(two_dags, bursts=False), few)),
            "durations triple at once": list(pool.map(regime, few)),
        }
        limit = _average(pool.map(lower_limit, few))
        begun = [(size, pool.submit(as_airflow_begins, size, seeds_of(size, most))) for size in (10, 40, 100)]
        starts = {size: found.result() for size, found in begun}
        others = _others(pool, most)
    real = _real_burst()
    means = {name: (_average(a for a, _ in pairs), _average(b for _, b in pairs)) for name, pairs in loads.items()}
    bars = [
        *_bars("cold", cold, naive, COLD_RATIO, COLD_SECONDS, COLD_MEAN),
        *_bars("warm", warm, naive, WARM_RATIO, WARM_SECONDS, WARM_MEAN),
        *(
            Bar(f"{name}: {_COMPARED[name][0]}", own / other, _COMPARED[name][1])
            for name, (own, other) in means.items()
        ),
        *(
            Bar(f"{size} tasks as Airflow begins them: misses the bar of a cold cell", _missed_cold(*pair), 0, digits=0)
            for size, pair in starts.items()
        ),
        Bar(f"{REAL_SIZE} real triggers of about {REAL_SECONDS:.0f} s, cold: mean delay (s)", real, REAL_BAR),
    ]
    more = _more(means, starts, others, limit)
    return Report("Bursts", _text(naive, turns, cold, warm, more, most), bars, {"bursts.svg": _heat_map(cold, naive)})


def _mean(delays: dict[Cell, float], naive: dict[Cell, float]) -> float:
    """Return the geometric mean of the ratios."""
    return math.exp(_average(math.log(delays[cell] / naive[cell]) for cell in delays))


def _average(values: Any) -> float:
    values = list(values)
    return sum(values) / len(values)


def _missed(delay: float, naive: float, ratio: float, seconds: float) -> bool:
    return delay > ratio * naive and delay > naive + seconds


def _missed_cold(delay: float, naive: float) -> bool:
    return _missed(delay, naive, COLD_RATIO, COLD_SECONDS)


def _bars(
    name: str, delays: dict[Cell, float], naive: dict[Cell, float], ratio: float, seconds: float, mean: float
) -> list[Bar]:
    missed = sum(_missed(delays[cell], naive[cell], ratio, seconds) for cell in delays)
    rule = f"ours > {ratio} × best naive in hindsight, and by more than {seconds:g} s"
    return [
        Bar(f"cells of {len(delays)}, {name}: {rule}", missed, 0, digits=0),
        Bar(f"geometric mean of ours ÷ best naive, {name}", _mean(delays, naive), mean),
    ]


def _others(pool: ProcessPoolExecutor, most: int) -> list[list[str]]:
    """Return rows for other quotas and intervals, bursts of as many trims for each call, cold."""
    rows = []
    name = "lognormal(30 s, 0.6)"
    for calls, interval in ((30, 5.0), (3000, 5.0), (300, 1.0), (300, 10.0)):
        size, quota = calls // 5, Quota(calls)
        seeds = seeds_of(size, most)
        mine = pool.submit(ours, name, size, seeds, False, quota, interval)
        naive = pool.submit(best_naive, name, size, seeds, quota)
        rows.append([f"{calls}/5 min, {interval:g} s, {size} trims", f"{mine.result():.1f}", f"{naive.result():.1f}"])
    return rows


def _real_burst() -> float:
    """Return the mean delay in seconds of real triggers in a process of their own, at true scale."""
    chance = random.Random(1)
    durations = {f"trim-{n}": REAL_SECONDS * chance.lognormvariate(0.0, 0.6) for n in range(REAL_SIZE)}
    with (
        TrimEmulator(user=LOGIN, token=TOKEN, quota=(300, 300.0)) as emulator,
        environment(trim_bench=trim_connection(emulator.url, quota="300/5 minutes")) as variables,
    ):
        command = [sys.executable, str(HERE / "burst_client.py"), *durations]
        with subprocess.Popen(command, env=variables, stdin=PIPE, stdout=PIPE, text=True) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            while client.stdout.readline().strip() != "ready":
                if client.poll() is not None:
                    raise RuntimeError("burst_client.py failed")
            begin = time.time()
            for name, duration in durations.items():
                emulator.add_trim(name, duration)
            events = json.loads(client.communicate("\n", timeout=700.0)[0].splitlines()[-1])
        if emulator.rate_limited:
            raise RuntimeError(f"{emulator.rate_limited} calls over the quota")
    return _average(max(0.0, events[name] - begin - duration) for name, duration in durations.items())


def _heat_map(cold: dict[Cell, float], naive: dict[Cell, float]) -> bytes:
    names, sizes = list(dict.fromkeys(name for name, _ in cold)), sorted({size for _, size in cold})
    ratios = [[cold[name, size] / naive[name, size] for size in sizes] for name in names]

    def draw(axes: Any) -> None:
        logs = [[math.log2(ratio) for ratio in row] for row in ratios]
        axes.imshow(logs, cmap="RdYlGn_r", vmin=-4, vmax=4, aspect="auto")
        for row, name in enumerate(names):
            for column, size in enumerate(sizes):
                label = f"{ratios[row][column]:.2f}\n{cold[name, size]:.1f} s"
                axes.text(column, row, label, ha="center", va="center", fontsize=6)
        axes.set_xticks(range(len(sizes)), [str(size) for size in sizes])
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set(xlabel="trims in the burst", title="Mean delay ÷ that of the best fixed poll or backoff in hindsight")

    return svg(draw)


def _more(
    means: dict[str, tuple[float, float]],
    starts: dict[int, tuple[float, float]],
    others: list[list[str]],
    limit: float,
) -> str:
    loads = [[name, f"{own:.1f}", f"{other:.1f}"] for name, (own, other) in means.items()]
    begun = [[f"{size} tasks of 12 s", f"{own:.1f}", f"{naive:.1f}"] for size, (own, naive) in starts.items()]
    return f"""
Loads of two DAG tasks, the mean delay of the short trims; and durations that triple at once, after 50 trims:

{table(("", "ours", "alone, or all the time"), loads)}

The steady load uses the whole quota before the burst begins, so calls come back at one a second. If each of them found
a finished trim, the burst of 60 would have a mean delay of {limit:.1f} s: no policy is below that without calls kept
idle in case of a burst.

A burst as Airflow begins it, cold: within 20 s, each task with a submission, which costs a call, and a first poll in
its worker; a quota of 300 calls:

{table(("", "ours", "best naive"), begun)}

Other quotas and intervals, cold, durations lognormal(30 s, 0.6); the naive ones are the same as above:

{table(("", "ours", "best naive"), others)}
""".strip()


def _text(
    naive: dict[Cell, float],
    turns: dict[Cell, float],
    cold: dict[Cell, float],
    warm: dict[Cell, float],
    more: str,
    most: int,
) -> str:
    sizes = sorted({size for _, size in cold})

    def cell(name: str, size: int) -> str:
        mark = " ✗" if _missed(cold[name, size], naive[name, size], COLD_RATIO, COLD_SECONDS) else ""
        values = (cold, warm, naive, turns)
        return " / ".join(f"{delays[name, size]:.1f}" for delays in values) + mark

    rows = [[name, *(cell(name, size) for size in sizes)] for name in dict.fromkeys(name for name, _ in cold)]
    return f"""
Mean seconds from a trim's end to the poll that finds it: **cold / warm / best naive / round robin**. All trims of a
burst begin at once; 300 calls in 5 minutes, an exact moving window, an interval of 5 s, up to {most} seeds. *Cold*: in
a process that has seen no trim. *Warm*: after a burst of {WARMED_BY} such trims. *Best naive*: the best, for that cell
and in hindsight, of a fixed poll each {", ".join(map(str, PAUSES))} s and a backoff of 5 s × 1.5 or × 2. ✗: a cell
that misses its bar, cold. *Round robin*: least recently polled first, at an even pace.

{table(("", *map(str, sizes)), rows)}

![Bursts: ours compared with the best fixed poll or backoff in hindsight](bursts.svg)

{more}

The real burst: {REAL_SIZE} triggers in the event loop of a process that has seen no trim, durations
lognormal({REAL_SECONDS:.0f} s, 0.6), at true scale, and an emulator that keeps the quota.
"""


if __name__ == "__main__":
    print(benchmark(quick=True).markdown())
