# SPDX-License-Identifier: Apache-2.0
"""An XCom backend that keeps every value in an object of its own; and a DAG run over it, for a process that uses it."""

from __future__ import annotations

import json
import os
from typing import Any

try:
    from airflow.sdk.bases.xcom import BaseXCom
except ImportError:  # Airflow 2.11
    from airflow.models.xcom import BaseXCom

PATH = "tests.airflow.xcom_backend.OwnBackend"


class OwnBackend(BaseXCom):
    """What it stores, no other backend can read."""

    @staticmethod
    def serialize_value(value: Any, **where: Any) -> Any:
        """Wrap a value."""
        return BaseXCom.serialize_value({"kept": value}, **where)

    @staticmethod
    def deserialize_value(result: Any) -> Any:
        """Return what was wrapped."""
        return BaseXCom.deserialize_value(result)["kept"]


def main() -> None:
    """Run a task of each column, and one after it that takes its result, and print what is shown."""
    import pendulum

    from airflow_provider_trim.emulator import TrimEmulator
    from tests.airflow.scenarios import COLUMNS, Cell, output
    from tests.support.emulators import connection_to
    from tests.support.running import DAG, register

    with TrimEmulator(duration=0.1) as emulator:
        os.environ["AIRFLOW_CONN_TRIM_DEFAULT"] = json.dumps(connection_to(emulator, quota="off"))
        expected = {}
        with DAG("backend", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")) as dag:
            for column in COLUMNS.values():
                cell = Cell(column, "backend")
                expected |= output(cell)
                for clip in [] if cell.submits else cell.clips:
                    emulator.add_trim(clip, seconds=0)
        register(dag)
        run = dag.test()
        after = {name: value for name, value in expected.items() if name.endswith("_after")}
        found = {name: run.get_task_instance(name).xcom_pull(task_ids=name) for name in after}
        print(json.dumps({"expected": after, "found": found}))


if __name__ == "__main__":
    main()
