# SPDX-License-Identifier: Apache-2.0
"""Sends measurements to Airflow's metrics, in a thread.

What it sends to is Airflow's ``Stats``, whose backend may resolve a name, write to a socket, or be the installation's
own. It is called in this thread and nowhere else, so one that raises, hangs or is slow costs measurements, and nothing
waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.metrics.catalog import METRICS, Metric
from airflow_provider_trim.metrics.recorder import Measurements, Recorder, Series

EXPORT_INTERVAL = 10.0
"""Seconds between two exports; as often as StatsD itself flushes by default."""

log = contained_logger(__name__)


class Stats(Protocol):
    """As much of Airflow's ``Stats`` as is used."""

    def incr(self, stat: str, count: int, *, tags: dict[str, str]) -> object:
        """Add to a counter."""

    def gauge(self, stat: str, value: float, *, tags: dict[str, str]) -> object:
        """Set a gauge."""

    def timing(self, stat: str, dt: timedelta, *, tags: dict[str, str]) -> object:
        """Record a duration."""


def send(measured: Measurements, stats: Stats, hostname: str) -> None:
    """Send measurements.

    A metric whose last tag has several values is sent under two names, as Airflow sends its own: with that value as a
    tag, and with it at the end of the name, for backends without tags.

    :param hostname: of this process; gauges of several must not overwrite each other
    :raises Exception: whatever the backend raises
    """
    for series, count in measured.counts.items():
        for name, tags in _names(METRICS[series[0]], series):
            stats.incr(name, count, tags=tags)
    for series, durations in measured.durations.items():
        for name, tags in _names(METRICS[series[0]], series):
            for seconds in durations:
                stats.timing(name, timedelta(seconds=seconds), tags=tags)
    for series, value in measured.gauges.items():
        for name, tags in _names(METRICS[series[0]], (*series, hostname)):
            stats.gauge(name, value, tags=tags)


def _names(metric: Metric, series: Series) -> list[tuple[str, dict[str, str]]]:
    tags = dict(zip(metric.tags, series[1:], strict=True))
    names = [(metric.name, tags)]
    if metric.values or metric.tags[-1] == "hostname":
        last = series[-1].replace(".", "_")
        names.append((f"{metric.name}.{last}", dict(zip(metric.tags[:-1], series[1:-1], strict=True))))
    return names


def _start_thread(run: Callable[[], None]) -> None:
    threading.Thread(target=run, name="trim-metrics", daemon=True).start()


class Exporter:
    """Exports what a recorder has, every few seconds, as long as there is anything.

    :param recorder: whose measurements
    :param stats: returns where to send them
    :param hostname: returns this host's name
    :param interval: seconds between two exports
    :param start: runs a function in a thread
    :param pause: takes seconds, and returns after these; by default, earlier if something is to be exported at once
    """

    def __init__(
        self,
        recorder: Recorder,
        stats: Callable[[], Stats],
        *,
        hostname: Callable[[], str],
        interval: float = EXPORT_INTERVAL,
        start: Callable[[Callable[[], None]], object] = _start_thread,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        self._recorder = recorder
        self._stats = stats
        self._hostname = hostname
        self._interval = interval
        self._start = start
        self._given_pause = pause
        self.reset()
        recorder.on_active, recorder.on_flush = self._begin, self.flush

    def reset(self) -> None:
        """Begin again in a process that was forked, which has no thread of this."""
        self._lock = threading.Lock()
        self._wakeup = threading.Event()
        self._flushes: list[threading.Event] = []
        self._late = self._failing = False

    def _begin(self) -> None:
        try:
            self._start(self._run)
        except RuntimeError as error:  # no thread can be started, for want of memory or at the interpreter's end
            log.debug("Metrics are not sent: %s", error)

    def _run(self) -> None:
        while True:
            (self._given_pause or self._wakeup.wait)(self._interval)
            self._wakeup.clear()
            with self._lock:
                flushes, self._flushes = self._flushes, []
            self._export()
            self._late = False
            for done in flushes:
                done.set()
            with self._lock:
                if not self._flushes and self._recorder.rest():
                    return

    def _export(self) -> None:
        try:
            if measured := self._recorder.take():
                send(measured, self._stats(), self._hostname())
        # A backend may raise anything. What was measured is lost, and nothing else.
        except Exception as error:
            if not self._failing:
                self._failing = True
                log.warning("Metrics can't be sent, and are dropped: %s: %s", type(error).__name__, error)
        else:
            self._failing = False

    def flush(self, timeout: float) -> None:
        """Export at once; what a recorder does for :meth:`.Metrics.flush`."""
        done = threading.Event()
        with self._lock:
            if self._late or not self._recorder.active:
                return
            self._flushes.append(done)
        self._wakeup.set()
        self._late = not done.wait(timeout)
