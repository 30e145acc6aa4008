# SPDX-License-Identifier: Apache-2.0
"""A secrets backend of Airflow that knows nothing, and hangs while a file exists."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from airflow.secrets.base_secrets import BaseSecretsBackend


class HangingSecrets(BaseSecretsBackend):
    """The file is the one that ``HANGING_SECRETS`` names."""

    def get_conn_value(self, conn_id: str, *_: Any, **__: Any) -> str | None:
        file = os.environ.get("HANGING_SECRETS", "")
        while file and Path(file).exists():
            time.sleep(0.5)
        return None
