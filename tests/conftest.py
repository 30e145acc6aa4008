# SPDX-License-Identifier: Apache-2.0
"""What all tests share: an Airflow of their own, and the emulator."""

import atexit
import functools
import gc
import importlib.metadata
import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import time_machine

# Airflow reads its environment when it is first imported, which happens before any fixture runs.
AIRFLOW_HOME = tempfile.mkdtemp(prefix="airflow-provider-trim-")
atexit.register(shutil.rmtree, AIRFLOW_HOME, ignore_errors=True)
os.environ.update(
    {
        "AIRFLOW_HOME": AIRFLOW_HOME,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{AIRFLOW_HOME}/airflow.db",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": f"{AIRFLOW_HOME}/logs",
        # A developer's proxy has no business between a test and this machine.
        "NO_PROXY": "*",
    }
)
if importlib.metadata.version("apache-airflow").startswith("2."):
    os.environ["AIRFLOW__CORE__EXECUTOR"] = "SequentialExecutor"  # the only one that takes SQLite there

from airflow_provider_trim.emulator import TrimEmulator  # noqa: E402
from airflow_provider_trim.ratelimit.limiter import RateLimiter, limiters  # noqa: E402
from tests.support.distribution import DAG_GROUPS, order_by_duration, scheduler  # noqa: E402

# An example takes as long as the machine has it take.
_ANY_SPEED = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
hypothesis.settings.register_profile("quick", max_examples=25, **_ANY_SPEED)
hypothesis.settings.register_profile("full", max_examples=100, **_ANY_SPEED)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="the tests marked full as well, and four times the examples")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "no_cover: runs the same lines many times, so coverage (pytest-cov) stops for it"
    )
    config.addinivalue_line("markers", "full: says nothing that others don't say, but in more combinations; see --full")
    hypothesis.settings.load_profile("full" if config.getoption("full") else "quick")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return scheduler(config, log)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    order_by_duration(items)
    for item in items:
        if "airflow_db" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(DAG_GROUPS[0]))
    if not config.getoption("full"):
        left_out = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("full")]


@pytest.fixture(scope="module")
def no_old_garbage() -> None:
    """Collect what other modules' tests have left open, so that it is not held against this one's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(autouse=True)
def fresh_quotas() -> None:
    """Let no test wait for a refusal that an earlier one's emulator gave at the same port."""
    limiters.clear()


@pytest.fixture
def emulator_options() -> dict[str, Any]:
    """The arguments of :func:`emulator`; a module that needs another emulator overrides them."""
    return {}


@pytest.fixture
def trim_emulator(emulator_options: dict[str, Any]) -> Iterator[TrimEmulator]:
    """The plugin's fixture, overridden as projects do it; :func:`trim_connection` follows."""
    with TrimEmulator(**emulator_options) as emulator:
        yield emulator


@pytest.fixture
def emulator(trim_emulator: TrimEmulator) -> TrimEmulator:
    """The emulator, for tests that need no connection in the environment."""
    return trim_emulator


@pytest.fixture
def trim_default(trim_emulator: TrimEmulator, trim_connection: str) -> TrimEmulator:
    """The emulator, as the connection ``trim_default``."""
    return trim_emulator


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Migrate the test run's database."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(scope="session")
def example_response() -> dict:
    """The example of the vendor's page "Get Trimming Task Status"."""
    path = Path(__file__).parent / "data" / "interface-example.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def run_dag(airflow_db: None) -> Callable[..., Any]:
    """Return a function that runs a DAG to its end, deferred tasks included, and returns its DagRun."""
    from tests.support import running

    return running.run


@pytest.fixture
def xcom(run_dag: Any) -> Callable[..., Any]:
    """Return a function that reads what a task of a DagRun has pushed."""
    from tests.support import running

    return running.xcom


@pytest.fixture
def connect(emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write the connection ``trim_test`` to the environment as it is now; its extras come as keyword arguments."""

    def connect(password: str | None = None, **extra: Any) -> None:
        connection = {
            "conn_type": "trim",
            "host": emulator.url,
            "login": emulator.user,
            "password": password or emulator.token,
            "extra": extra,
        }
        monkeypatch.setenv("AIRFLOW_CONN_TRIM_TEST", json.dumps(connection))

    connect()
    return connect


@pytest.fixture
def standing_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the clock stand still but for pauses, which take no time: for waits that hold their process."""
    begun, ran = time.time(), time.monotonic()

    def sleep(seconds: float) -> None:
        traveller.shift(seconds + 0.001)  # no pause ends a rounding error too early

    with time_machine.travel(begun, tick=False) as traveller:
        # Airflow's own clock, which time_machine leaves alone.
        monkeypatch.setattr(time, "monotonic", lambda: ran + time.time() - begun)
        monkeypatch.setattr(time, "sleep", sleep)
        limiters.clear(functools.partial(RateLimiter, clock=lambda: time.monotonic()))  # not the one of before
        yield
