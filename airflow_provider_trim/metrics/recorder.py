# SPDX-License-Identifier: Apache-2.0
"""Adds measurements up in memory, until they are taken to be sent."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from airflow_provider_trim.metrics import GaugeSource
from airflow_provider_trim.metrics.catalog import METRICS, Combine

MAX_SERIES = 1000
"""Combinations of a metric and its tags' values. Accounts are few; this bounds memory whatever comes."""

MAX_DURATIONS = 256
"""Of one series, between two exports; of more, the latest are sent."""

Series = tuple[str, ...]
"""A metric's name and the values of its tags."""


@dataclass(slots=True)
class Measurements:
    """What was measured since the last export."""

    counts: dict[Series, int] = field(default_factory=dict)
    durations: dict[Series, deque[float]] = field(default_factory=dict)
    """In seconds."""
    gauges: dict[Series, float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Return whether there is anything to send."""
        return bool(self.counts or self.durations or self.gauges)


class Recorder:
    """Adds measurements up. Thread-safe; no method waits for anything but another one.

    :param on_active: called when there is something to export, and nothing exports it yet
    """

    def __init__(self, on_active: Callable[[], object] = lambda: None) -> None:
        self.on_active = on_active
        self.reset()

    def reset(self) -> None:
        """Forget everything; in a process that was forked, another thread may have held the lock."""
        self._lock = threading.Lock()
        self._active = False
        self._pending = Measurements()
        self._sources: dict[GaugeSource, None] = {}
        self._last: dict[Series, float] = {}
        """The gauges as they were sent last."""

    def count(self, name: str, *tags: str) -> None:
        """Add one to a counter."""
        series = (name, *tags)
        with self._lock:
            counts = self._pending.counts
            if series in counts or len(counts) < MAX_SERIES:
                counts[series] = counts.get(series, 0) + 1
            begin = self._begin()
        if begin:
            self.on_active()

    def time(self, name: str, seconds: float, *tags: str) -> None:
        """Record a duration."""
        series = (name, *tags)
        with self._lock:
            durations = self._pending.durations
            if series in durations:
                durations[series].append(seconds)
            elif len(durations) < MAX_SERIES:
                durations[series] = deque((seconds,), MAX_DURATIONS)
            begin = self._begin()
        if begin:
            self.on_active()

    def watch(self, source: GaugeSource) -> None:
        """Read gauges at each export."""
        with self._lock:
            self._sources[source] = None
            begin = self._begin()
        if begin:
            self.on_active()

    def unwatch(self, source: GaugeSource) -> None:
        """Read these gauges no more."""
        with self._lock:
            self._sources.pop(source, None)
            begin = self._begin()  # so that they are set to 0
        if begin:
            self.on_active()

    def _begin(self) -> bool:
        begin, self._active = not self._active, True
        return begin

    @property
    def active(self) -> bool:
        """Whether there is anything to export, or being exported."""
        return self._active

    def take(self) -> Measurements:
        """Return what was measured since the last call, and the gauges as they are now."""
        with self._lock:
            taken, self._pending = self._pending, Measurements()
            sources = list(self._sources)
        for source in sources:
            # It reads what another thread changes; the next export has its gauges again.
            with contextlib.suppress(Exception):
                for name, tags, value in source():
                    _combine(taken.gauges, (name, *tags), value)
        for series in self._last:
            if METRICS[series[0]].resets:
                taken.gauges.setdefault(series, 0.0)
        self._last = {series: value for series, value in taken.gauges.items() if value}
        return taken

    def rest(self) -> bool:
        """Return whether there is nothing to export now; then the next measurement calls ``on_active`` again."""
        with self._lock:
            if self._pending or self._sources or self._last_is_to_be_reset():
                return False
            self._active = False
            return True

    def _last_is_to_be_reset(self) -> bool:
        return any(METRICS[series[0]].resets for series in self._last)


def _combine(gauges: dict[Series, float], series: Series, value: float) -> None:
    if series not in gauges:
        gauges[series] = value
    elif METRICS[series[0]].combine is Combine.SUM:
        gauges[series] += value
    else:
        gauges[series] = max(gauges[series], value)
