# SPDX-License-Identifier: Apache-2.0
"""No secret anywhere: the examples run in a live Airflow at DEBUG level, with faults; then everything is searched."""

from __future__ import annotations

import base64
import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from airflow_provider_trim.emulator import Fault, HttpError, RawResponse, ServiceCode, TrimEmulator
from tests.live.waits import Waits
from tests.support.live_airflow import LiveAirflow

pytestmark = pytest.mark.xdist_group("live")

RUN_LIMIT = 600.0


def forms(secret: str) -> set[bytes]:
    """A secret as it is, percent-encoded, in JSON, and in base64 wherever in a longer text it begins."""
    plain = secret.encode()
    found = {plain, quote(secret, safe="").encode(), quote_plus(secret).encode(), json.dumps(secret)[1:-1].encode()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            # Only those characters of base64 that depend on nothing but the secret.
            encoded = encode(b"\0" * before + plain)
            found.add(encoded[(before * 8 + 5) // 6 : (before + len(plain)) * 8 // 6])
    return found


def echoes(secret: str) -> list[Fault]:
    """Faults of a service that repeats what it was sent."""
    return [
        RawResponse(f"not JSON: {secret}".encode()),
        HttpError(401, body=json.dumps({"code": 401, "message": f"token {secret} has expired"}).encode()),
        HttpError(502, body=f"<html>upstream got token={quote_plus(secret)}</html>".encode()),
        ServiceCode(1560, f"processing for {base64.b64encode(secret.encode()).decode()}"),
    ]


def dump(database: Path) -> Iterator[tuple[str, bytes]]:
    """Every cell of every table, as bytes."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                for cell in row:
                    yield f"table {table}", cell if isinstance(cell, bytes) else str(cell).encode()


def test_the_secret_is_nowhere(service: TrimEmulator, airflow: LiveAirflow, waits: Waits, secret: str) -> None:
    """In nothing that the examples leave behind: logs, trigger arguments, events, XComs, templates."""
    service.add_trim("waited-for", seconds=5)
    service.misbehave("waited-for", *echoes(secret))
    service.add_trim("refused", seconds=60)
    service.misbehave("refused", echoes(secret)[1], repeat=True)
    service.fail_submission("after", HttpError(500, body=f"lost {secret}".encode()))
    runs = [
        ("example_trim_wait", airflow.trigger("example_trim_wait", trans_no="waited-for"), "success"),
        ("refused", airflow.trigger("refused"), "failed"),
        ("example_trim_highlights", airflow.trigger("example_trim_highlights"), "success"),
    ]
    tables = [cell for dag, run, state in runs for cell in waited(airflow, dag, run, state)]
    tables += dump(airflow.home / "airflow.db")

    searched = [*tables, *((str(path), path.read_bytes()) for path in airflow.home.rglob("*") if path.is_file())]
    logs = b"".join(content for name, content in searched if name.endswith(".log"))
    # What is searched is where something could stand: these lines of ours are there.
    for line in (b"credentials", b"Polling trim waited-for", b"has expired"):
        assert line in logs
    assert any(b"TrimTaskStatusTrigger" in content for name, content in searched if name == "table trigger")
    for name, content in searched:
        for form in forms(secret):
            assert form not in content, f"{form!r} in {name}"


def waited(airflow: LiveAirflow, dag_id: str, run_id: str, state: str) -> Iterator[tuple[str, bytes]]:
    """Wait for a run's end, and keep what the database held on the way: triggers are deleted when they have fired."""
    seen: set[tuple[str, bytes]] = set()

    def ended() -> bool:
        seen.update(cell for cell in dump(airflow.home / "airflow.db") if cell[0] == "table trigger")
        return airflow.state_of(dag_id, run_id) in ("success", "failed")

    airflow.wait_for(ended, RUN_LIMIT, f"{run_id} of {dag_id} has ended")
    assert airflow.state_of(dag_id, run_id) == state
    yield from seen
