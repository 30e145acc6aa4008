# SPDX-License-Identifier: Apache-2.0
"""The main job, for people to watch: a DAG waits for a trim and hands on its videoInfo. ``make demo`` runs it.

The service is the emulator. Airflow runs in a process of its own, whose log goes to a file in ``.demo``.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".demo"
LOG = HOME / "airflow.log"
RESULT = HOME / "result.json"
TRANS_NO = "036b6f4a01611000a79c3a7800000000"
TRIM_SECONDS = 12.0


def main() -> int:
    """Run the demo and return its exit code."""
    from airflow_provider_trim.emulator import Call, TrimEmulator

    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    started = time.monotonic()

    def show(call: Call) -> None:
        answer = {1: "processing", 2: "successful"}.get(call.trim_status or 0, f"code {call.code}")
        print(
            f"  {time.monotonic() - started:4.0f} s  {call.method} {call.path.rpartition('/')[2]}: {answer}", flush=True
        )

    def tick() -> None:
        doing = "the task waits, deferred: no worker is held" if emulator.call_count else "Airflow is starting"
        print(f"  {time.monotonic() - started:4.0f} s  {doing}", flush=True)

    with TrimEmulator(on_call=show) as emulator:
        print(f"Emulator of the Cloud VoD service: {emulator.url}")
        print(f"Airflow runs example_dags/example_trim_wait.py; its log: {LOG.relative_to(ROOT)}", flush=True)
        emulator.add_trim(TRANS_NO, seconds=TRIM_SECONDS)
        connection = {"conn_type": "trim", "host": emulator.url, "login": emulator.user, "password": emulator.token}
        code = run_airflow(json.dumps(connection), tick)
        expected = emulator.video_info(TRANS_NO)
    return report(code, expected)


def run_airflow(connection: str, tick: Callable[[], None]) -> int:
    """Run the DAG in a process of its own, and call ``tick`` now and then while it runs."""
    environment = os.environ | {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
        "AIRFLOW_CONN_TRIM_DEFAULT": connection,
    }
    with LOG.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, "run-dag"], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            while True:
                try:
                    return process.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    tick()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def run_dag() -> int:
    """Run the example to its end, deferral included, and write down what its tasks have pushed."""
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.dagbundle import DagBundleModel
    from airflow.utils.db import initdb
    from airflow.utils.session import create_session

    initdb()
    with create_session() as session:
        session.merge(DagBundleModel(name="demo"))
    dag = runpy.run_path(str(ROOT / "example_dags" / "example_trim_wait.py"))["dag"]
    bag = DagBag(dag_folder="/dev/null")
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "demo", None)
    run = dag.test(run_conf={"trans_no": TRANS_NO})
    pushed = {ti.task_id: ti.xcom_pull(task_ids=ti.task_id) for ti in run.get_task_instances()}
    RESULT.write_text(json.dumps({"state": run.state, "pushed": pushed}, ensure_ascii=False), encoding="utf-8")
    return 0 if run.state == "success" else 1


def report(code: int, expected: dict[str, Any]) -> int:
    """Print what the consumer got, and return 0 if all of it is right."""
    if code or not RESULT.exists():
        print(f"FAILED: Airflow ended with exit code {code}; see {LOG.relative_to(ROOT)}")
        return 1
    pushed = json.loads(RESULT.read_text(encoding="utf-8"))["pushed"]
    best = max(expected["videoResolutions"], key=lambda rendition: rendition["width"] * rendition["height"])
    deferred = "DEFERRED" in LOG.read_text(encoding="utf-8", errors="replace").upper()
    if not deferred or pushed["wait"] != expected or pushed["video_info"] != expected:
        print(f"FAILED: what the tasks pushed is not what the service sent; see {RESULT.relative_to(ROOT)}")
        return 1
    if pushed["pick_best_rendition"] != best:
        print(f"FAILED: the consumer picked {pushed['pick_best_rendition']}, not {best}")
        return 1
    print("\nThe trim is done. videoInfo, as the task after it got it:\n")
    show_table(pushed["video_info"], best)
    return 0


def show_table(info: dict[str, Any], best: dict[str, Any]) -> None:
    """Print videoInfo for people."""
    minutes, seconds = divmod(int(info["videoDuration"]), 60)
    print(f"  video      {info['videoName']}  ({info['videoId']})")
    print(f"  duration   {minutes}:{seconds:02d}")
    print(f"  total size {int(info['videoSize']) / 1e6:.1f} MB")
    print(f"  player     {info['playerName']}\n")
    print("  rendition       size")
    for rendition in info["videoResolutions"]:
        mark = "  ← the consumer's pick" if rendition == best else ""
        resolution = f"{rendition['width']}x{rendition['height']}"
        print(f"  {resolution:<11} {rendition['fileSize'] / 1e6:5.1f} MB{mark}")


if __name__ == "__main__":
    sys.exit(run_dag() if sys.argv[1:] == ["run-dag"] else main())
