# SPDX-License-Identifier: Apache-2.0
"""Connections that an emulator has open."""

from __future__ import annotations

import time

from airflow_provider_trim.emulator import TrimEmulator


def await_no_connections(emulator: TrimEmulator) -> None:
    """Return when all are closed; the emulator sees that a little later than the client."""
    fail_all = time.monotonic() + 60
    while emulator.connections_open:
        assert time.monotonic() < fail_all
        time.sleep(0.001)
