# SPDX-License-Identifier: Apache-2.0
"""Airflow's real ``Stats``, as a worker or a triggerer of this line of Airflow sets them up."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

CORE, SDK = "airflow.observability", "airflow.sdk.observability"
"""The packages of Airflow 3.2 and later; a triggerer uses the first, a worker the second."""


def _find(*names: str) -> Any:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ImportError(names)


TWO = importlib.util.find_spec("airflow.sdk") is not None and importlib.util.find_spec(SDK) is not None
"""Whether there are two of them."""


def initialize(monkeypatch: pytest.MonkeyPatch, factory: Callable[[], Any], package: str = SDK) -> Any:
    """Set a backend up, until the test's end, and return the ``Stats``.

    :param factory: makes the backend
    """
    if not TWO:
        stats = _find("airflow.stats").Stats
        monkeypatch.setattr(stats, "instance", None)
        monkeypatch.setattr(type(stats), "factory", staticmethod(factory))
        return stats
    stats = _find(f"{package}.stats").Stats
    module = inspect.getmodule(stats)
    for owner, names in ((module, ("_factory", "_backend")), (stats, ("factory", "instance"))):
        for name in names:
            if name in vars(owner):
                monkeypatch.setattr(owner, name, getattr(owner, name))  # which is there again at the end
    options = {"factory": factory}
    if "export_legacy_names" in inspect.signature(stats.initialize).parameters:
        options["export_legacy_names"] = True  # type: ignore[assignment]
    stats.initialize(**options)
    return stats


def statsd_logger() -> Any:
    """Return Airflow's StatsD backend, as its configuration has it."""
    make = _find(f"{SDK}.metrics.statsd_logger", "airflow.metrics.statsd_logger").get_statsd_logger
    return make(*(None for _ in inspect.signature(make).parameters))  # up to 3.1, Stats, which is not used


def otel_logger(provider: Any) -> Any:
    """Return Airflow's OpenTelemetry backend.

    :param provider: of the OpenTelemetry SDK
    """
    module = _find("airflow.sdk._shared.observability.metrics.otel_logger", "airflow.metrics.otel_logger")
    return module.SafeOtelLogger(provider)


def otel_points(data: Any) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Return name, attributes and value (of a histogram, its sum) of all points that a reader has."""
    for resource in data.resource_metrics if data is not None else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    yield metric.name, dict(point.attributes), getattr(point, "value", getattr(point, "sum", None))
