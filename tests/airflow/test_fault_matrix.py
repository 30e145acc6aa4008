# SPDX-License-Identifier: Apache-2.0
"""The fault matrix: every fault of the table in tests/support/faults.py, passing and lasting, in every mode."""

from __future__ import annotations

import functools
import itertools
import json
import math
import time
import traceback
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

from airflow_provider_trim.ratelimit.limiter import RateLimiter, limiters
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from airflow_provider_trim.vod.errors import TrimError, TrimResponseError, TrimTransportError
from tests.support.faults import BACKOFF, CALL_TIMEOUT, CASES, TOKEN, VIDEO_INFO, Case, Verdict
from tests.support.matrix_page import PAGE, with_table
from tests.support.waits import SENSOR_MODES, Wait, sensor

INTERVAL = 0.02
"""Seconds between two looks."""

SHORT_TIMEOUT = 0.8
"""Seconds after which a wait that only its ``timeout`` ends has been long enough."""

MAX_FAILURES = 3

LONGEST = 6.0
"""Seconds that no wait takes."""

CLOCKS = 0.002
"""Seconds by which clocks and timers may differ."""

every_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
every_mode = pytest.mark.parametrize("mode", SENSOR_MODES)


class PunctualWait(Wait):
    """Comes back from a reschedule when it was asked for, as Airflow's scheduler does."""

    def task(self) -> Any:
        if self.reschedules:
            time.sleep(max(0.0, self.reschedules[-1].timestamp() - time.time()))
        return super().task()


@dataclass(frozen=True)
class Outcome:
    """How a wait has ended: what it returned or raised, when it called, and how long it took, in seconds."""

    result: Any
    error: Exception | None
    calls: list[float]
    took: float

    @property
    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in itertools.pairwise(self.calls)]


class Waiting:
    """Waits, as Airflow does, at a service that has a fault."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: Any) -> None:
        self._monkeypatch = monkeypatch
        self._capfd = capfd
        self._caplog = caplog

    def __call__(self, case: Case, mode: str, calls: float, **arguments: Any) -> Outcome:
        result, error = None, None
        with case.stage(calls) as service:
            extra = {"quota": "off", "timeout": case.call_timeout, **service.extra}
            connection = {"conn_type": "trim", "host": service.host, "login": "emulator", "password": TOKEN}
            self._monkeypatch.setenv("AIRFLOW_CONN_TRIM_DEFAULT", json.dumps({**connection, "extra": extra}))
            arguments = {"poke_interval": INTERVAL, "max_consecutive_failures": MAX_FAILURES, **arguments}
            wait = PunctualWait(TrimTaskStatusSensor, **sensor(mode, **arguments).arguments)
            started = time.monotonic()
            try:
                result = wait.run()
            except Exception as caught:
                error = caught
            outcome = Outcome(result, error, service.called_at(), time.monotonic() - started)
        self._check(case, outcome)
        return outcome

    def _check(self, case: Case, outcome: Outcome) -> None:
        """Check what holds for every wait, however it ends."""
        assert outcome.took < LONGEST
        # The last look is when the timeout is reached, whatever the interval.
        gaps = outcome.gaps[:-1] if isinstance(outcome.error, AirflowSensorTimeout) else outcome.gaps
        assert all(gap >= max(INTERVAL, case.pause) - CLOCKS for gap in gaps), outcome.gaps
        shown = "".join(traceback.format_exception(outcome.error)) if outcome.error else ""
        assert TOKEN not in shown + self._caplog.text + "".join(self._capfd.readouterr())
        if outcome.error is not None:
            assert not case.says or any(text in str(outcome.error) for text in case.says), str(outcome.error)
            assert len(str(outcome.error)) < 1000


@pytest.fixture
def wait_for(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Waiting:
    # Shorter than in earnest, where each wait that meets such an answer takes seconds.
    limiters.clear(functools.partial(RateLimiter, initial_cooldown=BACKOFF))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    return Waiting(monkeypatch, capfd, caplog)


@every_mode
@every_case
def test_a_fault_that_passes(case: Case, mode: str, wait_for: Waiting) -> None:
    """Twice where that is no matter, which in deferrable mode is once in the worker and once in the triggerer."""
    twice = case.verdict in (Verdict.WAITS_IT_OUT, Verdict.KEEPS_WAITING) and case.call_timeout != CALL_TIMEOUT
    faults = 2 if twice else 1
    outcome = wait_for(case, mode, faults)
    if case.verdict is Verdict.FAILS_AT_ONCE:
        assert isinstance(outcome.error, AirflowFailException)
        assert len(outcome.calls) == 1
        return
    assert outcome.error is None
    assert outcome.result == VIDEO_INFO
    assert len(outcome.calls) == (1 if case.verdict is Verdict.SUCCEEDS else faults + 1)


@every_mode
@every_case
def test_a_fault_that_lasts(case: Case, mode: str, wait_for: Waiting) -> None:
    until_timeout = case.verdict in (Verdict.SLOWS_DOWN, Verdict.KEEPS_WAITING) or (
        # Whose looks have a process each, so that nobody counts the failures in a row.
        case.verdict is Verdict.WAITS_IT_OUT and mode == "reschedule"
    )
    timeout = max(SHORT_TIMEOUT, 1.5 * case.call_timeout if case.call_timeout == CALL_TIMEOUT else 0.0)
    outcome = wait_for(case, mode, math.inf, timeout=timeout if until_timeout else 30)
    count = len(outcome.calls)
    if until_timeout:
        assert isinstance(outcome.error, AirflowSensorTimeout)
        assert 2 <= count <= timeout / max(INTERVAL, case.pause) + 2
    elif case.verdict is Verdict.WAITS_IT_OUT:
        assert type(outcome.error) in (TrimTransportError, TrimResponseError)
        assert isinstance(outcome.error, TrimError)
        assert not isinstance(outcome.error, AirflowException)
        assert outcome.error.retryable
        # The look in the worker, before the deferral, is not one of those that the triggerer counts.
        assert count == MAX_FAILURES + (mode == "deferrable")
    elif case.verdict is Verdict.SUCCEEDS:
        assert outcome.result == VIDEO_INFO
        assert count == 1
    else:
        assert isinstance(outcome.error, AirflowFailException)
        assert count == (2 if case.verdict is Verdict.ASKS_ONCE_MORE else 1)


def test_the_page_has_this_table() -> None:
    """To write it anew: ``python -m tests.support.matrix_page``."""
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page
