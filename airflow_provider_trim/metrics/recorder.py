# SPDX-License-Identifier: Apache-2.0
"""Adds measurements up in memory, until they are taken to be sent."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from airflow_provider_trim.metrics import FLUSH_TIMEOUT, GaugeSource, Metrics
from airflow_provider_trim.metrics.catalog import METRICS

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


class Recorder(Metrics):
    """Adds measurements up. Thread-safe; no method but :meth:`flush` waits for anything but another one."""

    def __init__(self) -> None:
        self.on_active: Callable[[], object] = lambda: None
        """Called when there is something to export, and nothing exports it yet."""
        self.on_flush: Callable[[float], object] = lambda timeout: None
        """Exports at once; is given the seconds that it may take."""
        self.reset()

    def reset(self) -> None:
        """Forget everything; in a process that was forked, another thread may have held the lock."""
        self._lock = threading.Lock()
        self.active = False
        """Whether there is anything to export, or being exported."""
        self._pending = Measurements()
        self._sources: dict[GaugeSource, None] = {}
        self._last: dict[Series, float] = {}
        """The gauges as they were sent last."""

    def count(self, name: str, *tags: str) -> None:
        """Add one to a counter."""
        series = (name, *tags)
        with self._activating():
            counts = self._pending.counts
            if series in counts or len(counts) < MAX_SERIES:
                counts[series] = counts.get(series, 0) + 1

    def time(self, name: str, seconds: float, *tags: str) -> None:
        """Record a duration."""
        series = (name, *tags)
        with self._activating():
            durations = self._pending.durations
            if series in durations:
                durations[series].append(seconds)
            elif len(durations) < MAX_SERIES:
                durations[series] = deque((seconds,), MAX_DURATIONS)

    def watch(self, source: GaugeSource) -> None:
        """Read gauges at each export."""
        with self._activating():
            self._sources[source] = None

    def unwatch(self, source: GaugeSource) -> None:
        """Stop reading these gauges."""
        with self._activating():  # so that they are set to 0
            self._sources.pop(source, None)

    def flush(self, timeout: float = FLUSH_TIMEOUT) -> None:
        """Export at once what was measured."""
        self.on_flush(timeout)

    @contextlib.contextmanager
    def _activating(self) -> Iterator[None]:
        """Hold the lock, then have what was changed exported."""
        with self._lock:
            yield
            begin, self.active = not self.active, True
        if begin:
            self.on_active()

    def take(self) -> Measurements:
        """Return what was measured since the last call, and the gauges as they are now."""
        with self._lock:
            taken, self._pending = self._pending, Measurements()
            sources = list(self._sources)
        for source in sources:
            # It reads what another thread changes; the next export has its gauges again.
            with contextlib.suppress(Exception):
                for name, tags, value in source():
                    series = (name, *tags)
                    known = taken.gauges.get(series)
                    taken.gauges[series] = value if known is None else METRICS[name].combine(known, value)
        for series in self._last:
            if METRICS[series[0]].resets:
                taken.gauges.setdefault(series, 0.0)
        self._last = {series: value for series, value in taken.gauges.items() if value}
        return taken

    def rest(self) -> bool:
        """Return whether there is nothing to export now; then the next measurement calls ``on_active`` again."""
        with self._lock:
            if self._pending or self._sources or any(METRICS[series[0]].resets for series in self._last):
                return False
            self.active = False
            return True
