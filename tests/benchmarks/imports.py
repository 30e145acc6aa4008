# SPDX-License-Identifier: Apache-2.0
"""What importing the sensor costs on top of ``airflow.sdk``: a DAG file is parsed over and over."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

from environment import environment
from report import Bar, Report, table

OURS, PEER = "airflow_provider_trim.sensors.trim", "airflow.providers.http.sensors.http"
BASES = {
    "`airflow.sdk`": "import airflow.sdk",
    "what a DAG file has loaded anyway": "from airflow.sdk import DAG, BaseSensorOperator",
}
"""``airflow.sdk`` loads its parts when they are first used, so the first base leaves common parts to the sensors."""
ROUNDS, QUICK_ROUNDS = 7, 3
TIMEOUT = 60.0

CODE = """
import json, sys, time
{base}
before = len(sys.modules)
wall, cpu = time.perf_counter(), time.process_time()
import {module}
print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu, len(sys.modules) - before]))
"""


def measure(base: str, module: str, variables: dict[str, str]) -> list[float]:
    """Return wall time, CPU time and modules loaded, in a fresh interpreter."""
    code = CODE.format(base=base, module=module)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    if done.returncode:
        raise RuntimeError(f"importing {module} failed:\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def benchmark(quick: bool = False) -> Report:
    """Measure both modules in turns; a first round, which compiles, does not count."""
    found: dict[tuple[str, str], list[list[float]]] = {(base, module): [] for base in BASES for module in (OURS, PEER)}
    with environment() as variables:
        for _ in range(1 + (QUICK_ROUNDS if quick else ROUNDS)):
            for base, module in found:
                found[base, module].append(measure(BASES[base], module, variables))
    bars, rows = [], []
    for base in BASES:
        ours, peer = (
            [statistics.median(column) for column in zip(*found[base, module][1:], strict=True)]
            for module in (OURS, PEER)
        )
        for module, (wall, cpu, modules) in ((f"**{OURS}**", ours), (PEER, peer)):
            rows.append([module, base, f"{1000 * wall:.1f}", f"{1000 * cpu:.1f}", f"{modules:.0f}"])
        bars.append(Bar(f"import time ÷ HttpSensor's, on top of {base}", ours[0] / peer[0], 0.2))
        print(f"  {bars[-1].figure}: {bars[-1].value:.3f}", flush=True)
    rounds = len(found[next(iter(found))]) - 1
    text = f"Fresh interpreters, in turns, compiled before; the median of {rounds}.\n\n"
    header = ("", "on top of", "wall, ms", "CPU, ms", "modules")
    return Report("Import", text + table(header, rows), bars)


if __name__ == "__main__":
    print(benchmark(quick=True).markdown())
