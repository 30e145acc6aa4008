# SPDX-License-Identifier: Apache-2.0
"""Every name that users may rely on says what it is: all that docs/api.md shows, down to members and parameters."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.pages import ROOT

API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
CONTRACT = {
    "hooks.trim": ["TrimApiHook"],
    "sensors.trim": ["TrimTaskStatusSensor"],
    "operators.trim": ["TrimVideoInfoOperator", "TrimVideoOperator"],
    "triggers.trim": ["TrimTaskStatusTrigger"],
    "vod.models": ["TrimTask", "TrimStatus", "VideoInfo", "VideoResolution"],
    "vod.errors": ["TrimError"],
    "vod.submission": ["TrimSubmission"],
    "emulator": ["TrimEmulator"],
}
"""What the design promises."""


def shown() -> Iterator[tuple[str, Any]]:
    """All that the API reference shows, by name."""
    for name in re.findall(r"autoclass:: ([\w.]+)", API):
        module, _, attribute = name.rpartition(".")
        yield name, getattr(importlib.import_module(module), attribute)
    for name in re.findall(r"automodule:: ([\w.]+)", API):
        module = importlib.import_module(name)
        exported = getattr(module, "__all__", None) or [
            key for key, value in vars(module).items() if getattr(value, "__module__", "") == name and key[0] != "_"
        ]
        for key in exported:
            if callable(value := getattr(module, key)):
                yield f"{name}.{key}", value


SHOWN = dict(shown())
PACKAGE = "airflow_provider_trim"


def own_members(cls: type) -> Iterator[tuple[str, Any]]:
    """Public methods and properties that this package defines, inherited ones as well."""
    for base in cls.__mro__:
        if base.__module__.startswith(PACKAGE):
            for name, member in vars(base).items():
                is_callable = inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod)
                if is_callable and not name.startswith("_"):
                    yield f"{base.__qualname__}.{name}", member


def test_the_reference_shows_all_that_is_promised() -> None:
    promised = {f"{PACKAGE}.{module}.{name}" for module, names in CONTRACT.items() for name in names}
    assert promised <= SHOWN.keys()


@pytest.mark.parametrize("name", SHOWN)
def test_docstrings(name: str) -> None:
    value = SHOWN[name]
    assert inspect.cleandoc(value.__doc__ or ""), name
    if inspect.isclass(value):
        for member_name, member in own_members(value):
            assert inspect.getdoc(member), member_name


def has_init(value: Any) -> bool:
    """Whether it is a class that says itself how it is made; fields of records are explained where they are."""
    return (
        inspect.isclass(value)
        and not dataclasses.is_dataclass(value)
        and not getattr(value, "_is_protocol", False)
        and inspect.isfunction(vars(value).get("__init__"))
    )


@pytest.mark.parametrize("name", [name for name, value in SHOWN.items() if has_init(value)])
def test_parameters(name: str) -> None:
    """Each parameter is explained in the docstring, or in that of a base."""
    cls = SHOWN[name]
    text = "".join(base.__doc__ or "" for base in cls.__mro__ if base.__module__.startswith(PACKAGE))
    explained = {name for pair in re.findall(r":param (\w+):|``(\w+)``", text) for name in pair}
    _, *parameters = inspect.signature(cls.__init__).parameters.values()
    declared = {parameter.name for parameter in parameters if parameter.kind is not parameter.VAR_KEYWORD}
    assert declared <= explained, declared - explained
