# SPDX-License-Identifier: Apache-2.0
"""The fault matrix: every fault of the table in tests/support/faults.py, passing and lasting, in every mode.

The mode has no part in how bytes are read. So every fault is met in one mode, by the clients of both the worker and the
triggerer, and in the other modes the first of those with the same verdict; all the others with ``--full``.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import traceback
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

from airflow_provider_trim.ratelimit.limiter import RateLimiter, limiters
from airflow_provider_trim.vod.errors import TrimAuthError, TrimError, TrimResponseError, TrimTransportError
from tests.support.faults import BACKOFF, CALL_TIMEOUT, CASES, TOKEN, VIDEO_INFO, Case, Verdict
from tests.support.waits import SENSOR_MODES, sensor

INTERVAL = 0.02
"""Seconds between two polls."""

TIMEOUT = 20.0
"""Seconds after which a wait that nothing else ends has been long enough, by a clock that only pauses move."""

REAL_TIMEOUT, REAL_TIMEOUT_OF_SLOW_CALLS = 3.0, 12.0
"""The same by the system's clock: for two polls, however busy the machine is."""

PATIENT_CALL_TIMEOUT = 3.0
"""Seconds for a call where others before it are not answered in time, and this one is to be."""

MAX_FAILURES = 3

CLOCKS = 0.002
"""Seconds by which clocks and timers may differ."""


def until_timeout(case: Case, mode: str) -> bool:
    """Return whether a wait goes on until its ``timeout`` where the fault lasts."""
    return case.verdict in (Verdict.SLOWS_DOWN, Verdict.KEEPS_WAITING) or (
        # Each poll has its own process there, so failures in a row are not counted.
        case.verdict is Verdict.RETRIES and mode == "reschedule"
    )


def cells(passing: bool) -> list[Any]:
    """Return what is tested, those that say nothing new marked ``full``."""
    found = []
    for mode in SENSOR_MODES:
        seen = set()
        for case in CASES:
            home = "poke" if not passing and until_timeout(case, "deferrable") else "deferrable"
            marks = () if mode == home or case.verdict not in seen else (pytest.mark.full,)
            seen.add(case.verdict)
            found.append(pytest.param(case, mode, id=f"{case.name}-{mode}", marks=marks))
    return found


@dataclass(frozen=True)
class Outcome:
    """How a wait has ended: what it returned or raised, and when it called, in seconds."""

    result: Any
    error: Exception | None
    calls: list[float]

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
            timeout = case.call_timeout if calls == math.inf else max(PATIENT_CALL_TIMEOUT, case.call_timeout)
            extra = {"quota": "off", "timeout": timeout, **service.extra}
            connection = {"conn_type": "trim", "host": service.host, "login": "emulator", "password": TOKEN}
            self._monkeypatch.setenv("AIRFLOW_CONN_TRIM_DEFAULT", json.dumps({**connection, "extra": extra}))
            interval = arguments.setdefault("poke_interval", INTERVAL)
            arguments["max_consecutive_failures"] = MAX_FAILURES
            try:
                result = sensor(mode, **arguments).run()
            except Exception as caught:
                error = caught
            outcome = Outcome(result, error, service.called_at())
        self._check(case, outcome, interval)
        return outcome

    def _check(self, case: Case, outcome: Outcome, interval: float) -> None:
        """Check what holds for every wait, however it ends."""
        # The last poll is made when the timeout is reached, whatever the interval, and repeated once if it fails.
        gaps = outcome.gaps[:-2] if isinstance(outcome.error, AirflowSensorTimeout) else outcome.gaps
        # A reloaded connection is tried sooner.
        least = interval / 2 if case.verdict is Verdict.RELOADS else max(interval, case.pause)
        assert all(gap >= least - CLOCKS for gap in gaps), outcome.gaps
        shown = "".join(traceback.format_exception(outcome.error)) if outcome.error else ""
        assert TOKEN not in shown + self._caplog.text + "".join(self._capfd.readouterr())
        if outcome.error is not None:
            assert not case.says or any(text in str(outcome.error) for text in case.says), str(outcome.error)
            assert len(str(outcome.error)) < 1000


@pytest.fixture
def wait_for(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Waiting:
    # Shorter than in production, where each wait with such a response takes seconds.
    limiters.clear(functools.partial(RateLimiter, initial_cooldown=BACKOFF))
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    return Waiting(monkeypatch, capfd, caplog)


@pytest.mark.parametrize(("case", "mode"), cells(passing=True))
def test_a_fault_that_passes(case: Case, mode: str, wait_for: Waiting) -> None:
    """Twice where that is no matter, which in deferrable mode is once in the worker and once in the triggerer."""
    twice = case.verdict in (Verdict.RETRIES, Verdict.KEEPS_WAITING) and case.call_timeout != CALL_TIMEOUT
    faults = 2 if twice else 1
    outcome = wait_for(case, mode, faults)
    if case.verdict is Verdict.FAILS_AT_ONCE:
        assert isinstance(outcome.error, AirflowFailException)
        assert len(outcome.calls) == 1
        return
    assert outcome.error is None
    assert outcome.result == VIDEO_INFO
    assert len(outcome.calls) == (1 if case.verdict is Verdict.SUCCEEDS else faults + 1)


@pytest.mark.parametrize(("case", "mode"), cells(passing=False))
def test_a_fault_that_lasts(case: Case, mode: str, wait_for: Waiting, request: pytest.FixtureRequest) -> None:
    arguments: dict[str, float] = {}
    if until_timeout(case, mode):
        arguments["timeout"] = REAL_TIMEOUT_OF_SLOW_CALLS if case.call_timeout == CALL_TIMEOUT else REAL_TIMEOUT
        if mode != "deferrable" and case.call_timeout != CALL_TIMEOUT:  # which the system's clock measures
            request.getfixturevalue("standing_clock")
            arguments.update(timeout=TIMEOUT, poke_interval=TIMEOUT / 10)
    outcome = wait_for(case, mode, math.inf, **arguments)
    count = len(outcome.calls)
    if until_timeout(case, mode):
        assert isinstance(outcome.error, AirflowSensorTimeout)
        pause = max(arguments.get("poke_interval", INTERVAL), case.pause)
        assert 2 <= count <= arguments["timeout"] / pause + 2
    elif case.verdict is Verdict.RETRIES:
        assert type(outcome.error) in (TrimTransportError, TrimResponseError)
        assert isinstance(outcome.error, TrimError)
        assert not isinstance(outcome.error, AirflowException)
        assert outcome.error.retryable
        # The poll in the worker, before the deferral, is not one of those that the triggerer counts.
        assert count == MAX_FAILURES + (mode == "deferrable")
    elif case.verdict is Verdict.SUCCEEDS:
        assert outcome.result == VIDEO_INFO
        assert count == 1
    elif case.verdict is Verdict.RELOADS:
        assert type(outcome.error) is TrimAuthError
        assert count == 2
    else:
        assert isinstance(outcome.error, AirflowFailException)
        assert count == 1
