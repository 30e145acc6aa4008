# SPDX-License-Identifier: Apache-2.0
"""One live Airflow 3 for all tests of this folder, at DEBUG level, with the examples and the DAGs of ``dags/``."""

from __future__ import annotations

import itertools
import math
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_trim.emulator import TrimEmulator
from tests.live.waits import RUNNING, Waits
from tests.support.emulators import connection_to
from tests.support.live_airflow import LiveAirflow
from tests.support.statsd_server import StatsdServer
from tests.support.worker_starts import PLUGIN

ROOT = Path(__file__).parents[2]
SECRET = "Zq7/t0ken+w1th=signs&0f?4ll"


@pytest.fixture(scope="session")
def secret() -> str:
    """The connection's password: in each of its encodings it has characters that the others don't."""
    return SECRET


@pytest.fixture(scope="session")
def service() -> Iterator[TrimEmulator]:
    with TrimEmulator(token=SECRET, duration=3.0) as service:
        yield service


@pytest.fixture(scope="session")
def worker_starts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to which every start of a worker adds a line: its run's id."""
    starts = tmp_path_factory.mktemp("starts") / "starts"
    starts.touch()
    return starts


@pytest.fixture(scope="session")
def statsd() -> Iterator[StatsdServer]:
    """Receives Airflow's metrics."""
    with StatsdServer() as server:
        yield server


@pytest.fixture(scope="session")
def airflow(
    service: TrimEmulator, worker_starts: Path, statsd: StatsdServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveAirflow]:
    folder = tmp_path_factory.mktemp("live")
    for dags in (ROOT / "example_dags", Path(__file__).parent / "dags"):
        shutil.copytree(dags, folder / "dags" / dags.name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "plugins").mkdir()
    (folder / "plugins" / "plugin.py").write_text(textwrap.dedent(PLUGIN))
    airflow = LiveAirflow(
        folder / "home",
        folder / "dags",
        connections={"trim_default": connection_to(service)},
        settings={
            "CORE__PARALLELISM": "8",  # a process each, when many tasks begin
            "CORE__PLUGINS_FOLDER": str(folder / "plugins"),
            "DAG_PROCESSOR__REFRESH_INTERVAL": "300",
            "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
            "LOGGING__LOGGING_LEVEL": "DEBUG",
            "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
            **statsd.settings(STATSD_INFLUXDB_ENABLED="True"),
        },
    )
    airflow.environment |= {"STARTS": str(worker_starts)}
    with airflow:
        for dag_id in ("daily", "example_trim_wait", "example_trim_highlights"):
            airflow.wait_for_dag(dag_id)
        yield airflow


@pytest.fixture(scope="session")
def waits(airflow: LiveAirflow, service: TrimEmulator, worker_starts: Path) -> Waits:
    waits = Waits(airflow, service, worker_starts)
    for trans_no in itertools.chain.from_iterable(RUNNING.values()):
        service.add_trim(trans_no, start_on_first_poll=True)
    service.add_trim("fails", outcome="fail")
    service.add_trim("endless", seconds=math.inf)
    for dag_id in RUNNING:
        waits.begin(dag_id)
    return waits
