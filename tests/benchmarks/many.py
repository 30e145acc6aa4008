# SPDX-License-Identifier: Apache-2.0
"""1,000 trims waited for by one task with a list, and by mapped tasks, in a live Airflow."""

from __future__ import annotations

import tempfile
import textwrap
import time
from pathlib import Path

import environment  # noqa: F401 - makes tests.support importable
from report import Bar, Report, table

from airflow_provider_trim.emulator import TrimEmulator
from tests.support.emulators import connection_to
from tests.support.live_airflow import LiveAirflow
from tests.support.worker_starts import PLUGIN, runs_started

NUMBER, QUICK_NUMBER = 1000, 20
TRIM_SECONDS = 30.0
LIMIT = 3600.0

DAGS = """
    import os
    from airflow.sdk import DAG
    from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor

    NUMBER = int(os.environ["NUMBER"])

    with DAG("one_task"):
        TrimTaskStatusSensor(task_id="wait", trans_no=[f"one{n}" for n in range(NUMBER)], deferrable=True)

    with DAG("mapped"):
        TrimTaskStatusSensor.partial(task_id="wait", deferrable=True).expand(
            trans_no=[f"mapped{n}" for n in range(NUMBER)]
        )
"""


def measure(number: int) -> dict[str, dict[str, float]]:
    """Run both DAGs, one after the other, and return the figures of each."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="trim-benchmark-") as folder, TrimEmulator() as emulator:
        home, dags, plugins, starts = (Path(folder) / name for name in ("home", "dags", "plugins", "starts"))
        for path, text in ((dags, DAGS), (plugins, PLUGIN)):
            path.mkdir()
            (path / f"{path.name}.py").write_text(textwrap.dedent(text))
        connection = connection_to(emulator, quota="off")
        airflow = LiveAirflow(
            home,
            dags,
            connections={"trim_default": connection},
            settings={"CORE__PLUGINS_FOLDER": str(plugins), "TRIGGERER__CAPACITY": str(number)},
        )
        airflow.environment |= {"NUMBER": str(number), "STARTS": str(starts)}
        with airflow:
            for dag, prefix in (("one_task", "one"), ("mapped", "mapped")):
                airflow.wait_for_dag(dag)
                for index in range(number):
                    emulator.add_trim(f"{prefix}{index}", seconds=TRIM_SECONDS)
                starts.write_bytes(b"")
                calls, begin = emulator.call_count, time.monotonic()
                state = airflow.wait_for_end(dag, airflow.trigger(dag), LIMIT)
                if state != "success":
                    raise RuntimeError(f"{dag} ended as {state}")
                found[dag] = {
                    "seconds": time.monotonic() - begin,
                    "starts": float(len(runs_started(starts))),
                    "calls": float(emulator.call_count - calls),
                }
    return found


def benchmark(quick: bool = False) -> Report:
    """Measure both ways to wait for many trims."""
    number = QUICK_NUMBER if quick else NUMBER
    found = measure(number)
    names = {"one_task": f"one task, a list of {number:,}", "mapped": f"{number:,} mapped tasks"}
    rows = [
        [names[dag], f"{figures['seconds']:.0f}", f"{figures['starts']:,.0f}", f"{figures['calls']:,.0f}"]
        for dag, figures in found.items()
    ]
    text = f"""
A live Airflow (SQLite, LocalExecutor, one triggerer whose capacity is {number:,}; otherwise as it comes) runs a DAG of
one deferrable `TrimTaskStatusSensor`, first with a list of {number:,} transNos, then mapped over as many. Each trim
takes {TRIM_SECONDS:.0f} s; the quota is off, the interval is the default one of 10 s. Wall time is from the request for
a run to its end, worker starts are counted by a listener in the workers, calls by the emulator.

{table(("", "wall time, s", "worker starts", "calls"), rows)}
"""
    starts = found["one_task"]["starts"]
    return Report("Many trims", text, [Bar(f"worker starts, one task that waits for {number:,} trims", starts, 2, 0)])


if __name__ == "__main__":
    print(benchmark(quick=True).markdown())
