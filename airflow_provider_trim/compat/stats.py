# SPDX-License-Identifier: Apache-2.0
"""Airflow's ``Stats``, as the running process has set it up.

Since Airflow 3.2 there are two of them: one of the Task SDK, which workers initialize, and one of Airflow's core, which
the triggerer initializes (``sdk/execution_time/task_runner.py`` and ``jobs/triggerer_job_runner.py`` of 3.2.2 and
3.3.2). The other one drops what it is given. ``common.compat`` knows the first only, and up to 1.7 none.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any

PLACES = ("airflow.sdk.observability.stats", "airflow.observability.stats", "airflow.stats")
"""Of Airflow 3.2 and later in a worker, and in a triggerer; of those before. Never the last where one of the others is:
Airflow warns that it is deprecated."""


def find_stats() -> Any:
    """Return the ``Stats`` that this process has initialized; where it has none, one that drops what it is given.

    :raises ImportError: there is none at all
    """
    found: list[Any] = []
    for place in PLACES:
        if found and place == PLACES[-1]:
            break
        with contextlib.suppress(ImportError, AttributeError):
            found.append(importlib.import_module(place).Stats)
    if not found:
        raise ImportError(f"Stats is in none of {', '.join(PLACES)}: is this a supported release of Airflow?")
    return next((stats for stats in found if _is_initialized(stats)), found[0])


def hostname() -> str:
    """Return this host's name, as Airflow's own metrics have it; may wait for DNS."""
    return str(importlib.import_module("airflow.utils.net").get_hostname())


def _is_initialized(stats: Any) -> bool:
    """Return whether a ``Stats`` has a backend: a class up to 3.2, which stands for its module in 3.3."""
    factory = getattr(stats, "factory", None) or getattr(sys.modules[stats.__module__], "_factory", None)
    return factory is not None and getattr(factory, "__name__", "") != "NoStatsLogger"
