# SPDX-License-Identifier: Apache-2.0
"""A secrets backend of Airflow whose connections are those of :mod:`tests.support.containment`."""

from __future__ import annotations

from typing import Any

from airflow.secrets.base_secrets import BaseSecretsBackend

from tests.support import containment


class FaultySecrets(BaseSecretsBackend):
    def get_conn_value(self, conn_id: str, *_: Any, **__: Any) -> Any:
        return containment.connection_value(conn_id)
