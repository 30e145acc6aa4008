# SPDX-License-Identifier: Apache-2.0
"""Names of Airflow that are in other places on other lines, each imported at its first use.

``apache-airflow-providers-common-compat`` serves the same purpose, and is tried first. But Airflow's constraints files,
up to those of 3.2, pin versions that lack some names (``conf`` before 1.13, ``get_async_extra_dejson`` before 1.21) or
all of them (before 1.8), and this package must work with those, too. Once ``pyproject.toml`` requires 1.21, this folder
can go: import from ``airflow.providers.common.compat.sdk`` and ``.connection`` then.
"""

from __future__ import annotations

import contextlib
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.connection import get_async_connection as get_async_connection
    from airflow.providers.common.compat.connection import get_async_extra_dejson as get_async_extra_dejson
    from airflow.providers.common.compat.sdk import AirflowFailException as AirflowFailException
    from airflow.providers.common.compat.sdk import AirflowNotFoundException as AirflowNotFoundException
    from airflow.providers.common.compat.sdk import AirflowPlugin as AirflowPlugin
    from airflow.providers.common.compat.sdk import AirflowSensorTimeout as AirflowSensorTimeout
    from airflow.providers.common.compat.sdk import AirflowSkipException as AirflowSkipException
    from airflow.providers.common.compat.sdk import AirflowTaskTimeout as AirflowTaskTimeout
    from airflow.providers.common.compat.sdk import BaseHook as BaseHook
    from airflow.providers.common.compat.sdk import BaseOperator as BaseOperator
    from airflow.providers.common.compat.sdk import BaseOperatorLink as BaseOperatorLink
    from airflow.providers.common.compat.sdk import BaseSensorOperator as BaseSensorOperator
    from airflow.providers.common.compat.sdk import Connection as Connection
    from airflow.providers.common.compat.sdk import Context as Context
    from airflow.providers.common.compat.sdk import PokeReturnValue as PokeReturnValue
    from airflow.providers.common.compat.sdk import XCom as XCom
    from airflow.providers.common.compat.sdk import XComArg as XComArg
    from airflow.providers.common.compat.sdk import conf as conf

_SDK = "airflow.providers.common.compat.sdk"
_CONNECTION = "airflow.providers.common.compat.connection"
_OWN_CONNECTION = f"{__name__}.connection"
_EXCEPTIONS = (_SDK, "airflow.sdk.exceptions", "airflow.exceptions")

PLACES = {
    "AirflowFailException": _EXCEPTIONS,
    "AirflowNotFoundException": _EXCEPTIONS,
    "AirflowPlugin": (_SDK, "airflow.sdk.plugins_manager", "airflow.plugins_manager"),
    "AirflowSensorTimeout": _EXCEPTIONS,
    "AirflowSkipException": _EXCEPTIONS,
    "AirflowTaskTimeout": _EXCEPTIONS,
    "BaseHook": (_SDK, "airflow.sdk", "airflow.hooks.base"),
    "BaseOperator": (_SDK, "airflow.sdk", "airflow.models.baseoperator"),
    "BaseOperatorLink": (_SDK, "airflow.sdk", "airflow.models.baseoperatorlink"),
    "BaseSensorOperator": (_SDK, "airflow.sdk", "airflow.sensors.base"),
    "Connection": (_SDK, "airflow.sdk", "airflow.models.connection"),
    "Context": (_SDK, "airflow.sdk", "airflow.utils.context"),
    "PokeReturnValue": (_SDK, "airflow.sdk", "airflow.sensors.base"),
    "XCom": (_SDK, "airflow.sdk.execution_time.xcom", "airflow.models.xcom"),
    "XComArg": (_SDK, "airflow.sdk", "airflow.models.xcom_arg"),
    "conf": (_SDK, "airflow.sdk.configuration", "airflow.configuration"),
    "get_async_connection": (_CONNECTION, _OWN_CONNECTION),
    "get_async_extra_dejson": (_CONNECTION, _OWN_CONNECTION),
}
"""By name, the modules that may have it; the first that has is taken: common.compat, Airflow 3, Airflow 2.11."""


def find(name: str, places: tuple[str, ...]) -> Any:
    """Return ``name`` of the first module that has it.

    :param places: full names of modules, which need not exist
    :raises ImportError: none has it
    """
    for place in places:
        with contextlib.suppress(ImportError, AttributeError):
            return getattr(importlib.import_module(place), name)
    raise ImportError(f"{name} is in none of {', '.join(places)}: is this a supported release of Airflow?")


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = find(name, PLACES[name])
    return found
