# SPDX-License-Identifier: Apache-2.0
"""Connections to an emulator, as the package and as Airflow take them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.vod.settings import TrimSettings


def connection_parts(emulator: TrimEmulator, *, password: str | None = None, **extra: Any) -> dict[str, Any]:
    """Return what ``TrimSettings.from_connection`` takes: the emulator's own token unless ``password`` is another."""
    return {"host": emulator.url, "login": emulator.user, "password": password or emulator.token, "extra": extra}


def settings_for(emulator: TrimEmulator, *, password: str | None = None, **extra: Any) -> TrimSettings:
    return TrimSettings.from_connection(**connection_parts(emulator, password=password, **extra))


def connection_to(emulator: TrimEmulator, *, password: str | None = None, **extra: Any) -> dict[str, Any]:
    """Return an Airflow connection, to be written as JSON; its extras come as keyword arguments."""
    return {"conn_type": "trim", **connection_parts(emulator, password=password, **extra)}


def set_connection(
    monkeypatch: pytest.MonkeyPatch,
    emulator: TrimEmulator,
    conn_id: str = "trim_default",
    *,
    password: str | None = None,
    **extra: Any,
) -> None:
    """Write an Airflow connection into the environment."""
    connection = connection_to(emulator, password=password, **extra)
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))
