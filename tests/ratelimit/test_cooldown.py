# SPDX-License-Identifier: Apache-2.0
"""The pause after a 429, by an injected clock."""

from __future__ import annotations

import math

import pytest

from airflow_provider_trim.ratelimit.cooldown import (
    DEFAULT_MAX_COOLDOWN,
    INITIAL_COOLDOWN,
    JITTER_FRACTION,
    MAX_JITTER,
    Cooldown,
)
from tests.support.clocks import Clock, no_jitter


@pytest.fixture
def cooldown(clock: Clock) -> Cooldown:
    return Cooldown(clock=clock, jitter=no_jitter)


def test_each_refusal_in_a_row_doubles_the_pause(clock: Clock, cooldown: Cooldown) -> None:
    """The whole account slows down."""
    assert cooldown.remaining() == 0
    for doubled in (1, 2, 4, 8):
        assert cooldown.on_rate_limited(None) == INITIAL_COOLDOWN * doubled
        assert cooldown.remaining() == INITIAL_COOLDOWN * doubled
        clock.now += INITIAL_COOLDOWN * doubled
        assert cooldown.remaining() == 0
    cooldown.on_accepted()
    assert cooldown.on_rate_limited(None) == INITIAL_COOLDOWN


def test_retry_after_is_honoured(clock: Clock, cooldown: Cooldown) -> None:
    assert cooldown.on_rate_limited(90.0) == 90
    assert cooldown.remaining() == 90
    clock.now += 90
    assert cooldown.on_rate_limited(0.0) == 2 * INITIAL_COOLDOWN  # a service that always says 0 is not hammered


def test_calls_in_flight_are_refused_as_one(clock: Clock, cooldown: Cooldown) -> None:
    """Sixty-four at a time would make minutes of the second that the service asks for."""
    for _ in range(64):
        assert cooldown.on_rate_limited(1.0) == 1.0
    assert cooldown.on_rate_limited(None) == 1.0
    assert cooldown.on_rate_limited(3.0) == 3.0
    clock.now += 3
    assert cooldown.on_rate_limited(None) == 2 * INITIAL_COOLDOWN


@pytest.mark.parametrize("window", [10.0, 300.0, 3600.0])
def test_no_pause_is_longer_than_the_quotas_window(clock: Clock, cooldown: Cooldown, window: float) -> None:
    cooldown.set_max_delay(window)
    pauses = []
    for _ in range(100):
        pauses.append(cooldown.on_rate_limited(None))
        clock.now += pauses[-1]
    assert max(pauses) == window
    assert cooldown.on_rate_limited(86_400.0) == window


@pytest.mark.parametrize(
    ("retry_after", "bounded"),
    [(0.0, 0.0), (12.5, 12.5), (-5.0, 0.0), (999_999_999.0, DEFAULT_MAX_COOLDOWN), (math.inf, DEFAULT_MAX_COOLDOWN)],
)
def test_retry_after_is_bounded(cooldown: Cooldown, retry_after: float, bounded: float) -> None:
    assert cooldown.bounded(retry_after) == bounded


def test_a_retry_after_that_is_no_number_asks_for_nothing(cooldown: Cooldown) -> None:
    assert cooldown.bounded(math.nan) == 0.0


@pytest.mark.parametrize(("retry_after", "jitter"), [(None, JITTER_FRACTION), (20.0, 2.0), (200.0, MAX_JITTER)])
def test_processes_refused_together_come_back_apart(clock: Clock, retry_after: float | None, jitter: float) -> None:
    latest = Cooldown(clock=clock, jitter=lambda: 1.0)
    assert latest.on_rate_limited(retry_after) == pytest.approx((retry_after or INITIAL_COOLDOWN) + jitter)
