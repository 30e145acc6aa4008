# SPDX-License-Identifier: Apache-2.0
"""Loads Airflow connections and validates them, in workers and in event loops."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_trim.compat import AirflowNotFoundException, get_async_connection, get_async_extra_dejson
from airflow_provider_trim.get_provider_info import CONNECTION_TYPE
from airflow_provider_trim.vod.errors import TrimSettingsError, TrimTransportError
from airflow_provider_trim.vod.redaction import excerpt
from airflow_provider_trim.vod.settings import TrimSettings

if TYPE_CHECKING:
    from airflow_provider_trim.compat import Connection

_FIELDS = ("conn_type", "description", "extra", "host", "login", "password", "port", "schema")
"""Of a connection's JSON."""

_MEANT = {
    **dict.fromkeys(("user", "username", "user_id", "userId", "accessKey"), "login"),
    **dict.fromkeys(("token", "secret", "key", "api_key", "apiKey", "verification_token"), "password"),
    **dict.fromkeys(("base_url", "url", "endpoint", "hostname"), "host"),
    **dict.fromkeys(("type", "connection_type"), "conn_type"),
}
"""By what is written in its place, a field of a connection's JSON."""

_EXAMPLE = """trim://login:password@ (percent-encoded) or {"conn_type": "trim", "login": "me", "password": "t"}"""

CONNECTION_TYPE_NAME: str = CONNECTION_TYPE["connection-type"]


def parse_settings(connection: Connection, extra: Any) -> TrimSettings:
    """Validate a connection.

    :param extra: its extras, parsed
    :raises TrimSettingsError: it is of another type, or can't work
    """
    if not (connection.login or connection.password):
        _check_text(connection)
    if connection.conn_type not in (None, "", CONNECTION_TYPE_NAME):
        # Its password is meant for another service.
        raise TrimSettingsError(
            f"connection {excerpt(connection.conn_id)!r} is of type {excerpt(connection.conn_type)!r}, not "
            f"{CONNECTION_TYPE_NAME!r}; correct its type, or trim_conn_id"
        )
    if not isinstance(extra, dict):
        raise TrimSettingsError(f"connection extra must be a JSON object, not {type(extra).__name__}")
    if not extra:
        _check_json(connection.extra)
    return TrimSettings.from_connection(
        host=connection.host,
        login=connection.login,
        password=connection.password,
        schema=connection.schema,
        port=connection.port,
        extra=extra,
    )


def _check_text(connection: Connection) -> None:
    """Refuse what Airflow has read as a URI without being one; the defaults would be sent without credentials.

    :raises TrimSettingsError: it is that
    """
    text = os.environ.get(_variable(connection.conn_id or ""), "")
    if text and not re.match(r"\s*\{|[\w.+-]*://", text):
        raise _unreadable(connection.conn_id or "", text)
    if not (connection.conn_type or connection.host or connection.extra):
        raise TrimSettingsError(
            f"connection {excerpt(connection.conn_id)!r} has no type, host, login or password; "
            f"it must be a URI, or JSON of texts, such as {_EXAMPLE}"
        )


def _variable(conn_id: str) -> str:
    return f"AIRFLOW_CONN_{conn_id.upper()}"


def _unreadable(conn_id: str, text: str) -> TrimSettingsError:
    """Return the error of an environment variable that is no connection."""
    stripped = text.strip()
    if stripped[:1] in ("'", '"'):
        why = "; remove the quotes around it"
    elif "://" in stripped and not stripped.startswith("{"):
        why = "; percent-encode the characters /, @, : and % of login and password"
    else:
        why = _misplaced(stripped)
    return TrimSettingsError(
        f"connection {excerpt(conn_id)!r} can't be read from the environment variable {excerpt(_variable(conn_id))}; "
        f"it must be a URI, or JSON of texts, such as {_EXAMPLE}{why}"
    )


def _check_json(text: str | None) -> None:
    """Refuse extras that are no JSON, of which Airflow makes none; unlike them, the defaults may be another account's.

    :raises TrimSettingsError: they are not
    """
    try:
        json.loads(text or "{}")
    except ValueError as error:
        raise TrimSettingsError(f"connection extra is not valid JSON: {error}") from None


def _misplaced(text: str) -> str:
    """Return what is wrong with the fields of a connection's JSON, for the end of a message; empty if nothing is."""
    try:
        fields = json.loads(text)
    except ValueError:
        return ""
    unknown = [name for name in fields if name not in _FIELDS] if isinstance(fields, dict) else []
    if not unknown:
        return ""
    shown = excerpt(unknown[0], str(fields.get("password") or ""))
    instead = f"write {_MEANT[unknown[0]]!r}" if unknown[0] in _MEANT else 'extras belong under "extra"'
    return f"; a connection has no field {shown!r}: {instead}"


@contextlib.contextmanager
def connection_errors(conn_id: str) -> Iterator[None]:
    """Translate what Airflow raises while it loads a connection into errors that a wait can handle.

    "Not found" may pass: Airflow 3 says the same if the api-server or a secrets backend is unreachable or too slow
    (seen in workers of 3.3.2), and that must end neither a task for good nor all waits of a triggerer.

    :raises TrimSettingsError: it does not exist, as far as Airflow can tell (retryable), or its environment variable
        can't be read
    :raises TrimTransportError: it can't be loaded just now
    """
    if not isinstance(conn_id, str):
        raise TrimSettingsError(f"trim_conn_id must be a string, not {type(conn_id).__name__}")
    try:
        yield
    except AirflowNotFoundException:
        if text := os.environ.get(_variable(conn_id)):
            # Airflow logs why, and tries the next secrets backend.
            raise _unreadable(conn_id, text) from None
        raise TrimSettingsError(
            f"there is no connection {excerpt(conn_id)!r}; add one of type trim, or correct trim_conn_id",
            retryable=True,
        ) from None
    except Exception as error:
        # Secrets backends raise what they like, and none of it may end the waits of a whole triggerer.
        reason = type(error).__name__
        raise TrimTransportError(f"connection {excerpt(conn_id)!r} could not be loaded: {reason}") from error


async def load_settings(conn_id: str) -> TrimSettings:
    """Load a connection from within an event loop.

    :raises TrimSettingsError: it does not exist (retryable), or can't work
    :raises TrimTransportError: it can't be loaded just now
    """
    with connection_errors(conn_id):
        connection = await get_async_connection(conn_id)
    return parse_settings(connection, await get_async_extra_dejson(connection))
