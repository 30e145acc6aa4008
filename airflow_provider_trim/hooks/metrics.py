# SPDX-License-Identifier: Apache-2.0
"""The metrics of this process: added up, and sent to Airflow's ``Stats`` if Airflow's metrics are switched on."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass

from airflow_provider_trim.compat import conf
from airflow_provider_trim.compat.stats import find_stats, hostname
from airflow_provider_trim.metrics import NO_METRICS, Metrics
from airflow_provider_trim.metrics.exporter import Exporter
from airflow_provider_trim.metrics.recorder import Recorder

SWITCHES = ("statsd_on", "statsd_datadog_enabled", "otel_on")
"""Options of Airflow's section ``[metrics]``, each of which switches a backend on."""


@dataclass(frozen=True, slots=True)
class ProcessMetrics:
    """What takes this process's measurements, and what sends them; None while metrics are off."""

    metrics: Metrics
    exporter: Exporter | None = None

    def flush(self) -> None:
        """Send what was measured, since the process may end; see :meth:`Exporter.flush`."""
        if self.exporter is not None:
            self.exporter.flush()


@functools.cache
def process_metrics() -> ProcessMetrics:
    """Return the metrics of this process, which it has as Airflow's configuration says at the first call."""
    if not any(conf.getboolean("metrics", switch, fallback=False) for switch in SWITCHES):
        return ProcessMetrics(NO_METRICS)
    recorder = Recorder()
    exporter = Exporter(recorder, find_stats, hostname=functools.cache(hostname))

    def reset() -> None:
        recorder.reset()
        exporter.reset()

    os.register_at_fork(after_in_child=reset)
    return ProcessMetrics(recorder, exporter)
