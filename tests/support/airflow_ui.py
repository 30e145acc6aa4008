# SPDX-License-Identifier: Apache-2.0
"""A live Airflow for its web UI: with the example DAGs, and a connection to an emulator in its database."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

from airflow_provider_trim.emulator import TrimEmulator
from tests.support.live_airflow import API_LIMIT, HOST, LiveAirflow

EXAMPLES = Path(__file__).parents[2] / "example_dags"


class AirflowUI(LiveAirflow):
    """A live Airflow for people, or for a browser.

    :param home: empty folder for its configuration, database and logs
    :param service: what the connection ``trim_default`` leads to; it has to run when this starts
    :param users: role of each user, the first an admin's; without users, there is no login
    """

    def __init__(self, home: Path, service: TrimEmulator, users: dict[str, str] | None = None) -> None:
        settings = {
            "CORE__PARALLELISM": "4"
        }  # idle workers, of which there are 32 by default, take their time to start
        if users:
            settings |= {
                "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
                "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in users.items()),
                "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
            }
        super().__init__(home, EXAMPLES, connections={}, settings=settings)
        self.passwords = {name: secrets.token_urlsafe() for name in users or {}}
        self._service = service

    def token(self, user: str = "") -> str:
        """Log in and return the token: of the first user by default."""
        if not self.passwords:
            return super().token()
        name = user or next(iter(self.passwords))
        login = {"username": name, "password": self.passwords[name]}
        return str(self._session.post(f"{self.url}/auth/token", json=login, timeout=API_LIMIT).json()["access_token"])

    def session(self, user: str) -> dict[str, Any]:
        """Return what a browser stores of a user who is logged in, as Playwright has it."""
        cookie = {"name": "_token", "value": self.token(user), "domain": HOST, "path": "/", "expires": -1}
        return {"cookies": [{**cookie, "httpOnly": True, "secure": False, "sameSite": "Lax"}], "origins": []}

    def start(self) -> None:
        """Start it, and return when the connection and the examples are there."""
        self.home.mkdir(parents=True)
        (self.home / "passwords.json").write_text(json.dumps(self.passwords))
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
