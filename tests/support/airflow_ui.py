# SPDX-License-Identifier: Apache-2.0
"""A live Airflow for its web UI: with the example DAGs, and a connection to an emulator in its database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_provider_trim.emulator import TrimEmulator
from tests.support.live_airflow import LiveAirflow

EXAMPLES = Path(__file__).parents[2] / "example_dags"


class AirflowUI(LiveAirflow):
    """A live Airflow for people, or for a browser.

    :param home: empty folder for its configuration, database and logs
    :param service: what the connection ``trim_default`` leads to; it has to run when this starts
    """

    def __init__(self, home: Path, service: TrimEmulator) -> None:
        # Idle workers, of which there are 32 by default, take their time to start.
        super().__init__(home, EXAMPLES, connections={}, settings={"CORE__PARALLELISM": "4"})
        self._service = service

    def start(self) -> None:
        """Start it, and return when the connection and the examples are there."""
        super().start()
        self.add_connection("trim_default", description="The emulator")
        for path in EXAMPLES.glob("*.py"):
            self.wait_for_dag(path.stem)

    def add_connection(self, conn_id: str, **fields: Any) -> None:
        """Store a connection to the emulator in Airflow's database."""
        connection = {
            "connection_id": conn_id,
            "conn_type": "trim",
            "host": f"http://{self._service.host}",
            "port": self._service.port,  # in Host, it would not satisfy the button "Test" of Airflow 3.3.2
            "login": self._service.user,
            "password": self._service.token,
            **fields,
        }
        self.api("POST", "/connections", json=connection)
