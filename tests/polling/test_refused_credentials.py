# SPDX-License-Identifier: Apache-2.0
"""A triggerer with 500 waits and a gateway that refuses, in simulated time.

``tests/benchmarks/credentials.py`` prints the figures.
"""

from __future__ import annotations

import math

import pytest

from airflow_provider_trim.polling.poller import MAX_CONCURRENT_CALLS
from tests.support.credentials_simulation import BEFORE, LATENCY, simulate

pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize("seconds", [2.5, 60.0])
def test_burst_of_refusals_fails_no_wait(seconds: float) -> None:
    burst = simulate(seconds)
    assert burst.failures == {}
    assert burst.refused_calls > 0
    assert burst.reloads <= 10
    assert burst.recovered_after <= 60.0


@pytest.mark.parametrize("quota", ["300/5 minutes", "off"])
def test_credentials_that_stay_refused_fail_all_waits_after_a_few_calls(quota: str) -> None:
    """The polls in flight when it begins, and then one at a time, rarer and rarer."""
    burst = simulate(math.inf, quota=quota)
    assert burst.failures == {"TrimAuthError": burst.waits}
    assert burst.failed_after > 120.0
    assert burst.refused_calls <= MAX_CONCURRENT_CALLS + 9
    assert burst.most_per_second <= 2
    assert burst.reloads <= 10


def test_deadlines_are_kept_while_credentials_are_refused() -> None:
    """Each wait has its last poll at its deadline, and their refusals do not count for the other waits."""
    deadlines = [BEFORE + 20.0 + number for number in range(60)]
    burst = simulate(100.0, waits=80, quota="off", deadlines=deadlines)
    assert burst.failures == {}
    assert len(burst.timed_out_after) == 60
    assert max(burst.timed_out_after) < 3 * LATENCY
    assert 60 <= burst.refused_calls <= MAX_CONCURRENT_CALLS + 60 + 9


def test_credentials_that_were_never_accepted_fail_all_waits_after_two_calls() -> None:
    burst = simulate(math.inf, accepted=False)
    assert burst.failures == {"TrimAuthError": burst.waits}
    assert (burst.refused_calls, burst.reloads) == (2, 1)
