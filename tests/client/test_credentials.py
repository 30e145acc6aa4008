# SPDX-License-Identifier: Apache-2.0
"""Polls of a connection whose credentials are refused, by an injected clock."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trim.client.credentials import MAX_RETRY_DELAY, CredentialGate, retry_delay
from airflow_provider_trim.vod.errors import (
    TransNoNotFoundError,
    TrimApiError,
    TrimAuthError,
    TrimError,
    TrimQuotaExceededError,
    TrimResponseError,
    TrimTaskFailedError,
    TrimTransportError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.models import TrimTask

NOW = 1000.0
REFUSED = TrimAuthError("refused", http_status=403)
PROCESSING = TrimTask.model_validate({"transNo": "t1", "status": 1})
PROOFS = [PROCESSING, VideoProcessingError("busy"), TrimTaskFailedError("failed"), TransNoNotFoundError("unknown")]
NO_PROOFS = [
    TrimTransportError("no response"),
    TrimQuotaExceededError("429"),
    TrimResponseError("?"),
    TrimApiError("?"),
]


@pytest.fixture
def gate() -> CredentialGate:
    return CredentialGate(jitter=lambda: 1.0)


def refuse(gate: CredentialGate, version: int, now: float = NOW, interval: float = 10.0) -> bool:
    return gate.record(REFUSED, version, interval, now)


def test_gate_is_open_at_first(gate: CredentialGate) -> None:
    assert (gate.pause(NOW), gate.refusals, gate.accepted) == (0.0, 0, False)
    assert gate.pause(NOW, [1, 1, 1]) == 0.0


def test_delays_grow_with_each_refusal(gate: CredentialGate) -> None:
    pauses = []
    for version in range(9):
        assert refuse(gate, version)
        pauses.append(gate.pause(NOW))
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert gate.refusals == 9


def test_gate_opens_when_the_delay_has_passed(gate: CredentialGate) -> None:
    refuse(gate, 1)
    assert gate.pause(NOW + 0.75) == 0.25
    assert gate.pause(NOW + 1.0) == gate.pause(NOW + 100.0) == 0.0


def test_polls_that_were_in_flight_together_are_refused_once(gate: CredentialGate) -> None:
    assert [refuse(gate, 1) for _ in range(64)] == [True, *[False] * 63]
    assert (gate.refusals, gate.pause(NOW)) == (1, 1.0)
    assert refuse(gate, 2)
    assert not refuse(gate, 1)  # a late response to the older credentials
    assert gate.refusals == 2


def test_one_poll_at_a_time_tries_the_credentials(gate: CredentialGate) -> None:
    """Polls that were made with those that were refused are not waited for: they may hang."""
    refuse(gate, 1)
    assert gate.pause(NOW + 1, [1, 1]) == 0.0
    assert gate.pause(NOW + 1, [1, 2]) == math.inf


@pytest.mark.parametrize("outcome", PROOFS, ids=lambda outcome: type(outcome).__name__)
def test_success_of_any_trim_opens_the_gate(gate: CredentialGate, outcome: TrimTask | TrimError) -> None:
    refuse(gate, 1)
    refuse(gate, 2)
    assert not gate.record(outcome, 3, 10.0, NOW)
    assert (gate.pause(NOW, [3]), gate.refusals, gate.accepted) == (0.0, 0, True)
    refuse(gate, 4)
    assert gate.pause(NOW) == 1.0


@pytest.mark.parametrize("outcome", NO_PROOFS, ids=lambda outcome: type(outcome).__name__)
def test_what_proves_nothing_changes_nothing(gate: CredentialGate, outcome: TrimError) -> None:
    assert not gate.record(outcome, 1, 10.0, NOW)
    assert not gate.accepted
    refuse(gate, 1)
    assert not gate.record(outcome, 2, 10.0, NOW)
    assert (gate.pause(NOW), gate.refusals) == (1.0, 1)


def test_retry_after_is_honoured(gate: CredentialGate) -> None:
    gate.record(TrimAuthError("refused", retry_after=30.0), 1, 10.0, NOW)
    assert gate.pause(NOW) == 30.0


@given(refusals=st.integers(1, 10_000), interval=st.floats(0.01, 1e6), jitter=st.floats(0, 1))
def test_delays_are_spread_and_bounded(refusals: int, interval: float, jitter: float) -> None:
    longest = retry_delay(refusals, interval, lambda: 1.0)
    delay = retry_delay(refusals, interval, lambda: jitter)
    assert 0 < longest / 2 <= delay <= longest <= MAX_RETRY_DELAY
