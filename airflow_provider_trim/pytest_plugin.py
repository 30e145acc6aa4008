# SPDX-License-Identifier: Apache-2.0
"""Fixtures to test DAGs that use trims. pytest finds them by the entry point ``pytest11``.

pytest imports this module in every session where the package is installed, so it imports nothing else until a fixture
is used. To use another emulator, such as one with a quota, override :func:`trim_emulator` in your ``conftest.py``;
:func:`trim_connection` uses it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from airflow_provider_trim.emulator import TrimEmulator


@pytest.fixture
def trim_emulator() -> Iterator[TrimEmulator]:
    """A running :class:`~airflow_provider_trim.emulator.TrimEmulator` on a free local port, stopped after the test."""
    from airflow_provider_trim.emulator import TrimEmulator

    with TrimEmulator() as emulator:
        yield emulator


@pytest.fixture
def trim_connection(trim_emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a connection to :func:`trim_emulator`: ``trim_default``, set in the environment during the test.

    It has what the emulator wants of a connection: address, credentials, scheme, ``token_header`` and parameters. It
    has no quota, so that no test waits for the calls of another, and bypasses a proxy set in the environment.
    """
    extra: dict[str, Any] = {
        "auth": trim_emulator.auth,
        "token_header": trim_emulator.token_header,
        "parameters": trim_emulator.required_parameters or None,
        "allow_http": True,  # an emulator may listen on another address than loopback
        "quota": "off",
    }
    connection = {
        "conn_type": "trim",
        "host": trim_emulator.url,
        "login": trim_emulator.user,
        "password": trim_emulator.token,
        "extra": extra,
    }
    monkeypatch.setenv("AIRFLOW_CONN_TRIM_DEFAULT", json.dumps(connection))
    no_proxy = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    monkeypatch.setenv("no_proxy", ",".join(filter(None, (no_proxy, urlsplit(trim_emulator.url).hostname))))
    return "trim_default"
