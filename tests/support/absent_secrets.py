# SPDX-License-Identifier: Apache-2.0
"""A secrets backend of Airflow that is unreachable for some loads."""

from __future__ import annotations

from typing import Any

from airflow.secrets.base_secrets import BaseSecretsBackend


class AwayAtFirst(BaseSecretsBackend):
    """Knows the connection ``trim_default``. Airflow makes new instances as it likes, so the class keeps count."""

    times = 0
    """Loads that are still to fail."""

    connection = ""
    """Its response then, as JSON."""

    def get_conn_value(self, conn_id: str, *_: Any, **__: Any) -> str | None:
        if conn_id != "trim_default":
            return None
        if AwayAtFirst.times:
            AwayAtFirst.times -= 1
            raise ConnectionError("the secrets backend is unreachable")
        return AwayAtFirst.connection
