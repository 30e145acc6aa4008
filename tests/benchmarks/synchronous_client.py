# SPDX-License-Identifier: Apache-2.0
"""The synchronous benchmark's process: all contenders in turns, round after round; prints every round as JSON."""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import requests
from airflow.providers.http.hooks.http import HttpHook
from environment import form
from server import TRIM_PATH

from airflow_provider_trim.hooks.trim import TrimApiHook

TRANS_NO = "20200101000000000001"
TIMEOUT = 30.0
OURS, FLOOR = "TrimApiHook.get_task", "requests.Session, json"


@dataclass(frozen=True)
class Contender:
    """One way to poll, and whether it keeps its connection."""

    poll: Callable[[], object]
    keeps: bool


def contenders(url: str, ca_file: str) -> dict[str, Contender]:
    """Return all ways to poll once."""
    endpoint = url + TRIM_PATH
    options = {"timeout": TIMEOUT, "verify": ca_file or True}
    session = requests.Session()
    ours = TrimApiHook("bench_trim")
    http = HttpHook("POST", "bench_http")

    def with_hook(hook: HttpHook) -> object:
        return hook.run(TRIM_PATH, data=form(TRANS_NO), extra_options={"timeout": TIMEOUT}).json()

    return {
        OURS: Contender(lambda: ours.get_task(TRANS_NO), True),
        FLOOR: Contender(lambda: session.post(endpoint, data=form(TRANS_NO), **options).json(), True),
        "HttpHook, reused": Contender(lambda: with_hook(http), True),  # its sessions are new, their adapter is not
        "HttpHook, new each time": Contender(lambda: with_hook(HttpHook("POST", "bench_http")), False),
        "requests.post": Contender(lambda: requests.post(endpoint, data=form(TRANS_NO), **options).json(), False),
    }


def measure(poll: Callable[[], object], calls: int) -> tuple[float, float]:
    """Return seconds of CPU and of wall time for one call."""
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(calls):
        poll()
    return (time.process_time() - cpu) / calls, (time.perf_counter() - wall) / calls


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--ca-file", default="")
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--calls", type=int, required=True, help="in a round, for those that keep their connection")
    parser.add_argument("--fresh-calls", type=int, required=True, help="in a round, for those that do not")
    arguments = parser.parse_args()
    ways = contenders(arguments.url, arguments.ca_file)
    for way in ways.values():
        measure(way.poll, 3)
    order = list(ways)
    shuffle = random.Random(7).shuffle
    rounds = []
    for _ in range(arguments.rounds):
        shuffle(order)
        rounds.append(
            {
                name: measure(ways[name].poll, arguments.calls if ways[name].keeps else arguments.fresh_calls)
                for name in order
            }
        )
    print(json.dumps(rounds))


if __name__ == "__main__":
    main()
