# SPDX-License-Identifier: Apache-2.0
"""One of the processes that share a quota: calls as fast as it may for some seconds; prints how often it did."""

from __future__ import annotations

import argparse
import json
import time

import requests
from environment import LOGIN, TOKEN, form
from server import TRIM_PATH

from airflow_provider_trim.ratelimit.limiter import limiter_for
from airflow_provider_trim.vod.settings import TrimSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--storage", required=True)
    parser.add_argument("--quota", required=True)
    parser.add_argument("--until", type=float, required=True, help="Unix seconds")
    arguments = parser.parse_args()
    settings = TrimSettings.from_connection(
        host=arguments.url,
        login=LOGIN,
        password=TOKEN,
        extra={"quota": arguments.quota, "quota_storage": arguments.storage},
    )
    quota = limiter_for(settings)
    calls = asked = 0
    with requests.Session() as session:
        while (left := arguments.until - time.time()) > 0:
            asked += 1
            if (pause := quota.acquire()) > 0:
                time.sleep(min(pause, left))
                continue
            session.post(arguments.url + TRIM_PATH, data=form(f"call-{calls}"), timeout=30).json()
            calls += 1
    print(json.dumps({"calls": calls, "asked": asked}))


if __name__ == "__main__":
    main()
