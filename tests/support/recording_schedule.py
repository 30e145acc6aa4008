# SPDX-License-Identifier: Apache-2.0
"""A schedule that tells what was polled."""

from __future__ import annotations

from typing import Any

from airflow_provider_trim.polling.policy import ExpectedDelayPolicy
from airflow_provider_trim.polling.schedule import Schedule


class RecordingSchedule(Schedule):
    """The default schedule; :attr:`polled` holds the trims of which a response has shown how far they are,
    :attr:`kinds` those that were in it."""

    def __init__(self) -> None:
        super().__init__(ExpectedDelayPolicy())
        self.polled: set[str] = set()
        self.kinds: dict[str, str | None] = {}

    def upsert(self, key: str, *, kind: str | None = None, **facts: Any) -> None:
        super().upsert(key, kind=kind, **facts)
        self.kinds[key] = kind

    def record(self, key: str, now: float, *, finished: bool) -> None:
        super().record(key, now, finished=finished)
        self.polled.add(key)
