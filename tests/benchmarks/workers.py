# SPDX-License-Identifier: Apache-2.0
"""Worker starts of one wait, and how soon the next task starts, compared with HttpSensor, in a live Airflow."""

from __future__ import annotations

import statistics
import tempfile
import textwrap
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import environment  # noqa: F401 - makes tests.support importable
from report import Bar, Report, table

from airflow_provider_trim.emulator import TrimEmulator
from tests.support.emulators import connection_to
from tests.support.live_airflow import LiveAirflow
from tests.support.worker_starts import PLUGIN, runs_started

RUNS, QUICK_RUNS = 5, 1
TRIM_SECONDS, INTERVAL = 12.0, 10
"""Seconds. With an interval of 5 s, Airflow 3.3 may fail a rescheduled task: it learns up to 5 s late of its end."""
STAGGER = 2.0
"""Seconds by which each trim takes longer than the one before, so that they end at all moments of an interval."""
LIMIT = 300.0

WAYS = {
    "deferrable": "deferrable",
    "from_trigger": "and start_from_trigger",
    "in_triggerer": "and finish_in_triggerer",
    "http_poke": "HttpSensor with response_check",
    "http_reschedule": "the same, mode reschedule",
}

DAGS = """
    import os
    from airflow.sdk import DAG, task
    from airflow.providers.http.sensors.http import HttpSensor
    from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor

    INTERVAL = int(os.environ["INTERVAL"])
    NAME = "{{ dag_run.conf['trans_no'] }}"

    @task
    def after():
        pass

    def ours(**arguments):
        return TrimTaskStatusSensor(
            task_id="wait", trans_no=NAME, deferrable=True, poke_interval=INTERVAL, **arguments
        )

    def http(mode):
        return HttpSensor(
            task_id="wait", http_conn_id="http_trim", mode=mode, poke_interval=INTERVAL,
            endpoint="/vod/videoManage/videoClipQuery", method="POST",
            request_params={
                "userId": os.environ["TRIM_USER"], "token": os.environ["TRIM_TOKEN"], "timeStamp": "1700000000",
                "transNo": NAME,
            },
            response_check=lambda response: str(response.json()["data"]["status"]) == "2",
        )

    for dag_id, make in {
        "deferrable": ours,
        "from_trigger": lambda: ours(start_from_trigger=True),
        "in_triggerer": lambda: ours(start_from_trigger=True, finish_in_triggerer=True),
        "http_poke": lambda: http("poke"),
        "http_reschedule": lambda: http("reschedule"),
    }.items():
        with DAG(dag_id) as dag:
            make() >> after()
        globals()[dag_id] = dag
"""


@dataclass
class Figures:
    """Of one way to wait: worker starts of the wait itself, calls, and seconds from a trim's end to the next task."""

    starts: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)


def measure(runs: int) -> dict[str, Figures]:
    """Wait for one trim at a time, in every way in turn."""
    found = {way: Figures() for way in WAYS}
    with tempfile.TemporaryDirectory(prefix="trim-benchmark-") as folder, TrimEmulator() as emulator:
        home, dags, plugins, starts = (Path(folder) / name for name in ("home", "dags", "plugins", "starts"))
        for path, text in ((dags, DAGS), (plugins, PLUGIN)):
            path.mkdir()
            (path / f"{path.name}.py").write_text(textwrap.dedent(text))
        ours = connection_to(emulator, quota="off")
        airflow = LiveAirflow(
            home,
            dags,
            connections={"trim_default": ours, "http_trim": {"conn_type": "http", "host": emulator.url}},
            settings={"CORE__PLUGINS_FOLDER": str(plugins)},
        )
        credentials = {"TRIM_USER": emulator.user, "TRIM_TOKEN": emulator.token}
        airflow.environment |= {"INTERVAL": str(INTERVAL), "STARTS": str(starts), **credentials}
        with airflow:
            for way in WAYS:
                airflow.wait_for_dag(way)
            for run in range(runs):
                for way, figures in found.items():
                    trans_no, seconds = f"{way}-{run}", TRIM_SECONDS + STAGGER * run
                    starts.write_bytes(b"")
                    calls = emulator.call_count
                    emulator.add_trim(trans_no, seconds=seconds)
                    done_at = time.time() + seconds
                    run_id = airflow.trigger(way, trans_no=trans_no)
                    if (state := airflow.wait_for_end(way, run_id, LIMIT)) != "success":
                        raise RuntimeError(f"{way} ended as {state}")
                    after = next(ti for ti in airflow.task_instances(way, run_id) if ti["task_id"] == "after")
                    started_at = datetime.fromisoformat(after["start_date"]).timestamp()
                    figures.delays.append(started_at - done_at)
                    figures.starts.append(len(runs_started(starts)) - 1)
                    figures.calls.append(emulator.call_count - calls)
    return found


def benchmark(quick: bool = False) -> Report:
    """Measure every way to wait."""
    runs = QUICK_RUNS if quick else RUNS
    found = measure(runs)
    rows = [
        [
            f"**{name}**" if not way.startswith("http") else name,
            f"{statistics.mean(found[way].starts):.1f}",
            f"{statistics.mean(found[way].calls):.1f}",
            f"{statistics.mean(found[way].delays):.1f}",
            f"{max(found[way].delays):.1f}",
        ]
        for way, name in WAYS.items()
    ]
    text = f"""
A live Airflow (SQLite, LocalExecutor, one triggerer; otherwise as it comes), one trim at a time of {TRIM_SECONDS:.0f} s
and more, an interval of {INTERVAL} s, {runs} runs of each way in turn. Worker starts are those of the wait alone; a
worker that pokes is held all the time.

{table(("", "worker starts", "calls", "trim done → next task starts, s, mean", "most"), rows)}
"""
    bars = [
        Bar(f"worker starts of a wait, {WAYS[way]}", max(found[way].starts), most, 0)
        for way, most in (("deferrable", 2), ("from_trigger", 1), ("in_triggerer", 0))
    ]
    return Report("Without workers", text, bars)


if __name__ == "__main__":
    print(benchmark(quick=True).markdown())
