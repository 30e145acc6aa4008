# SPDX-License-Identifier: Apache-2.0
"""Waits that hold their process, in no time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import time_machine


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
        yield
