# SPDX-License-Identifier: Apache-2.0
"""How tests are distributed over pytest-xdist's workers: by module, which costs a quarter less CPU than one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

DAG_GROUPS = ("dags 1", "dags 2")
"""Tests that run DAGs: it takes each process seconds to make a database and to build Airflow's API."""

LIVE = "tests/live/"

LONG = (
    "tests/airflow/test_combinations.py",
    "tests/airflow/test_fault_matrix.py",
    "tests/airflow/test_verdicts.py",
    "tests/containment/",
    "tests/docs/test_shell.py",
    "tests/docs/test_start.py",
)
"""Modules of long tests, or of many that wait, which are distributed one by one."""


def order_by_duration(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    items.sort(key=lambda item: (not item.nodeid.startswith(LIVE), not item.nodeid.startswith(LONG)))


def scheduler(config: pytest.Config, log: Any) -> Any:
    """Return pytest-xdist's scheduler of groups, where a test without a group stays with its module."""
    from xdist.scheduler import LoadGroupScheduling  # not every environment has it

    class ModuleScheduling(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            group = str(super()._split_scope(nodeid))
            return nodeid.partition("::")[0] if group == nodeid and not nodeid.startswith(LONG) else group

    config.option.loadscopereorder = False
    return ModuleScheduling(config, log)
