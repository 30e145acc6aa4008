# SPDX-License-Identifier: Apache-2.0
"""A recorder whose measurements tests read."""

from __future__ import annotations

from collections import deque
from typing import Any

from airflow_provider_trim.metrics.catalog import METRICS
from airflow_provider_trim.metrics.recorder import Measurements, Recorder


class Measured(Recorder):
    """Keeps everything that was measured, and holds it against the catalog."""

    def __init__(self) -> None:
        super().__init__()
        self._all = Measurements()

    def _take(self) -> Measurements:
        taken = self.take()
        for series, number in taken.counts.items():
            self._all.counts[series] = self._all.counts.get(series, 0) + number
        for series, durations in taken.durations.items():
            self._all.durations.setdefault(series, deque()).extend(durations)
        self._all.gauges.update(taken.gauges)
        for series in (*taken.counts, *taken.durations, *taken.gauges):
            _check(series)
        return self._all

    def counts(self, name: str) -> dict[str, int] | int:
        """Return a counter: by the last tag's value, if it has several, or as one number."""
        found = {series: number for series, number in self._take().counts.items() if series[0] == name}
        if METRICS[name].values:
            return {series[-1]: number for series, number in found.items()}
        return sum(found.values())

    def durations(self, name: str) -> list[float]:
        return [seconds for series, all in self._take().durations.items() if series[0] == name for seconds in all]

    def gauge(self, name: str) -> float | None:
        """Return a gauge as it was sent last, of all accounts; None if it never was."""
        values = [value for series, value in self._take().gauges.items() if series[0] == name]
        return sum(values) if values else None

    @property
    def accounts(self) -> set[str]:
        """The accounts that were measured."""
        all: Any = self._take()
        series = [*all.counts, *all.durations, *all.gauges]
        return {one[1] for one in series if METRICS[one[0]].tags[0] == "account"}


def _check(series: tuple[str, ...]) -> None:
    metric = METRICS[series[0]]
    tags = [tag for tag in metric.tags if tag != "hostname"]
    assert len(series) == 1 + len(tags), series
    assert not metric.values or series[-1] in metric.values, series
