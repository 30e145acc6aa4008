# SPDX-License-Identifier: Apache-2.0
"""What turns StatsD's datagrams into a page for Prometheus: a stand-in for statsd_exporter, and the program itself.

Debian has no package of the program, so that the tests run with the stand-in, and with both where it is installed. The
stand-in does what statsd_exporter 0.20 and 0.30 do (its pkg/line, pkg/mapper and pkg/registry) with names, InfluxDB's
tags, counters, absolute gauges, timers as summaries, and mappings by glob.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import re
import shutil
import socket
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.support.live_airflow import HOST, free_port
from tests.support.metrics_receiver import LIMIT
from tests.support.programs import running_program
from tests.support.statsd_server import StatsdServer

PROGRAM = shutil.which("statsd_exporter") or shutil.which("prometheus-statsd-exporter")
QUANTILES = (0.5, 0.9, 0.99)
TYPES = {"c": "counter", "g": "gauge", "ms": "summary"}


class Ports(NamedTuple):
    """Where it receives StatsD by UDP, and where it serves ``/metrics``."""

    statsd: int
    http: int


def exposition(lines: Iterable[str], mappings: list[dict[str, Any]]) -> str:
    """Return the page for all that was received.

    :param mappings: of statsd_exporter's configuration
    """
    heeded = list(_heeded(mappings))
    series: dict[tuple[str, str, tuple[tuple[str, str], ...]], list[float]] = {}
    for line in lines:
        name, labels, value, kind = _parse(line)
        matches = ((one, matched) for one in heeded if (matched := _match(one["match"], name)))
        for mapping, matched in itertools.islice(matches, 1):
            name = mapping["name"] if mapping.get("action") != "drop" else ""
            made = mapping.get("labels", {}).items()
            labels |= {label: matched.expand(text.replace("$", "\\")) for label, text in made}
        if name:
            key = (re.sub(r"[^a-zA-Z0-9_]", "_", name), TYPES[kind], tuple(sorted(labels.items())))
            series.setdefault(key, []).append(value)
    return "".join(
        f"{line}\n" for (name, kind, tags), values in series.items() for line in _lines(name, kind, dict(tags), values)
    )


def _heeded(mappings: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Leave out what statsd_exporter ignores: a match that an earlier one begins with (AddState in its fsm.go)."""
    for number, mapping in enumerate(mappings):
        if not any(earlier["match"].startswith(f"{mapping['match']}.") for earlier in mappings[:number]):
            yield mapping


def _parse(line: str) -> tuple[str, dict[str, str], float, str]:
    named, _, rest = line.partition(":")
    name, *tags = named.split(",")
    value, kind = rest.split("|")
    labels = dict(tag.split("=", 1) for tag in tags)
    return name, labels, float(value) / 1000 if kind == "ms" else float(value), kind


def _match(glob: str, name: str) -> re.Match[str] | None:
    return re.fullmatch(re.escape(glob).replace(r"\*", "([^.]*)"), name)


def _line(name: str, labels: dict[str, str], value: float) -> str:
    return f"{name}{{{','.join(f'{label}={json.dumps(text)}' for label, text in labels.items())}}} {value}"


def _lines(name: str, kind: str, labels: dict[str, str], values: list[float]) -> Iterator[str]:
    if kind == "summary":
        ordered = sorted(values)
        for quantile in QUANTILES:
            value = ordered[math.ceil(quantile * len(ordered)) - 1]
            yield _line(name, labels | {"quantile": str(quantile)}, value)
        yield _line(f"{name}_sum", labels, sum(values))
        yield _line(f"{name}_count", labels, len(values))
    else:
        yield _line(name, labels, sum(values) if kind == "counter" else values[-1])


@contextlib.contextmanager
def stand_in(mappings: Path | None) -> Iterator[Ports]:
    """Run the stand-in.

    :param mappings: file of its configuration
    """
    configured = yaml.safe_load(mappings.read_text(encoding="utf-8"))["mappings"] if mappings else []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exposition((f"airflow.{line}" for line in statsd.lines()), configured).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with StatsdServer() as statsd, ThreadingHTTPServer((HOST, 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield Ports(statsd.port, server.server_port)
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def program(mappings: Path | None) -> Iterator[Ports]:
    """Run the program itself, which must be installed.

    :param mappings: file of its configuration
    """
    ports = Ports(free_port(), free_port())
    options = ["--statsd.listen-tcp=", f"--statsd.listen-udp={HOST}:{ports.statsd}"]
    options += [f"--web.listen-address={HOST}:{ports.http}"]
    options += [f"--statsd.mapping-config={mappings}"] if mappings else []
    with running_program(str(PROGRAM), options, {}, (ports.http,)):
        _wait_until_it_receives(ports)
        yield ports


def _wait_until_it_receives(ports: Ports) -> None:
    """Its page may be served before datagrams are received."""
    end = time.monotonic() + LIMIT
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        while time.monotonic() < end:
            with contextlib.suppress(ConnectionRefusedError):
                probe.sendto(b"probe:1|c", (HOST, ports.statsd))
            with urllib.request.urlopen(f"http://{HOST}:{ports.http}/metrics") as page:
                if b"\nprobe " in page.read():
                    return
            time.sleep(0.05)
    raise RuntimeError(f"{PROGRAM} receives no StatsD")


EXPORTERS: dict[str, Any] = {"stand-in": stand_in} | ({"statsd_exporter": program} if PROGRAM else {})
"""Those that can be tested here, each of which takes the mappings' file or None."""
