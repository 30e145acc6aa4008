# SPDX-License-Identifier: Apache-2.0
"""What only Airflow 2.11 needs of the sensor, to be deleted with it."""

from __future__ import annotations

import datetime
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_trim.compat import BaseSensorOperator


def first_reschedule_start(sensor: BaseSensorOperator, ti: Any) -> datetime.datetime | None:
    """Return when a sensor in reschedule mode first began, as Airflow 2.11 finds out itself; None if that is now.

    :param ti: Airflow 2.11's own task instance
    """
    base: Any = importlib.import_module("airflow.sensors.base")
    date = base._orig_start_date(
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        map_index=ti.map_index,
        try_number=(ti.max_tries or 0) - (sensor.retries or 0) + 1,
    )
    return date if isinstance(date, datetime.datetime) else None
