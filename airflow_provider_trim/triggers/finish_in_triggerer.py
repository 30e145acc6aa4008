# SPDX-License-Identifier: Apache-2.0
"""The end of a task in the triggerer: no worker is started to say that all went well."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from typing import Any

from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from airflow_provider_trim.compat import conf
from airflow_provider_trim.links.trim import URL_KEY
from airflow_provider_trim.waiting.protocols import TaskInstanceKey
from airflow_provider_trim.waiting.results import TrimResults

RETURN_VALUE = "return_value"


def build_xcoms(results: TrimResults) -> dict[str, Any]:
    """Return what a worker would push: ``videoInfo``, and the address that the link leads to."""
    xcoms = {RETURN_VALUE: results.video_info()}
    if url := results.url():
        xcoms[URL_KEY] = url
    return xcoms


def exceeds_max_map_length(xcoms: Mapping[str, Any]) -> bool:
    """Return whether Airflow takes the result from a worker only, which knows whether a task is mapped over it.

    The length goes with what a triggerer pushes, and is refused beyond ``[core] max_map_length`` (3.3.2).
    """
    return bool(len(xcoms[RETURN_VALUE]) > conf.getint("core", "max_map_length", fallback=1024))


async def push_and_succeed(ti: TaskInstanceKey, xcoms: Mapping[str, Any]) -> TriggerEvent:
    """Push XComs and return the event that ends the task.

    :param ti: the task instance, as the triggerer knows it
    :param xcoms: plain JSON values by their keys
    """
    try:
        xcom = importlib.import_module("airflow.sdk.execution_time.xcom").XCom
    except ImportError:  # Airflow 2.11, which has the event's own encoded once
        return TaskSuccessEvent(xcoms=dict(xcoms))
    # Airflow 3 encodes those of the event twice, so that a task that pulls one gets JSON text (3.3.2).
    for key, value in xcoms.items():
        where = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}
        # Without its length, no task could be mapped over it.
        length = len(value) if key == RETURN_VALUE and isinstance(value, list | dict) else None
        await asyncio.to_thread(xcom.set, key, value, **where, _mapped_length=length)
    return TaskSuccessEvent()
