# SPDX-License-Identifier: Apache-2.0
"""From an Airflow connection to settings, in workers and in event loops."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_trim.compat import AirflowNotFoundException, get_async_connection, get_async_extra_dejson
from airflow_provider_trim.vod.errors import TrimSettingsError, TrimTransportError
from airflow_provider_trim.vod.settings import TrimSettings

if TYPE_CHECKING:
    from airflow_provider_trim.compat import Connection


def parse_settings(connection: Connection, extra: Any) -> TrimSettings:
    """Validate a connection.

    :param extra: its extras, parsed
    :raises TrimSettingsError: it can't work
    """
    if not isinstance(extra, dict):
        raise TrimSettingsError(f"connection extra must be a JSON object, not {type(extra).__name__}")
    return TrimSettings.from_connection(
        host=connection.host,
        login=connection.login,
        password=connection.password,
        schema=connection.schema,
        port=connection.port,
        extra=extra,
    )


@contextlib.contextmanager
def connection_errors(conn_id: str) -> Iterator[None]:
    """Translate what Airflow raises while it loads a connection into errors that a wait can handle.

    "Not found" may pass: Airflow 3 says the same if the api-server or a secrets backend is unreachable or too slow
    (seen in workers of 3.3.2), and that must end neither a task for good nor all waits of a triggerer.

    :raises TrimSettingsError: it does not exist, as far as Airflow can tell (retryable)
    :raises TrimTransportError: it can't be loaded just now
    """
    try:
        yield
    except AirflowNotFoundException:
        raise TrimSettingsError(
            f"there is no connection {conn_id!r}; add one of type trim, or correct trim_conn_id", retryable=True
        ) from None
    except Exception as error:
        # Secrets backends raise what they like, and none of it may end the waits of a whole triggerer.
        reason = type(error).__name__
        raise TrimTransportError(f"connection {conn_id!r} could not be loaded: {reason}") from error


async def load_settings(conn_id: str) -> TrimSettings:
    """Load a connection from within an event loop.

    :raises TrimSettingsError: it does not exist (retryable), or can't work
    :raises TrimTransportError: it can't be loaded just now
    """
    with connection_errors(conn_id):
        connection = await get_async_connection(conn_id)
    return parse_settings(connection, await get_async_extra_dejson(connection))
