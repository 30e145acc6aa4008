# SPDX-License-Identifier: Apache-2.0
"""The DAGs of docs/migration.md, before and after, against the same trim and with the same result."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from airflow_provider_trim.emulator import TrimEmulator
from tests.support import running
from tests.support.pages import ROOT


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "migration").glob("*.py")), ids=lambda path: path.stem)
def test_same_result(path: Path, trim_default: TrimEmulator, monkeypatch: pytest.MonkeyPatch, airflow_db: None) -> None:
    address = urlsplit(trim_default.url)
    connection = {"conn_type": "http", "schema": "http", "host": address.hostname, "port": address.port}
    connection |= {"login": trim_default.user, "password": trim_default.token}
    monkeypatch.setenv("AIRFLOW_CONN_TRIM_HTTP", json.dumps(connection))
    trim_default.add_trim("clip-1", seconds=0)
    run = running.run(runpy.run_path(str(path))["dag"])
    assert run.state == "success"
    assert running.xcom(run, "video_info") == trim_default.video_info("clip-1")
