# SPDX-License-Identifier: Apache-2.0
"""A connection, added, tested and edited in Airflow's web UI as a person would."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.get_provider_info import CONNECTION_TYPE
from tests.support.airflow_ui import AirflowUI
from tests.support.ui_steps import ConnectionForm, ConnectionsPage

EXTRAS: dict[str, Any] = CONNECTION_TYPE["conn-fields"]
STANDARD = {
    "host": "Host or base URL",
    "port": "Port",
    "login": "User or AccessKey ID",
    "password": "Token, Secret or API key",
}


@pytest.fixture
def connections(page: Page) -> ConnectionsPage:
    connections = ConnectionsPage(page)
    connections.open()
    return connections


@pytest.fixture
def form(connections: ConnectionsPage) -> ConnectionForm:
    """The form of a new connection, of which nothing but the type is said."""
    form = connections.add()
    form.choose_type("Cloud VoD Trim")
    return form


def test_the_standard_fields(form: ConnectionForm) -> None:
    for name, label in STANDARD.items():
        field = form.dialog.get_by_label(label, exact=True)
        expect(field).to_be_visible()
        expect(field).to_have_attribute("name", name)
        expect(field).to_have_attribute("placeholder", CONNECTION_TYPE["ui-field-behaviour"]["placeholders"][name])
    expect(form.dialog.get_by_label("Schema", exact=True)).to_have_count(0)


def check_choices(page: Page, row: Locator, schema: dict[str, Any]) -> None:
    expect(row).to_contain_text(schema.get("values_display", {}).get(schema["default"], schema["default"]))
    row.get_by_role("combobox").click()
    options = page.get_by_role("option")
    shown = [schema.get("values_display", {}).get(value, value) for value in schema["enum"]]
    expect(options).to_have_text(shown)
    options.nth(schema["enum"].index(schema["default"])).click()


def check_secret(page: Page, row: Locator, schema: dict[str, Any]) -> None:
    field = row.locator("input")
    field.fill("s3cret")
    expect(field).to_have_attribute("type", "password")
    row.get_by_role("button", name="Show value").click()
    expect(field).to_have_attribute("type", "text")
    field.fill("")


def check_switch(page: Page, row: Locator, schema: dict[str, Any]) -> None:
    expect(row.get_by_role("checkbox")).not_to_be_checked()


def check_number(page: Page, row: Locator, schema: dict[str, Any]) -> None:
    field = row.get_by_role("spinbutton")
    expect(field).to_have_value(str(schema["default"]))
    field.fill(str(10 * schema["maximum"]))
    field.blur()
    expect(field).to_have_value(str(schema["maximum"]))


def check_text(page: Page, row: Locator, schema: dict[str, Any]) -> None:
    field = row.locator("input")
    expect(field).to_have_value(schema.get("default", ""))
    offered = row.locator("datalist option").evaluate_all("options => options.map(option => option.value)")
    assert offered == schema.get("examples", [])


def kind_of(schema: dict[str, Any]) -> Callable[[Page, Locator, dict[str, Any]], None]:
    if "enum" in schema:
        return check_choices
    if schema.get("format") == "password":
        return check_secret
    if "boolean" in schema["type"]:
        return check_switch
    return check_number if "number" in schema["type"] else check_text


def test_every_extra_has_a_label_a_description_and_a_fitting_input(form: ConnectionForm, page: Page) -> None:
    form.show("Extra Fields")
    for definition in EXTRAS.values():
        row = form.row(definition["label"])
        expect(row).to_have_count(1)
        expect(row.get_by_text(definition["description"], exact=True)).to_be_visible()
        kind_of(definition["schema"])(page, row, definition["schema"])


def test_a_connection_from_the_form_to_its_test(
    form: ConnectionForm,
    connections: ConnectionsPage,
    page: Page,
    service: TrimEmulator,
    airflow: AirflowUI,
    picture: Any,
) -> None:
    form.dialog.get_by_label("Connection ID").fill("trim_production")
    form.fill(host=f"http://{service.host}", port=str(service.port), login=service.user, password=service.token)
    picture("connection-form", of=form.dialog, height=900)
    form.fill_extra("Timeout (seconds)", "20")
    picture("connection-extras", of=form.dialog, height=2250)
    form.save()
    expect(connections.row("trim_production")).to_contain_text(service.host)
    stored = airflow.api("GET", "/connections/trim_production")
    given = {name: value for name, value in json.loads(stored["extra"]).items() if value not in (None, False)}
    assert given == {
        "auth": "token",
        "method": "POST",
        "timeout": 20,
        "verify": "true",
        "quota": "300/5 minutes",
        "callback_poll_factor": 60,
    }

    before = service.call_count
    notification = connections.test("trim_production")
    expect(notification).to_contain_text("Test Connection Successful")
    expect(notification).to_contain_text(f"{service.url} responded and accepted the credentials.")
    assert service.call_count == before + 1
    picture("connection-test")


def test_a_wrong_token_is_refused_with_a_helpful_message(
    connections: ConnectionsPage, service: TrimEmulator, airflow: AirflowUI, picture: Any
) -> None:
    airflow.add_connection("trim_mistyped")
    connections.open()
    form = connections.edit("trim_mistyped")
    form.fill(password="not-the-t0ken")
    form.save()
    notification = connections.test("trim_mistyped")
    expect(notification).to_contain_text("Test Connection Failed")
    for part in ("authentication failed", "userId or token is wrong", "HTTP status 401", "request id"):
        expect(notification).to_contain_text(part)
    expect(notification).to_contain_text("Check user, token (or key) and authentication scheme")
    expect(notification).not_to_contain_text("not-the-t0ken")
    picture("connection-refused")
