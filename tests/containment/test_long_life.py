# SPDX-License-Identifier: Apache-2.0
"""What a triggerer holds does not grow; ``python -m tests.benchmarks.long_life`` shows a whole day."""

from __future__ import annotations

import pytest

from tests.support.containment import Faults
from tests.support.long_life import HOUR, live

pytestmark = pytest.mark.no_cover


def test_hours_leave_nothing_behind(faults: Faults) -> None:
    """Of which the first is for what is made once."""
    samples = live(2, faults, every=HOUR / 2)
    first, last = samples[1], samples[-1]
    assert last.failed == 0
    assert last.ended >= 18
    assert last.memory < first.memory + 50.0
    for sample in samples:
        assert sample.tasks <= first.tasks + 4
        assert sample.transports <= 3
        assert sample.threads <= first.threads + 4
