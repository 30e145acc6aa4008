# SPDX-License-Identifier: Apache-2.0
"""Running DAGs, and single waits in every mode, as Airflow does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import running


@pytest.fixture
def run_dag(airflow_db: None) -> Callable[..., Any]:
    """Return a function that runs a DAG to its end, deferred tasks included, and returns its DagRun."""
    return running.run


@pytest.fixture
def xcom(run_dag: Any) -> Callable[..., Any]:
    """Return a function that reads what a task of a DagRun has pushed."""
    return running.xcom
