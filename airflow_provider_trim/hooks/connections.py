# SPDX-License-Identifier: Apache-2.0
"""From an Airflow connection to settings, in workers and in event loops, and its form for Airflow 2.11."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_trim.compat import AirflowNotFoundException, get_async_connection, get_async_extra_dejson
from airflow_provider_trim.get_provider_info import CONNECTION_TYPE
from airflow_provider_trim.vod.errors import TrimSettingsError, TrimTransportError
from airflow_provider_trim.vod.settings import TrimSettings

if TYPE_CHECKING:
    from airflow_provider_trim.compat import Connection


def settings_of(connection: Connection, extra: Any) -> TrimSettings:
    """Validate a connection.

    :param extra: its extras, parsed
    :raises TrimSettingsError: it can't work
    """
    if not isinstance(extra, dict):
        raise TrimSettingsError(f"connection extra should be a JSON object, not {type(extra).__name__}")
    return TrimSettings.from_connection(
        host=connection.host,
        login=connection.login,
        password=connection.password,
        schema=connection.schema,
        port=connection.port,
        extra=extra,
    )


@contextlib.contextmanager
def look_up_errors(conn_id: str) -> Iterator[None]:
    """Translate what Airflow raises while it looks a connection up into what a wait knows how to take.

    "Not found" may pass: Airflow 3 says the same where the api-server or a secrets backend is away or too slow (seen in
    workers of 3.3.2), and that must end neither a task for good nor all waits of a triggerer.

    :raises TrimSettingsError: it does not exist, as far as Airflow can tell (retryable)
    :raises TrimTransportError: it can't be looked up just now
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
        raise TrimTransportError(f"connection {conn_id!r} could not be looked up: {reason}") from error


async def load_settings(conn_id: str) -> TrimSettings:
    """Look a connection up from within an event loop.

    :raises TrimSettingsError: it does not exist (retryable), or can't work
    :raises TrimTransportError: it can't be looked up just now
    """
    with look_up_errors(conn_id):
        connection = await get_async_connection(conn_id)
    return settings_of(connection, await get_async_extra_dejson(connection))


def form_widgets() -> dict[str, Any]:
    """Return the extras' fields for the connection form of Airflow 2.11, made of what Airflow 3 is told.

    That form knows four kinds of fields and none of choices: those are named in the description, and checked.
    """
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
    from wtforms import BooleanField, IntegerField, PasswordField, StringField
    from wtforms.validators import AnyOf, NumberRange, Optional

    def field(definition: dict[str, Any]) -> Any:
        schema, description = definition["schema"], definition["description"]
        if "boolean" in schema["type"]:
            return BooleanField(definition["label"], description=description)
        kind, widget, checks = StringField, BS3TextFieldWidget(), [Optional()]
        if "number" in schema["type"]:
            kind = IntegerField
            checks.append(NumberRange(schema["minimum"], schema["maximum"]))
        elif schema.get("format") == "password":
            kind, widget = PasswordField, BS3PasswordFieldWidget()
        elif "enum" in schema:
            checks.append(AnyOf(schema["enum"]))
            description = f"{description} One of: {', '.join(schema['enum'])}. Empty: {schema['default']}."
        return kind(definition["label"], validators=checks, description=description, widget=widget)

    return {name: field(definition) for name, definition in CONNECTION_TYPE["conn-fields"].items()}
