# SPDX-License-Identifier: Apache-2.0
"""What is measured of a wait when it ends."""

from __future__ import annotations

from airflow_provider_trim.metrics import AccountMetrics
from airflow_provider_trim.metrics.catalog import DETECTION_DELAY, WAIT_DURATION, WAITS_ENDED, End
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.verdicts import Success, TimedOut, Verdict


def record_end(
    metrics: AccountMetrics, state: PollState, verdict: Verdict, now: float, called_at: float | None = None
) -> None:
    """Measure a wait that has ended.

    How late its end was noticed can only be estimated. The callback says when the trim was done. Without one, it was
    done at some time since the last poll that found it processing, so the estimate is half of that time. Without such
    a poll, there is no estimate.

    :param now: on the state's clock
    :param called_at: when a callback came, on the same clock
    """
    end = End.SUCCESS if isinstance(verdict, Success) else End.TIMEOUT if isinstance(verdict, TimedOut) else End.FAILURE
    metrics.count(WAITS_ENDED.name, end)
    metrics.time(WAIT_DURATION.name, max(0.0, now - state.started_at))
    if end is not End.SUCCESS:
        return
    if called_at is not None:
        metrics.time(DETECTION_DELAY.name, max(0.0, now - called_at))
    elif state.processing_at is not None:
        metrics.time(DETECTION_DELAY.name, max(0.0, now - state.processing_at) / 2.0)
