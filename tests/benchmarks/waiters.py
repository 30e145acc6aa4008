# SPDX-License-Identifier: Apache-2.0
"""The kinds of waiting that are compared: how each is made, and how it waits as a triggerer has it wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from environment import TOKEN, form, trim_connection
from server import HOST, MISSING_PATH, TRIM_PATH

OURS = "TrimTaskStatusTrigger"
FLOOR = "floor: aiohttp, one session"

CONNECTION = "bench"
"""Id of the connection to the server, of whatever type the kind needs."""


@dataclass(frozen=True)
class Kind:
    """One of them."""

    connection: Callable[[int], dict[str, Any]]
    """Makes the Airflow connection to a server, from its port."""
    prepare: Callable[[int, float], Callable[[str], Any]]
    """Takes port and interval, does what a process does once, and returns what makes a waiter for one transNo."""
    wait: Callable[[Any], Awaitable[None]]
    """Has a waiter wait; nothing it waits for ever comes."""


async def _run(trigger: Any) -> None:
    async for event in trigger.run():
        raise RuntimeError(f"a trigger has ended, though nothing it waits for has happened: {event.payload}")


def _http(port: int) -> dict[str, Any]:
    return {"conn_type": "http", "host": f"http://{HOST}", "port": port}


def _prepare_ours(port: int, interval: float) -> Callable[[str], Any]:
    from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger

    return lambda trans_no: TrimTaskStatusTrigger(trans_no, CONNECTION, poll_interval=interval)


def _prepare_sensor(port: int, interval: float) -> Callable[[str], Any]:
    from airflow.providers.http.triggers.http import HttpSensorTrigger

    # The one response on which it goes on waiting is 404; for the interface's own it would report success.
    return lambda trans_no: HttpSensorTrigger(
        f"{MISSING_PATH}/{trans_no}", CONNECTION, method="POST", data=form(trans_no), poke_interval=interval
    )


def _prepare_event(port: int, interval: float) -> Callable[[str], Any]:
    from airflow.providers.http.triggers.http import HttpEventTrigger

    return lambda trans_no: HttpEventTrigger(
        "response_check.is_done",
        CONNECTION,
        method="POST",
        endpoint=TRIM_PATH,
        data=form(trans_no),
        poll_interval=interval,
    )


def _prepare_dbt(port: int, interval: float) -> Callable[[str], Any]:
    from airflow.providers.dbt.cloud.hooks.dbt import DbtCloudHook
    from airflow.providers.dbt.cloud.triggers.dbt import DbtCloudRunJobTrigger

    over_tls = DbtCloudHook.get_request_url_params

    def plain(*args: Any, **kwargs: Any) -> tuple[str, dict[str, Any]]:
        url, data = over_tls(*args, **kwargs)
        return url.replace("https://", "http://", 1), data

    # It insists on TLS, and connects again for each poll; the others here speak plain HTTP, so it may as well.
    DbtCloudHook.get_request_url_params = staticmethod(plain)
    end = time.time() + 86400
    return lambda trans_no: DbtCloudRunJobTrigger(CONNECTION, int(trans_no), end, interval, account_id=1)


class Floor:
    """What no trigger can be cheaper than: a form posted over a shared session, a response read, a sleep."""

    session: Any = None

    def __init__(self, url: str, interval: float, trans_no: str) -> None:
        self.url = url
        self.interval = interval
        self.trans_no = trans_no

    async def wait(self) -> None:
        import aiohttp

        if Floor.session is None:
            Floor.session = aiohttp.ClientSession()
        while True:
            async with Floor.session.post(self.url, data=form(self.trans_no)) as response:
                await response.json()
            await asyncio.sleep(self.interval)


def _prepare_floor(port: int, interval: float) -> Callable[[str], Any]:
    return lambda trans_no: Floor(f"http://{HOST}:{port}{TRIM_PATH}", interval, trans_no)


KINDS = {
    FLOOR: Kind(_http, _prepare_floor, Floor.wait),
    OURS: Kind(lambda port: trim_connection(f"http://{HOST}:{port}"), _prepare_ours, _run),
    "DbtCloudRunJobTrigger": Kind(
        lambda port: {"conn_type": "dbt_cloud", "host": f"{HOST}:{port}", "login": "1", "password": TOKEN},
        _prepare_dbt,
        _run,
    ),
    "HttpSensorTrigger": Kind(_http, _prepare_sensor, _run),
    "HttpEventTrigger": Kind(_http, _prepare_event, _run),
}
