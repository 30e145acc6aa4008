# SPDX-License-Identifier: Apache-2.0
"""A StatsD server that notes what it receives over UDP."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

from tests.support.live_airflow import HOST
from tests.support.metrics_receiver import MetricsReceiver


class StatsdServer(MetricsReceiver):
    """Receives on a port of its own, from :meth:`__enter__` on."""

    def __init__(self) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind((HOST, 0))
        self.port = int(self._socket.getsockname()[1])
        self._received: list[str] = []
        self._thread = threading.Thread(target=self._receive, name="statsd", daemon=True)

    def _receive(self) -> None:
        while data := self._socket.recv(65536):
            with self._news:
                self._received += data.decode().splitlines()
                self._news.notify_all()

    def settings(self, **options: str) -> dict[str, str]:
        """Return Airflow's configuration that sends its metrics here."""
        settings = {"STATSD_ON": "True", "STATSD_HOST": HOST, "STATSD_PORT": str(self.port), **options}
        return {f"METRICS__{name}": value for name, value in settings.items()}

    def lines(self, prefix: str = "airflow.trim.") -> list[str]:
        """Return what was received, without the prefix of all Airflow's metrics."""
        with self._news:
            return [line.removeprefix("airflow.") for line in self._received if line.startswith(prefix)]

    def names(self) -> set[str]:
        """Return the names that were received, without tags."""
        return {line.partition(":")[0].partition(",")[0] for line in self.lines()}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (HOST, self.port))
        self._thread.join()
        self._socket.close()
