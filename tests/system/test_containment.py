# SPDX-License-Identifier: Apache-2.0
"""What comes from outside and goes wrong for a while: poisoned responses, refused credentials, a secrets backend."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from airflow_provider_trim.emulator import HttpError, RawResponse
from tests.system.account import BY_DEFAULT, STEP_LIMIT, Account
from tests.system.deployment import TRIGGERERS, Deployment
from tests.system.figures import note, say

POISONS = (b'"taskId": 99999999999999999999', b'"later": {"x": ["\\u0000"]}', b'"later": "\\ud800"')
"""Beyond 64 bits, and what PostgreSQL's JSONB can't hold."""


def start_waits(waits: Account, quick: bool) -> None:
    """Start five hundred waits, ten of them with workers: two processes for each take the machine minutes."""
    waits.without_workers = BY_DEFAULT
    waits.wait_in(1)
    waits.wait_in(1 if quick else 49, without_workers=True)
    waits.wait_until_deferred()


def test_responses_are_poisoned(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    """A tenth of the trims, while another DAG's task is deferred in the same triggerers."""
    waits = account("poisoned")
    start_waits(waits, quick)
    triggerers = {name: airflow.processes[name].pid for name in TRIGGERERS}
    until = datetime.now(UTC) + timedelta(seconds=60)
    other = airflow.trigger("undisturbed", until=until.isoformat())
    poisoned = waits.waiting[::10]
    for poison in POISONS:
        for trans_no in poisoned:
            head = b'{"code": 200, "data": {"transNo": "%s", "status": 2, "videoInfo": {}, ' % trans_no.encode()
            waits.emulator.misbehave(trans_no, RawResponse(head + poison + b"}}"), repeat=True)
        waits.wait_until_polled(waits.waiting, since=time.monotonic())
    assert airflow.wait_for_end("undisturbed", other, STEP_LIMIT) == "success"
    assert {name: airflow.processes[name].pid for name in TRIGGERERS} == triggerers
    waits.emulator.clear_faults()
    waits.finish(waits.waiting)
    waits.check_results()
    scenario = "poisoned responses"
    note(scenario, "trims, those with poisoned responses", f"{len(waits.ends)}, {len(poisoned)}")
    note(scenario, "triggerers that ended, tasks that failed", "0, 0")


def test_credentials_are_refused(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    seconds = 15.0 if quick else 60.0
    waits = account("refused")
    start_waits(waits, quick)
    waits.wait_until_polled(waits.waiting, since=time.monotonic())
    began = time.monotonic()
    waits.emulator.misbehave(None, HttpError(403), repeat=True)
    time.sleep(seconds)
    refused = [call for call in waits.emulator.calls if call.time > began]
    waits.emulator.clear_faults()
    recovered = waits.wait_until_polled(waits.waiting, since=time.monotonic())
    waits.finish(waits.waiting)
    waits.check_results()
    scenario = "credentials refused"
    note(scenario, "for; trims that waited; calls meanwhile", f"{seconds:.0f} s; {len(waits.ends)}; {len(refused)}")
    note(scenario, "until each trim was polled again, tasks that failed", f"{recovered:.1f} s, 0")


def test_secrets_backend_hangs(airflow: Deployment, account: Callable[..., Account], quick: bool) -> None:
    """Waits whose connection is loaded go on; those of another connection begin when the backend is back."""
    seconds = 40.0 if quick else 120.0
    waits, new = account("secrets"), account("secrets-new")
    start_waits(waits, quick)
    began = time.monotonic()
    airflow.secrets_hang.touch()
    try:
        new.wait_in(1, without_workers=True)
        say(f"the secrets backend hangs for {seconds:.0f} s")
        end = began + seconds
        while time.monotonic() < end - 10.0:
            waits.wait_until_polled(waits.waiting, since=time.monotonic())
        meanwhile = [call for call in waits.emulator.calls if call.time > began]
        time.sleep(max(0.0, end - time.monotonic()))
    finally:
        airflow.secrets_hang.unlink()
    back = new.wait_until_polled(new.waiting, since=time.monotonic())
    for account_of in (waits, new):
        account_of.finish(account_of.waiting)
        account_of.check_results()
    scenario = "secrets backend hangs"
    note(
        scenario,
        "for; trims of a loaded connection; calls for them",
        f"{seconds:.0f} s; {len(waits.ends)}; {len(meanwhile)}",
    )
    note(scenario, "until trims of a new connection were polled, tasks that failed", f"{back:.1f} s, 0")
