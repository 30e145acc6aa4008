# SPDX-License-Identifier: Apache-2.0
"""A live Airflow 3 on loopback: its own processes, each started here and ended by its id, and its REST interface."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import requests

HOST = "127.0.0.1"
START_LIMIT = 600.0
"""Seconds until all processes say that they are healthy."""
API_LIMIT = 180.0
"""Seconds for one call of the REST interface; a busy machine needs many of them."""
GRACE = 5.0
"""Seconds from SIGTERM to SIGKILL."""
END_LIMIT = 60.0
"""Seconds from SIGKILL to the end."""

PROCESSES = {
    "api-server": ["api-server", "--workers", "1"],
    "scheduler": ["scheduler"],
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer"],
}

_ALTERING = ("PYTHON", "AIRFLOW", "COVERAGE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT")


def free_port() -> int:
    """Return a port of loopback that is unused, and that the system assigns to no other process until it is used.

    Those that it assigns itself begin at 32768 (Linux).
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with contextlib.suppress(OSError), socket.create_server((HOST, port)):
            return port


def clean_environment() -> dict[str, str]:
    """Return the caller's environment without what would alter an Airflow started from it."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_ALTERING) and not name.lower().endswith("_proxy")
    }


class LiveAirflow:
    """Airflow as users run it. Use it as a context manager, or call :meth:`start` and :meth:`stop`.

    :param home: empty folder for its configuration, database and logs
    :param dags: folder of DAG files
    :param connections: by their id, as Airflow's JSON has them
    :param settings: more of Airflow's configuration, as ``SECTION__KEY``
    :param processes: name and ``airflow`` arguments of each process, instead of :data:`PROCESSES`
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        *,
        connections: dict[str, dict[str, Any]],
        settings: dict[str, str] | None = None,
        processes: dict[str, list[str]] | None = None,
    ) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.commands = processes or PROCESSES
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        options = {
            "CORE__LOAD_EXAMPLES": "False",
            "CORE__DAGS_FOLDER": str(dags),
            "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "CORE__FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
            "CORE__TEST_CONNECTION": "Enabled",
            "API__HOST": HOST,
            "API__PORT": str(self.port),
            "API__BASE_URL": self.url,
            "API_AUTH__JWT_SECRET": base64.b64encode(os.urandom(32)).decode(),
            "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            "WORKERS__EXECUTION_API_TIMEOUT": "60",  # the default of 5 s fails tasks on a busy machine
            # Ports at which processes serve their logs; several of one kind must not share one.
            "LOGGING__TRIGGER_LOG_SERVER_PORT": "0",
            **(settings or {}),
        }
        self.environment = clean_environment() | {
            "AIRFLOW_HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            **{f"AIRFLOW__{name}": value for name, value in options.items()},
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()},
        }
        self._session = requests.Session()
        self._session.trust_env = False

    def start(self) -> None:
        """Make the database, start every process, and return when all are healthy."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.run("db", "migrate")
        for name in self.commands:
            self.start_process(name)
        self.wait_for(self.healthy, START_LIMIT, "all processes are healthy")

    def run(self, *arguments: str) -> None:
        """Run an ``airflow`` command to its end."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(arguments)} failed:\n{done.stdout.decode(errors='replace')[-4000:]}")

    def start_process(self, name: str) -> None:
        """Start one of the processes, in a group of its own."""
        with self.log_of(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "airflow", *self.commands[name]],
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log_of(self, name: str) -> Path:
        """Return the file that a process writes to."""
        return self.home / f"{name}.log"

    def kill(self, name: str) -> None:
        """End a process and all that descend from it at once, as a lost machine does."""
        process = self.processes.pop(name)
        # A running task has a process group of its own.
        for one in self.family(process.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(END_LIMIT)

    @staticmethod
    def family(pid: int) -> list[psutil.Process]:
        """Return a process and all that descend from it."""
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(pid)
            return [parent, *parent.children(recursive=True)]
        return []

    def stop(self) -> None:
        """End every process and its children: asked at first, forced in the end."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        end = time.monotonic() + GRACE
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, end - time.monotonic()))
        for name in list(self.processes):
            self.kill(name)
        self._session.close()

    def wait_for(self, condition: Any, limit: float, what: str, pause: float = 1.0) -> Any:
        """Return what a condition returns once that is true.

        :param limit: seconds
        :raises RuntimeError: it does not come true, or a process has ended
        """
        end = time.monotonic() + limit
        while True:
            if found := condition():
                return found
            for name, process in self.processes.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} has ended with {process.returncode}:\n{self._tail(name)}")
            if time.monotonic() > end:
                raise RuntimeError(f"within {limit:.0f} s it did not come true that {what}")
            time.sleep(pause)

    def _tail(self, name: str) -> str:
        return self.log_of(name).read_text(errors="replace")[-4000:]

    def healthy(self) -> bool:
        """Return whether the processes that say so say that they are healthy."""
        try:
            health = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=60).json()
        except (requests.RequestException, ValueError):
            return False
        kinds = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
        wanted = {kind for name, kind in kinds.items() if any(command.startswith(name) for command in self.commands)}
        return all((health.get(kind) or {}).get("status") == "healthy" for kind in wanted)

    def api(self, method: str, path: str, **arguments: Any) -> Any:
        """Call the REST interface and return its JSON.

        :param path: below ``/api/v2``
        """
        if "Authorization" not in self._session.headers:
            self._session.headers["Authorization"] = f"Bearer {self.token()}"
        for _ in range(10):
            response = self._session.request(method, f"{self.url}/api/v2{path}", timeout=API_LIMIT, **arguments)
            # SQLite takes one writer at a time: on a busy machine Airflow's own statement may fail, and is rolled back.
            if response.status_code != 500 or "Database error" not in response.text:
                break
            time.sleep(1.0)
        if not response.ok:
            raise RuntimeError(f"{method} {path}: {response.status_code} {response.text[:1000]}")
        return response.json() if response.content else None

    def token(self) -> str:
        """Log in and return the token."""
        return str(self._session.get(f"{self.url}/auth/token", timeout=API_LIMIT).json()["access_token"])

    def wait_for_dag(self, dag_id: str) -> None:
        """Wait until a DAG file has been read; a file that can't be read is an error."""

        def known() -> bool:
            errors = self.api("GET", "/importErrors")["import_errors"]
            if errors:
                raise RuntimeError(errors[0]["stack_trace"])
            return any(dag["dag_id"] == dag_id for dag in self.api("GET", "/dags?limit=100")["dags"])

        self.wait_for(known, START_LIMIT, f"DAG {dag_id} is known")

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run and return its id."""
        run = self.api("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})
        return str(run["dag_run_id"])

    def state_of(self, dag_id: str, run_id: str) -> str:
        """Return a run's state."""
        return str(self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def wait_for_end(self, dag_id: str, run_id: str, limit: float) -> str:
        """Wait until a run has ended, and return how."""

        def ended() -> str | None:
            state = self.state_of(dag_id, run_id)
            return state if state in ("success", "failed") else None

        return str(self.wait_for(ended, limit, f"run {run_id} of {dag_id} has ended"))

    def task_instances(self, dag_id: str, run_id: str = "~") -> Iterator[dict[str, Any]]:
        """Return the task instances of a run, or of all runs."""
        offset = 0
        while True:
            page = self.api("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100&offset={offset}")
            yield from page["task_instances"]
            offset += 100
            if offset >= page["total_entries"]:
                return

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return what a task has pushed."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.api("GET", f"{path}?map_index={map_index}&deserialize=true")["value"]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
