# SPDX-License-Identifier: Apache-2.0
"""The metrics of this process: added up, and sent to Airflow's ``Stats`` if Airflow's metrics are switched on."""

from __future__ import annotations

import functools
import os

from airflow_provider_trim.compat import conf
from airflow_provider_trim.compat.stats import find_stats, hostname
from airflow_provider_trim.metrics import NO_METRICS, Metrics
from airflow_provider_trim.metrics.exporter import Exporter
from airflow_provider_trim.metrics.recorder import Recorder

SWITCHES = ("statsd_on", "statsd_datadog_enabled", "otel_on")
"""Options of Airflow's section ``[metrics]``, each of which switches a backend on."""


@functools.cache
def process_metrics() -> Metrics:
    """Return the metrics of this process, which it has as Airflow's configuration says at the first call."""
    if not any(conf.getboolean("metrics", switch, fallback=False) for switch in SWITCHES):
        return NO_METRICS
    recorder = Recorder()
    exporter = Exporter(recorder, find_stats, hostname=functools.cache(hostname))
    os.register_at_fork(after_in_child=recorder.reset)
    os.register_at_fork(after_in_child=exporter.reset)
    return recorder
