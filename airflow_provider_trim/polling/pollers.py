# SPDX-License-Identifier: Apache-2.0
"""The pollers of an event loop, one for each connection that something waits for."""

from __future__ import annotations

import asyncio
import weakref

from airflow_provider_trim.client.connection_cache import SettingsLoader
from airflow_provider_trim.metrics import NO_METRICS, AccountMetrics, Metrics
from airflow_provider_trim.polling.poller import MAX_CONCURRENT_CALLS, Poller

MAX_CALLS_OF_LOOP, MIN_CONCURRENT_CALLS = 512, 4
"""Calls that all pollers of a loop may have under way, and those that each of them has in any case.

Each call has a file descriptor, of which a process has 1,024 by default. If connections shared one pool instead, the
calls of one account whose service hangs would hold up all others.
"""

_pollers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Poller]] = weakref.WeakKeyDictionary()


def poller_for(conn_id: str, load: SettingsLoader, metrics: Metrics = NO_METRICS) -> Poller:
    """Return the running event loop's poller of a connection, made if there is none."""
    pollers = _pollers.setdefault(asyncio.get_running_loop(), {})
    if conn_id not in pollers:
        pollers[conn_id] = Poller(
            load,
            on_idle=lambda: pollers.__delitem__(conn_id),
            metrics=AccountMetrics(metrics),
            call_limit=lambda: calls_of_each(len(pollers)),
        )
    return pollers[conn_id]


def calls_of_each(pollers: int) -> int:
    """Return how many calls each of a number of pollers may have under way."""
    return max(min(MAX_CALLS_OF_LOOP // max(pollers, 1), MAX_CONCURRENT_CALLS), MIN_CONCURRENT_CALLS)
