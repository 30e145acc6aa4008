# SPDX-License-Identifier: Apache-2.0
"""Running DAGs, and single waits in every mode, as Airflow does; and a hook that waits for nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.hooks.trim import TrimApiHook
from airflow_provider_trim.ratelimit.limiter import limiters
from tests.support import running
from tests.support.clocks import no_jitter
from tests.support.emulators import set_connection


@pytest.fixture
def run_dag(airflow_db: None) -> Callable[..., Any]:
    """Return a function that runs a DAG to its end, deferred tasks included, and returns its DagRun."""
    return running.run


@pytest.fixture
def xcom(run_dag: Any) -> Callable[..., Any]:
    """Return a function that reads what a task of a DagRun has pushed."""
    return running.xcom


@pytest.fixture
def connect(emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write the connection ``trim_test`` to the environment as it is now; its extras come as keyword arguments."""

    def connect(password: str | None = None, **extra: Any) -> None:
        set_connection(monkeypatch, emulator, "trim_test", password=password, **extra)

    connect()
    return connect


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def hook(connect: Callable[..., None], slept: list[float]) -> Iterator[TrimApiHook]:
    """Return a hook that notes its pauses instead of making them."""
    with TrimApiHook("trim_test") as hook:
        hook._sleep = slept.append
        # The limiter's clock goes on as if the pauses had been made.
        limiters.clear(clock=lambda: time.monotonic() + sum(slept), jitter=no_jitter)
        yield hook
