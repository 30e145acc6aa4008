# SPDX-License-Identifier: Apache-2.0
"""The connection form, which Airflow 2.11 gets from the hook; Airflow 3 reads the provider info instead.

Delete this module, and the hook's two attributes of these names, when Airflow 2.11 is no longer supported.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_trim.get_provider_info import CONNECTION_TYPE


def get_ui_field_behaviour() -> dict[str, Any]:
    """Return which standard fields the form of Airflow 2.11 hides, and what it calls the others."""
    return {name.replace("-", "_"): value for name, value in CONNECTION_TYPE["ui-field-behaviour"].items()}


def get_connection_form_widgets() -> dict[str, Any]:
    """Return the extras' fields for the form of Airflow 2.11, made from the provider info.

    That form knows four kinds of fields and none of choices: those are named in the description, and checked.
    """
    return {name: _widget(definition) for name, definition in CONNECTION_TYPE["conn-fields"].items()}


def _widget(definition: dict[str, Any]) -> Any:
    # Airflow 2.11 has these; Airflow 3 may not.
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
    from wtforms import BooleanField, IntegerField, PasswordField, StringField
    from wtforms.validators import AnyOf, NumberRange, Optional

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
