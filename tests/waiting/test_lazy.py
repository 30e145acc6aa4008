# SPDX-License-Identifier: Apache-2.0
"""The door to what runs a wait: what type checkers see through it is what is there."""

from __future__ import annotations

import ast
import importlib
import inspect

import pytest

from airflow_provider_trim.waiting import lazy

SEEN = {
    alias.asname: node.module.removeprefix("airflow_provider_trim.")
    for node in ast.walk(ast.parse(inspect.getsource(lazy)))
    if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("airflow_provider_trim.")
    for alias in node.names
}


def test_what_is_declared_is_what_is_loaded() -> None:
    assert SEEN == lazy.PLACES


@pytest.mark.parametrize("name", lazy.PLACES)
def test_each_name_is_there(name: str) -> None:
    assert getattr(lazy, name) is getattr(importlib.import_module(f"airflow_provider_trim.{lazy.PLACES[name]}"), name)


def test_another_name_is_not() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = lazy.nothing
