# SPDX-License-Identifier: Apache-2.0
"""Connections from within an event loop, for where common.compat has no function for that (before 1.21)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_trim.compat import BaseHook

if TYPE_CHECKING:
    from airflow_provider_trim.compat import Connection


async def get_async_connection(conn_id: str) -> Connection:
    """Load a connection.

    :raises Exception: whatever Airflow's secrets backends raise
    """
    if hasattr(BaseHook, "aget_connection"):  # Airflow 3.1
        return await BaseHook.aget_connection(conn_id)
    # A thread that asgiref doesn't know can't call a triggerer's supervisor.
    from asgiref.sync import sync_to_async

    return await sync_to_async(BaseHook.get_connection)(conn_id)


async def get_async_extra_dejson(connection: Connection) -> dict[str, Any]:
    """Return a connection's extras, parsed; Airflow masks their secrets in logs from then on."""
    if hasattr(connection, "aextra_dejson"):  # Airflow 3.3.2
        return dict(await connection.aextra_dejson())
    from asgiref.sync import sync_to_async

    return await sync_to_async(lambda: connection.extra_dejson)()
