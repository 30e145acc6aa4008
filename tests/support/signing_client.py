# SPDX-License-Identifier: Apache-2.0
"""A process that queries one trim many times within one second, by a clock that stands still.

Prints how many calls each query took until its signature was accepted.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from airflow_provider_trim.client import calls
from airflow_provider_trim.client.flow import drive, exchange
from airflow_provider_trim.ratelimit.limiter import limiter_for
from airflow_provider_trim.transports.sync import SyncTransport
from airflow_provider_trim.vod.errors import TrimAuthError
from airflow_provider_trim.vod.settings import TrimSettings

MAX_CALLS = 20


def query(settings: TrimSettings, now: float) -> int:
    """Query until the signature is accepted, and return the calls that it took."""
    limiter = limiter_for(settings)
    with SyncTransport(settings) as transport:
        for call in range(1, MAX_CALLS):
            flow = exchange(calls.query("T"), settings, limiter, clock=lambda: now)
            try:
                drive(flow, limiter, transport.send)
            except TrimAuthError:
                continue
            return call
    return MAX_CALLS


def main(connection: dict[str, Any], now: float, count: int, begin_at: float) -> None:
    settings = TrimSettings.from_connection(**connection)
    if "quota_storage" in connection["extra"]:  # wait until Redis responds in time
        while limiter_for(settings).claim_signature(f"of process {os.getpid()}"):
            time.sleep(0.05)
    time.sleep(max(0.0, begin_at - time.time()))
    print(json.dumps([query(settings, now) for _ in range(count)]))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
