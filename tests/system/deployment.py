# SPDX-License-Identifier: Apache-2.0
"""Airflow as it is run in production, on this machine: PostgreSQL, Redis, Celery, several of what can be several."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from tests.support.hanging_secrets import HangingSecrets
from tests.support.live_airflow import LiveAirflow
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.postgres_server import PostgresServer
from tests.support.redis_server import RedisServer
from tests.support.statsd_server import StatsdServer

DAGS = Path(__file__).parent / "dags"
TRIGGERERS = ("triggerer-1", "triggerer-2")
WORKERS = ("worker-1", "worker-2")
TASKS_PER_WORKER = 2
CAPACITY = 2500
"""Triggers that one triggerer takes; Airflow's default is 1,000."""


def worker(home: Path, name: str) -> list[str]:
    names = ["--celery-hostname", f"{name}@%h", "--pid", str(home / f"{name}.pid")]
    return ["celery", "worker", *names, "--concurrency", str(TASKS_PER_WORKER), "--skip-serve-logs"]


def processes(home: Path) -> dict[str, list[str]]:
    return {
        "api-server": ["api-server", "--workers", "1"],
        "scheduler": ["scheduler"],
        "dag-processor": ["dag-processor"],
        **{name: ["triggerer"] for name in TRIGGERERS},
        **{name: worker(home, name) for name in WORKERS},
    }


# Airflow takes minutes to notice that a machine is lost. Those times are lowered here, each to what a machine with two
# busy cores can still keep, so that a test of what happens then takes seconds. In comments: Airflow's default.
NOTICING_THE_DEAD = {
    "TRIGGERER__JOB_HEARTBEAT_SEC": "1",  # 5
    "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",  # 30
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",  # 5
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "20",  # 30
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",  # 300
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",  # 300
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",  # 10
    # A task that a killed worker had taken out of the queue and not begun.
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "120",  # 600
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",  # 120
    "SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "10",  # 2
}


# What needs more time than Airflow gives, on a busy machine and with one api-server.
TIMEOUTS = {
    "WORKERS__EXECUTION_API_TIMEOUT": "60",  # 5
    # A task that starts while the only api-server is down fails where the calls run out: 5 of them last ten seconds.
    "WORKERS__EXECUTION_API_RETRIES": "12",  # 5
    "WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "10",  # 90
}


class Deployment(LiveAirflow):
    """All of it. Use it as a context manager.

    :param home: folder for logs; what is in it is deleted first
    :param opentelemetry: send metrics by it; by default StatsD
    :param trims_per_run: for which a run of one of the DAGs waits
    """

    def __init__(self, home: Path, *, opentelemetry: bool = False, trims_per_run: int = 10) -> None:
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        self.trims_per_run = trims_per_run
        self._servers = contextlib.ExitStack()
        self.postgres = PostgresServer()
        self.broker = RedisServer()
        self.metrics = OtlpReceiver() if opentelemetry else StatsdServer()
        self.quota = RedisServer()
        """Where calls are counted: another Redis than Celery's, so that it can be lost alone."""
        settings = (
            NOTICING_THE_DEAD
            | TIMEOUTS
            | self.metrics.settings()
            | {
                "CORE__EXECUTOR": "CeleryExecutor",
                # So few that none is in Celery's queue for long enough to be taken for lost.
                "CORE__PARALLELISM": "12",
                "CORE__MAX_ACTIVE_TASKS_PER_DAG": "10000",
                "CORE__MAX_ACTIVE_RUNS_PER_DAG": "1000",
                "DATABASE__SQL_ALCHEMY_CONN": self.postgres.url,
                "CELERY__BROKER_URL": self.broker.url,
                "CELERY__RESULT_BACKEND": f"db+{self.postgres.url}",
                "TRIGGERER__CAPACITY": str(CAPACITY),
                "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
                "SECRETS__BACKEND": f"{HangingSecrets.__module__}.{HangingSecrets.__qualname__}",
            }
        )
        super().__init__(home, DAGS, connections={}, settings=settings, processes=processes(home))
        self.secrets_hang = home / "secrets-hang"
        """The secrets backend hangs while this file exists."""
        self.environment |= {
            "HANGING_SECRETS": str(self.secrets_hang),
            "PYTHONPATH": str(DAGS.parents[2]),
            "TRIMS_PER_RUN": str(trims_per_run),
        }
        if isinstance(self.metrics, OtlpReceiver):
            self.environment |= self.metrics.environment()

    def start(self) -> None:
        for server in (self.postgres, self.broker, self.quota, self.metrics):
            self._servers.enter_context(server)
        super().start()

    def stop(self) -> None:
        super().stop()
        self._servers.close()

    def connect(self, conn_id: str, host: str, login: str, password: str, **extra: Any) -> None:
        """Store a connection in Airflow's database, or change it."""
        connection = {
            "connection_id": conn_id,
            "conn_type": "trim",
            "host": host,
            "login": login,
            "password": password,
            "extra": json.dumps(extra),
        }
        known = any(one["connection_id"] == conn_id for one in self.api("GET", "/connections")["connections"])
        if known:
            self.api("PATCH", f"/connections/{conn_id}", json=connection)
        else:
            self.api("POST", "/connections", json=connection)

    def memory(self, name: str) -> float:
        """Return what a process and its children hold, in MiB; pages that they share count once."""
        return sum(one.memory_full_info().pss for one in self.family(self.processes[name].pid)) / 2**20

    def count(self, dag_id: str, *states: str) -> int:
        """Count the task instances of a DAG that are in one of these states, or all."""
        query = "&".join(["limit=1", *(f"state={state}" for state in states)])
        return int(self.api("GET", f"/dags/{dag_id}/dagRuns/~/taskInstances?{query}")["total_entries"])
