# SPDX-License-Identifier: Apache-2.0
"""A DAG file is parsed over and over, so what it imports must not bring HTTP clients along."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"requests", "aiohttp", "limits", "redis", "urllib3", "yarl", "asgiref"}


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('MODULES', *sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("MODULES")]
    return set(line.split()[1:])


@pytest.mark.parametrize("module", ["sensors.trim", "operators.trim", "triggers.trim"])
def test_no_http_client_is_loaded(module: str) -> None:
    airflow = "from airflow.providers.common.compat.sdk import BaseSensorOperator, conf\nimport airflow.triggers.base"
    before = modules_after(airflow)
    added = modules_after(f"{airflow}\nimport airflow_provider_trim.{module}") - before
    assert not {name for name in added if name.partition(".")[0] in HEAVY}
    assert not {name for name in added if not name.startswith("airflow")} & {"ssl", "asyncio"}


def test_the_check_itself_sees_a_heavy_import() -> None:
    assert "requests" in modules_after("import airflow_provider_trim.transports.sync")
