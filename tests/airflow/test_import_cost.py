# SPDX-License-Identifier: Apache-2.0
"""A DAG file is parsed over and over, so what it imports must not bring HTTP clients along."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"requests", "aiohttp", "limits", "redis", "urllib3", "yarl", "asgiref"}


def modules_added(before: str, code: str) -> set[str]:
    """Return what the second piece of code imports, after the first has been run."""
    script = f"import sys\n{before}\nbefore = set(sys.modules)\n{code}\nprint('ADDED', *sys.modules.keys() - before)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ADDED")]
    return set(line.split()[1:])


def test_no_http_client_is_loaded() -> None:
    added = modules_added(
        "from airflow.providers.common.compat.sdk import BaseSensorOperator, conf\nimport airflow.triggers.base",
        "from airflow_provider_trim.operators import trim\n"
        "from airflow_provider_trim.sensors import trim\n"
        "from airflow_provider_trim.triggers import trim",
    )
    assert {f"airflow_provider_trim.{name}.trim" for name in ("operators", "sensors", "triggers")} <= added
    assert not {name for name in added if name.partition(".")[0] in HEAVY}
    assert not {name for name in added if not name.startswith("airflow")} & {"ssl", "asyncio"}


def test_the_check_itself_sees_a_heavy_import() -> None:
    assert "requests" in modules_added("", "import airflow_provider_trim.transports.sync")
