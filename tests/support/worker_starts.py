# SPDX-License-Identifier: Apache-2.0
"""An Airflow plugin that notes the starts of workers, the run of each in a line, in the file that ``STARTS`` names."""

from __future__ import annotations

from pathlib import Path

PLUGIN = """
    import os
    from airflow.listeners import hookimpl
    from airflow.plugins_manager import AirflowPlugin

    class Listener:
        @hookimpl
        def on_task_instance_running(self, previous_state, task_instance):
            with open(os.environ["STARTS"], "ab") as starts:
                starts.write(f"{task_instance.run_id}\\n".encode())

    class CountStarts(AirflowPlugin):
        name = "count_starts"
        listeners = [Listener()]
"""
"""Airflow tells a listener in the worker of every start, of a deferred task's resumption too (Airflow 3.3.2)."""


def runs_started(path: Path) -> list[str]:
    """Return the id of a run for each start of a worker, from the file of the plugin."""
    return path.read_text(encoding="utf-8").splitlines()
