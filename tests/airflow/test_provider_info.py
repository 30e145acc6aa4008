# SPDX-License-Identifier: Apache-2.0
"""The provider's metadata, compared with Airflow's schemas and the output of its commands."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers.common.compat.sdk import BaseHook, BaseOperator
from airflow.providers_manager import ProvidersManager
from airflow.triggers.base import BaseTrigger

import airflow_provider_trim
from airflow_provider_trim.get_provider_info import CONNECTION_TYPE, get_provider_info
from airflow_provider_trim.vod.settings import TrimSettings

try:
    from airflow.sdk._shared.secrets_masker import should_hide_value_for_key
except ImportError:
    from airflow.utils.log.secrets_masker import should_hide_value_for_key

AIRFLOW = Path(airflow.__file__).parent


def schema(name: str) -> Any:
    return json.loads((AIRFLOW / name).read_text(encoding="utf-8"))


def test_it_is_valid_by_airflows_schema() -> None:
    jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))


def test_the_connection_form_is_valid_by_airflows_schema() -> None:
    full = schema("provider.yaml.schema.json")
    jsonschema.validate([CONNECTION_TYPE], full["properties"]["connection-types"])


def test_every_extra_has_a_field_and_every_field_is_an_extra() -> None:
    extras = TrimSettings.model_fields.keys() - {"base_url", "login", "password"}
    assert CONNECTION_TYPE["conn-fields"].keys() == extras


@pytest.mark.parametrize("name", CONNECTION_TYPE["conn-fields"])
def test_what_a_field_offers_is_accepted(name: str) -> None:
    offered = CONNECTION_TYPE["conn-fields"][name]["schema"]
    values = [offered.get(key) for key in ("default", "minimum", "maximum")]
    for value in [*values, *offered.get("enum", []), *offered.get("examples", [])]:
        TrimSettings.from_connection(extra={name: value, "allow_token_in_url": True})


def test_every_field_says_what_it_is_for_and_what_it_is_when_empty() -> None:
    for name, field in CONNECTION_TYPE["conn-fields"].items():
        assert field["label"], name
        kind = field["schema"]
        assert ("Off: " if "boolean" in kind["type"] else "Empty: ") in field["description"] or "enum" in kind, name
        assert set(kind.get("values_display", kind.get("enum", []))) == set(kind.get("enum", [])), name


def test_the_mask_of_airflows_form_switches_nothing_on() -> None:
    """The form shows *** for the default of a field whose name holds "token", and a switch takes that for true."""
    for name, field in CONNECTION_TYPE["conn-fields"].items():
        if should_hide_value_for_key(name):
            assert field["schema"].get("default") is None, name


@pytest.mark.parametrize(
    ("section", "base"),
    [("hooks", BaseHook), ("operators", BaseOperator), ("sensors", BaseOperator), ("triggers", BaseTrigger)],
)
def test_every_module_listed_is_there(section: str, base: type) -> None:
    for entry in get_provider_info()[section]:
        for name in entry["python-modules"]:
            module = importlib.import_module(name)
            classes = [value for value in vars(module).values() if inspect.isclass(value)]
            assert any(issubclass(value, base) and value.__module__ == name for value in classes)


def test_airflow_knows_the_provider_and_its_hook() -> None:
    """Whether its command line lists them: tests/test_lines.py."""
    manager = ProvidersManager()
    assert manager.providers["airflow-provider-trim"].version == airflow_provider_trim.__version__
    (hook,) = [hook for name, hook in manager.hooks.items() if "trim" in name and hook]
    assert hook.hook_class_name == "airflow_provider_trim.hooks.trim.TrimApiHook"
    assert (hook.connection_id_attribute_name, hook.hook_name) == ("trim_conn_id", "Cloud VoD Trim")


def test_provider_info_imports_nothing() -> None:
    """It is read at every start of Airflow."""
    code = (
        "import sys; before = set(sys.modules); import airflow_provider_trim.get_provider_info;"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= sys.stdlib_module_names | {"airflow_provider_trim"}
