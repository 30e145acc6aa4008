# SPDX-License-Identifier: Apache-2.0
"""The main job, for people to watch: a DAG waits for a trim and hands on its videoInfo. ``make demo`` runs it.

The service is the emulator. Airflow runs in this process; its log goes to a file in ``.demo``. The trim begins with its
first poll, so that it is waited for however long Airflow takes to start.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import sys
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from airflow_provider_trim.emulator import Call, TrimEmulator

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".demo"
LOG = HOME / "airflow.log"
TRANS_NO = "036b6f4a01611000a79c3a7800000000"
TRIM_SECONDS = 8.0

WHAT_NEXT = """
Next:
  make ui         the same in Airflow's web UI, to click through, with more examples
  docs/start.md   the same by hand, with a DAG of your own
  example_dags/   DAGs to copy from: many trims at once, clips cut out of a video"""


class Progress:
    """Prints what happens: polls, and the states of Airflow's tasks.

    :param screen: where to
    """

    def __init__(self, screen: TextIO) -> None:
        self.states: set[tuple[str, str]] = set()
        self._screen = screen
        self._started = time.monotonic()
        self._polls = 0

    def poll(self, call: Call) -> None:
        """Print a call of the service, all of which are polls here."""
        self._polls += 1
        response = {1: "processing", 2: "successful"}.get(call.trim_status or 0, f"code {call.code}")
        note = f"; it takes {TRIM_SECONDS:.0f} s from now" if self._polls == 1 else ""
        self.event(f"poll {self._polls}: the trim is {response}{note}")

    def state(self, task: str, state: str) -> None:
        """Print the state of a task once, unless it is one on the way."""
        state = getattr(state, "value", state)  # Airflow has two enumerations of them, and sets strings too
        if (task, state) in self.states or state not in ("deferred", "success", "failed"):
            return
        self.states.add((task, state))
        note = ": no worker is held, the triggerer polls on" if state == "deferred" else ""
        self.event(f"task {task} is {state}{note}")

    def event(self, text: str) -> None:
        """Print a line with the time since the start."""
        self.say(f"  {time.monotonic() - self._started:4.0f} s  {text}")

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=self._screen, flush=True)


def main() -> int:
    """Run the demo and return its exit code."""
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    with log_to_file() as screen:
        progress = Progress(screen)
        with TrimEmulator(on_call=progress.poll) as emulator:
            emulator.add_trim(TRANS_NO, seconds=TRIM_SECONDS, start_on_first_poll=True)
            progress.say(f"Emulator of the Cloud VoD service: {emulator.url}")
            progress.say(f"Airflow runs example_dags/example_trim_wait.py; its log: {LOG.relative_to(ROOT)}\n")
            progress.event("Airflow starts (some ten seconds) …")
            try:
                pushed = run_dag(emulator, progress)
            except Exception:  # whatever Airflow raises: the message says where to find it
                traceback.print_exc()  # into the log
                progress.say(f"FAILED: Airflow could not run the DAG; see {LOG.relative_to(ROOT)}")
                return 1
            info = emulator.video_info(TRANS_NO)
        expected = {"wait": info, "video_info": info, "pick_best_rendition": best_of(info)}
        if pushed != expected or ("wait", "deferred") not in progress.states:
            progress.say(f"FAILED: the tasks pushed {json.dumps(pushed)}; see {LOG.relative_to(ROOT)}")
            return 1
        progress.say("\nThe trim is done. videoInfo, as the task after it got it:\n")
        progress.say(table(info))
        progress.say(WHAT_NEXT)
    return 0


def log_to_file() -> TextIO:
    """Send to the log what this process writes to the standard streams, and return the screen that it wrote to."""
    screen = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    with LOG.open("wb") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    return screen


def run_dag(emulator: TrimEmulator, progress: Progress) -> dict[str, Any]:
    """Run the example to its end, deferral included, and return what its tasks have pushed."""
    connection = {"conn_type": "trim", "host": emulator.url, "login": emulator.user, "password": emulator.token}
    # Airflow reads its environment when it is first imported.
    os.environ |= {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
        "AIRFLOW_CONN_TRIM_DEFAULT": json.dumps(connection),
    }
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.db import initdb
    from sqlalchemy import event

    initdb()
    event.listen(TaskInstance.state, "set", lambda ti, state, *_: progress.state(ti.task_id, state))
    dag = runpy.run_path(str(ROOT / "example_dags" / "example_trim_wait.py"))["dag"]
    run = dag.test(run_conf={"trans_no": TRANS_NO})
    return {ti.task_id: ti.xcom_pull(task_ids=ti.task_id) for ti in run.get_task_instances()}


def best_of(info: dict[str, Any]) -> dict[str, Any]:
    """Return the rendition with the most pixels."""
    return max(info["videoResolutions"], key=lambda rendition: rendition["width"] * rendition["height"])


def table(info: dict[str, Any]) -> str:
    """Return videoInfo for people."""
    minutes, seconds = divmod(int(info["videoDuration"]), 60)
    lines = [
        f"  video      {info['videoName']}  ({info['videoId']})",
        f"  duration   {minutes}:{seconds:02d}",
        f"  total size {int(info['videoSize']) / 1e6:.1f} MB",
        f"  player     {info['playerName']}",
        "",
        "  rendition       size",
    ]
    for rendition in info["videoResolutions"]:
        mark = "  ← the consumer's pick" if rendition == best_of(info) else ""
        resolution = f"{rendition['width']}x{rendition['height']}"
        lines.append(f"  {resolution:<11} {rendition['fileSize'] / 1e6:5.1f} MB{mark}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
