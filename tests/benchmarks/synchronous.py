# SPDX-License-Identifier: Apache-2.0
"""What one synchronous poll costs: our hook, Airflow's HttpHook, and requests, over HTTP and over TLS."""

from __future__ import annotations

import statistics
from typing import Any

from environment import environment, run, trim_connection
from report import Bar, Report, table
from server import HOST, Server

OURS, FLOOR = "TrimApiHook.get_task", "requests.Session, json"
ROUNDS, CALLS = 40, 50
FRESH_CALLS = {False: 25, True: 4}
"""Calls in a round of those that open a connection each time, without and with TLS, where each costs a hundredfold."""
QUICK_ROUNDS, QUICK_CALLS = 7, 20
TIMEOUT = 180.0

Rounds = list[dict[str, tuple[float, float]]]


def measure(tls: bool, quick: bool) -> Rounds:
    """Return CPU and wall time of each contender in each round."""
    with Server(tls=tls) as server:
        verify: dict[str, Any] = {"verify": server.ca_file} if tls else {}
        http = {
            "conn_type": "http",
            "host": HOST,
            "port": server.port,
            "schema": "https" if tls else "http",
            "extra": verify,
        }
        with environment(bench_trim=trim_connection(server.url, **verify), bench_http=http) as variables:
            options = [
                f"--url={server.url}",
                f"--ca-file={server.ca_file}",
                f"--rounds={QUICK_ROUNDS if quick else ROUNDS}",
                f"--calls={QUICK_CALLS if quick else CALLS}",
                f"--fresh-calls={2 if quick else FRESH_CALLS[tls]}",
            ]
            return run("synchronous_client.py", options, variables, TIMEOUT)


def ratio(rounds: Rounds, name: str, which: int) -> float:
    """Return the median over rounds of a contender's cost to the floor's in the same round."""
    return statistics.median(found[name][which] / found[FLOOR][which] for found in rounds)


def rows(rounds: Rounds, protocol: str) -> list[list[str]]:
    def cells(name: str) -> list[str]:
        cpu, wall = (statistics.median(found[name][which] for found in rounds) * 1e6 for which in (0, 1))
        return [f"{cpu:.0f}", f"{wall:.0f}", f"{ratio(rounds, name, 0):.2f}", f"{ratio(rounds, name, 1):.2f}"]

    names = [OURS, FLOOR, "HttpHook, reused", "HttpHook, new each time", "requests.post"]
    return [[f"**{name}**" if name == OURS else name, protocol, *cells(name)] for name in names]


TEXT = """
All in one process, one after the other in changing order, round after round; the ratio is the median over rounds of the
ratio within a round. All post the same form with a timeout and read the response: the hook as a checked model, the
others as JSON. The first three keep their connection. RateLimiter off.
The CA file holds the public authorities and the test's own, so that loading it costs what it costs in production.
"""


def benchmark(quick: bool = False) -> Report:
    """Measure over both protocols."""
    bars, lines = [], []
    for tls in (False, True):
        protocol = "TLS" if tls else "HTTP"
        rounds = measure(tls, quick)
        lines += rows(rounds, protocol)
        for which, what in enumerate(("CPU", "wall")):
            bars.append(Bar(f"TrimApiHook ÷ requests.Session, {protocol}, {what}", ratio(rounds, OURS, which), 1.15))
            print(f"  {bars[-1].figure}: {bars[-1].value:.2f}", flush=True)
    header = ("", "protocol", "CPU, µs", "wall, µs", "CPU ÷ Session", "wall ÷ Session")
    return Report("One synchronous poll", f"{TEXT}\n{table(header, lines)}", bars)


if __name__ == "__main__":
    print(benchmark(quick=True).markdown())
