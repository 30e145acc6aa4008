# SPDX-License-Identifier: Apache-2.0
"""Tries of one task instance in processes of their own, to be killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from typing import Any

from airflow_provider_trim.emulator import TrimEmulator
from tests.support.emulators import connection_to
from tests.support.waits import TaskDeferred, TaskInstance, run_trigger, video

STEP_TIMEOUT = 120.0
"""Seconds for whatever takes no time on a machine that is not busy."""

_processes = multiprocessing.get_context("forkserver")
# Loaded once, by the process from which each try is forked.
_processes.set_forkserver_preload(
    [
        "airflow_provider_trim.hooks.trim",
        "airflow_provider_trim.operators.trim",
        "airflow_provider_trim.polling.poller",
        "airflow_provider_trim.sensors.trim",
        "airflow_provider_trim.triggers.payload",
        "airflow_provider_trim.triggers.trim",
        "airflow_provider_trim.triggers.results",
    ]
)


class _StoppingInstance(TaskInstance):
    """Stops whenever something is pushed, if it is to."""

    def __init__(self, pipe: Connection, stop_at: str | None, try_number: int) -> None:
        super().__init__(try_number=try_number)
        self.pipe = pipe
        self.stop_at = stop_at

    def stop(self, point: str) -> None:
        if point == self.stop_at:
            self.pipe.send(point)
            self.pipe.recv()

    def xcom_push(self, key: str, value: Any) -> None:
        self.stop("push")
        super().xcom_push(key, value)


def _run(
    connection: str, pipe: Connection, number: int, mode: str, stop_at: str | None, arguments: dict[str, Any]
) -> None:
    os.environ.update({"AIRFLOW_CONN_TRIM_DEFAULT": connection, "NO_PROXY": "*"})
    ti = _StoppingInstance(pipe, stop_at, number)
    wait = video(mode, ti, **arguments)
    try:
        result = wait.task().execute(wait.context)
    except TaskDeferred as deferred:
        ti.stop("deferral")
        result = wait.resume(run_trigger(deferred.trigger), **(deferred.kwargs or {}))
    pipe.send({"result": result, "pushed": ti.pushed})


class Try:
    """A try that runs now: the worker's part and, once it is deferred, the triggerer's.

    :param number: which try of the task instance it is
    :param stop_at: ``push``: before anything is pushed; ``deferral``: when it has asked to be deferred, and Airflow
        does not know yet
    """

    def __init__(
        self, emulator: TrimEmulator, number: int, mode: str, stop_at: str | None = None, **arguments: Any
    ) -> None:
        connection = json.dumps(connection_to(emulator, quota="off"))
        self._pipe, theirs = _processes.Pipe()
        self._process = _processes.Process(
            target=_run, args=(connection, theirs, number, mode, stop_at, arguments), daemon=True
        )
        self._process.start()
        theirs.close()

    def wait_until_stopped(self) -> None:
        assert isinstance(self._receive(), str)

    def kill(self) -> None:
        """Kill it; it must not have come to its end."""
        os.kill(self._process.pid or 0, signal.SIGKILL)
        self._process.join(STEP_TIMEOUT)
        assert self._process.exitcode == -signal.SIGKILL
        self._pipe.close()

    def result(self) -> tuple[Any, dict[str, Any]]:
        """Wait for its end, and return what it returned and what it pushed."""
        end = self._receive()
        self._process.join(STEP_TIMEOUT)
        assert self._process.exitcode == 0
        self._pipe.close()
        return end["result"], end["pushed"]

    def _receive(self) -> Any:
        assert self._pipe.poll(STEP_TIMEOUT), "the process neither stopped nor ended"
        return self._pipe.recv()
