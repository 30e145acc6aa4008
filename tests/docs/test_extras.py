# SPDX-License-Identifier: Apache-2.0
"""A connection extra is in every place where a user needs it. CONTRIBUTING.md lists them."""

from __future__ import annotations

import re

from pydantic import SecretStr

from airflow_provider_trim.get_provider_info import CONNECTION_TYPE
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.pages import ROOT

FORM = CONNECTION_TYPE["conn-fields"]
PAGE = (ROOT / "docs" / "connection.md").read_text(encoding="utf-8").partition("\n## Extras\n")[2].partition("\n## ")[0]
TABLE = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", PAGE, re.MULTILINE))
"""Extras and their defaults, as the page shows them."""


def shown(default: object) -> str:
    match default:
        case None | ():
            return "–"
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}"
        case SecretStr():
            return f"`{default.get_secret_value()}`"
    return f"`{default}`"


def test_the_page_lists_them_in_the_forms_order() -> None:
    assert list(TABLE) == list(FORM)


def test_the_page_shows_their_defaults() -> None:
    assert {name: shown(TrimSettings.model_fields[name].default) for name in FORM} == TABLE


def test_a_field_to_be_filled_in_shows_an_example_on_airflow_2() -> None:
    schemas = {name: field["schema"] for name, field in FORM.items()}
    filled_in = {name for name, kind in schemas.items() if "enum" not in kind and "boolean" not in kind["type"]}
    placeholders = CONNECTION_TYPE["ui-field-behaviour"]["placeholders"]
    assert placeholders.keys() & FORM.keys() == filled_in


def test_the_changelog_names_them() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert [name for name in FORM if f"`{name}`" not in changelog] == []
