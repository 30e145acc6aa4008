# SPDX-License-Identifier: Apache-2.0
"""Where benchmarks run: processes with an Airflow of their own, and nothing of the caller's environment."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))
from tests.support.live_airflow import clean_environment  # noqa: E402 - the repository's root is on the path only now

LOGIN, TOKEN = "bench", "not-a-secret"

_PACKAGES = (
    "airflow-provider-trim",
    "apache-airflow",
    "apache-airflow-task-sdk",
    "apache-airflow-providers-http",
    "apache-airflow-providers-dbt-cloud",
    "apache-airflow-providers-common-compat",
    "aiohttp",
    "requests",
    "urllib3",
    "limits",
    "redis",
)


@contextlib.contextmanager
def environment(**connections: dict[str, Any]) -> Iterator[dict[str, str]]:
    """Yield variables for a process with an empty Airflow, quiet, and these connections.

    :param connections: Airflow connections by their id
    """
    with tempfile.TemporaryDirectory(prefix="trim-benchmark-") as home:
        yield clean_environment() | {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{home}/logs",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in connections.items()},
        }


def trim_connection(url: str, **extra: Any) -> dict[str, Any]:
    """Return a connection of type ``trim`` to a server, without a quota unless one is given."""
    extra = {"quota": "off"} | extra
    return {"conn_type": "trim", "host": url, "login": LOGIN, "password": TOKEN, "extra": extra}


def form(trans_no: str) -> dict[str, str]:
    """Return the fields that a query consists of, for those who post it without the package."""
    return {"transNo": trans_no, "userId": LOGIN, "timeStamp": "1700000000", "token": TOKEN}


def run(script: str, arguments: list[str], variables: dict[str, str], timeout: float) -> Any:
    """Run a script of this folder and return the JSON in the last line that it prints."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments],
        env=variables,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{script} {' '.join(arguments)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def versions() -> dict[str, str]:
    """Return what was measured with."""
    found = {"Python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def machine() -> str:
    """Describe what was measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({model}), {gigabytes:.0f} GiB of memory, {platform.system()} {platform.machine()}"
