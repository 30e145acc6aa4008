# SPDX-License-Identifier: Apache-2.0
"""What has to work on every line of Airflow: imports, what Airflow lists, and a deferrable wait to its end."""

from __future__ import annotations

import datetime
import importlib
import pkgutil
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pendulum
import pytest

import airflow_provider_trim
from airflow_provider_trim import compat
from airflow_provider_trim.compat import connection
from airflow_provider_trim.compat.stats import find_stats, hostname
from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from tests.support import running

EXAMPLES = Path(__file__).parents[1] / "example_dags"
MODULES = [
    module.name
    for module in pkgutil.walk_packages(airflow_provider_trim.__path__, "airflow_provider_trim.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", MODULES)
def test_import(name: str) -> None:
    importlib.import_module(name)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_a_dag(path: Path) -> None:
    assert runpy.run_path(str(path))["dag"].task_ids


@pytest.mark.parametrize("name", [name for name, places in compat.PLACES.items() if connection.__name__ not in places])
def test_airflow_itself_has_the_names_that_an_old_common_compat_lacks(name: str) -> None:
    assert compat.find(name, compat.PLACES[name][1:]) is getattr(compat, name)


async def test_a_connection_as_an_old_common_compat_leaves_it_to_us(trim_connection: str) -> None:
    found = await connection.get_async_connection(trim_connection)
    assert (found.conn_type, found.conn_id) == ("trim", trim_connection)
    assert await connection.get_async_extra_dejson(found) == found.extra_dejson


def test_airflow_has_stats() -> None:
    """Which drop what they get here, where nothing has initialized them."""
    stats = find_stats()
    stats.incr("trim.polls", 1, tags={"outcome": "done"})
    stats.gauge("trim.waits.open", 1, tags={})
    stats.timing("trim.poll.duration", datetime.timedelta(seconds=1), tags={})
    assert hostname()


def test_what_no_airflow_has() -> None:
    with pytest.raises(ImportError, match="supported release"):
        compat.find("conf", ("airflow_of_the_future", "airflow"))
    with pytest.raises(ImportError, match="cannot import name"):
        from airflow_provider_trim.compat import nothing  # noqa: F401


@pytest.fixture(scope="session")
def database() -> None:
    from airflow.utils.db import initdb

    initdb()


@pytest.mark.parametrize(("command", "shown"), [("list", "airflow-provider-trim"), ("hooks", "Cloud VoD Trim")])
def test_airflow_lists_it(database: None, command: str, shown: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "providers", command, "--output", "plain"],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    assert shown in done.stdout


def test_a_deferrable_wait(trim_default: TrimEmulator, database: None) -> None:
    trim_default.add_trim("T", seconds=1)
    with running.DAG("a_deferrable_wait", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")) as dag:

        @running.task
        def name_of(video: Any) -> str:
            return str(video["videoName"])

        name_of(TrimTaskStatusSensor(task_id="wait", trans_no="T", poke_interval=0.1, deferrable=True).output)
    run = running.run(dag)
    expected = trim_default.video_info("T")
    assert run.state == "success"
    assert running.xcom(run, "wait") == expected
    assert running.xcom(run, "name_of") == expected["videoName"]
