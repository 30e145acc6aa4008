# SPDX-License-Identifier: Apache-2.0
"""The deployment, started once, and an account for each scenario."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_trim.emulator import TrimEmulator
from tests.system import figures
from tests.system.account import BY_DEFAULT, WITHOUT_WORKERS, Account
from tests.system.deployment import Deployment

HOME = Path(__file__).parents[2] / "build" / "system" / "airflow"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="fewer kills and trims, shorter outages")
    parser.addoption("--opentelemetry", action="store_true", help="send metrics by OpenTelemetry instead of StatsD")


def pytest_configure() -> None:
    # A signal to this process must end the deployment, too.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)


@pytest.fixture(scope="session")
def quick(pytestconfig: pytest.Config) -> bool:
    return bool(pytestconfig.getoption("--quick"))


@pytest.fixture(scope="session")
def airflow(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, quick: bool
) -> Iterator[Deployment]:
    opentelemetry = request.config.getoption("--opentelemetry")
    with Deployment(HOME, opentelemetry=opentelemetry, trims_per_run=6 if quick else 10) as deployment:
        figures.say("all processes are healthy")
        for dag_id in ("waits", WITHOUT_WORKERS, BY_DEFAULT, "submits", "thousands", "undisturbed"):
            deployment.wait_for_dag(dag_id)
        warm_up(deployment, tmp_path_factory.mktemp("warm-up"))
        yield deployment
    if request.session.testsfailed:
        print(f"\nLogs are left in {HOME}")


def warm_up(airflow: Deployment, folder: Path) -> None:
    """Have every part do its work once, so that no scenario measures what happens at the first time only."""
    with TrimEmulator(user="warm-up") as emulator:
        account = Account(airflow, "warm-up", emulator, folder)
        account.wait_in(1)
        account.wait_until_deferred()
        account.finish(account.waiting)
        account.check_results()


@pytest.fixture
def account(airflow: Deployment, tmp_path: Path) -> Iterator[Callable[..., Account]]:
    """Make accounts: ``account(name, quota=(calls, seconds), **extra)``."""
    with ExitStack() as stack:

        def make(name: str, quota: tuple[int, int] | None = None, **extra: Any) -> Account:
            emulator = stack.enter_context(TrimEmulator(user=name, quota=quota))
            limit = f"{quota[0]}/{quota[1]} seconds" if quota else "off"
            made = Account(airflow, name, emulator, tmp_path / name, **({"quota": limit} | extra))
            stack.callback(made.fail_all)
            return made

        yield make


def pytest_runtest_setup(item: pytest.Item) -> None:
    print()
    figures.say(item.name.removeprefix("test_").replace("_", " "))


def pytest_sessionfinish() -> None:
    figures.write()
