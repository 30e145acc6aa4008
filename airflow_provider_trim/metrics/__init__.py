# SPDX-License-Identifier: Apache-2.0
"""What is measured, and where measurements go.

The core counts, times and offers gauges through :class:`Metrics`, which a poller or a hook is built with. Without,
nothing is measured. No method of it waits, raises, or calls a metrics backend: a
:class:`~airflow_provider_trim.metrics.recorder.Recorder` adds measurements up, and the thread of an
:class:`~airflow_provider_trim.metrics.exporter.Exporter` sends them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

UNKNOWN_ACCOUNT = "unknown"
"""The account of measurements that are made before its connection is loaded."""

FLUSH_TIMEOUT = 1.0
"""Seconds that a worker may wait, at its end, for a backend that hangs; once in a process."""

Sample = tuple[str, tuple[str, ...], float]
"""A gauge's name, the values of its tags, and its value."""

GaugeSource = Callable[[], Iterable[Sample]]
"""Returns the gauges as they are now; called in another thread."""


class Metrics:
    """Takes measurements, and does nothing with them; subclasses do.

    Names and tags are those of :data:`~airflow_provider_trim.metrics.catalog.METRICS`.
    """

    def count(self, name: str, *tags: str) -> None:
        """Add one to a counter.

        :param tags: values of its tags, in their order
        """

    def time(self, name: str, seconds: float, *tags: str) -> None:
        """Record a duration."""

    def watch(self, source: GaugeSource) -> None:
        """Read gauges at a steady pace, until :meth:`unwatch`."""

    def unwatch(self, source: GaugeSource) -> None:
        """Stop reading these gauges."""

    def flush(self, timeout: float = FLUSH_TIMEOUT) -> None:
        """Send at once what was measured, since the process may end, say.

        :param timeout: seconds to wait; after one that was not enough there is no waiting until the backend responds
        """


NO_METRICS = Metrics()
"""Measures nothing."""


class AccountMetrics:
    """Measures one account.

    :param metrics: takes the measurements
    :param account: the value of the tag ``account``; may be set when it is known
    """

    __slots__ = ("account", "metrics")

    def __init__(self, metrics: Metrics = NO_METRICS, account: str = UNKNOWN_ACCOUNT) -> None:
        self.metrics = metrics
        self.account = account

    def count(self, name: str, *tags: str) -> None:
        """Add one to a counter of the account."""
        self.metrics.count(name, self.account, *tags)

    def time(self, name: str, seconds: float, *tags: str) -> None:
        """Record a duration of the account."""
        self.metrics.time(name, seconds, self.account, *tags)
