# SPDX-License-Identifier: Apache-2.0
"""A schedule that tells what was polled."""

from __future__ import annotations

from airflow_provider_trim.polling.policy import ExpectedDelayPolicy
from airflow_provider_trim.polling.schedule import Schedule


class RecordingSchedule(Schedule):
    """The default schedule; :attr:`polled` holds the trims of which a response has shown how far they are."""

    def __init__(self) -> None:
        super().__init__(ExpectedDelayPolicy())
        self.polled: set[str] = set()

    def record(self, key: str, now: float, *, finished: bool) -> None:
        super().record(key, now, finished=finished)
        self.polled.add(key)
