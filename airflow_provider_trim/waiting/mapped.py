# SPDX-License-Identifier: Apache-2.0
"""Arguments of mapped tasks, as each of them will have them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from airflow_provider_trim.compat import BaseOperator


def own_parameters(kind: type) -> set[str]:
    """Return the names of an operator's parameters that Airflow's base operator does not have."""
    names: set[str] = set()
    for one in kind.__mro__[: kind.__mro__.index(BaseOperator)]:
        if "__init__" in vars(one):
            parameters = inspect.signature(vars(one)["__init__"]).parameters.values()
            names |= {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    return names


def with_default_args(kind: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``partial()`` with what their own ``default_args`` say.

    Airflow takes from these what its base operator knows, and drops the rest (2.11.2, 3.3.2).
    """
    defaults = arguments.get("default_args") or {}
    return {**{name: defaults[name] for name in own_parameters(kind) & set(defaults)}, **arguments}


def mapped_arguments(kind: type, partial: Any) -> dict[str, Any]:
    """Return all arguments that are known before the task is mapped, the DAG's and the group's defaults among them.

    :param partial: Airflow's ``OperatorPartial``, which has of these what its base operator knows
    """
    dag, group = partial.kwargs.get("dag"), partial.kwargs.get("task_group")
    defaults = {**(getattr(dag, "default_args", None) or {}), **(getattr(group, "default_args", None) or {})}
    return {**{name: defaults[name] for name in own_parameters(kind) & set(defaults)}, **partial.kwargs}
