# SPDX-License-Identifier: Apache-2.0
"""Receives OpenTelemetry's metrics over HTTP on loopback, as a collector does (OTLP/HTTP, binary protobuf)."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.support.live_airflow import HOST
from tests.support.metrics_receiver import MetricsReceiver

HISTOGRAMS = ("exponential_histogram", "histogram")


class Point(NamedTuple):
    """What one process has measured last.

    :param value: of a counter since its process began, or of a gauge; of a histogram, how many values it has
    """

    name: str
    kind: str
    tags: dict[str, str]
    value: float


class OtlpReceiver(MetricsReceiver):
    """Receives on a port of its own, from :meth:`__enter__` on."""

    def __init__(self) -> None:
        super().__init__()
        self._points: list[Point] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver._take(ExportMetricsServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="otlp", daemon=True)

    def settings(self) -> dict[str, str]:
        """Return Airflow's configuration that exports its metrics; :meth:`environment` says where to."""
        return {"METRICS__OTEL_ON": "True"}

    def environment(self) -> dict[str, str]:
        """Return OpenTelemetry's own configuration that sends metrics here."""
        url = f"http://{HOST}:{self._server.server_port}"
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_METRIC_EXPORT_INTERVAL": "1000"}

    def points(self, prefix: str = "airflow.trim.") -> list[Point]:
        """Return what was received, without the prefix of all Airflow's metrics."""
        with self._news:
            found = [point for point in self._points if point.name.startswith(prefix)]
        return [point._replace(name=point.name.removeprefix("airflow.")) for point in found]

    def names(self) -> set[str]:
        """Return the names that were received, alone and with the value of each tag at the end."""
        points = self.points()
        return {point.name for point in points} | {
            f"{point.name}.{tag}" for point in points for tag in point.tags.values()
        }

    def _take(self, request: ExportMetricsServiceRequest) -> None:
        with self._news:
            for resource in request.resource_metrics:
                for scope in resource.scope_metrics:
                    for metric in scope.metrics:
                        kind = str(metric.WhichOneof("data"))
                        for point in getattr(metric, kind).data_points:
                            tags = {one.key: one.value.string_value for one in point.attributes}
                            value = point.count if kind in HISTOGRAMS else getattr(point, point.WhichOneof("value"))
                            self._points.append(Point(metric.name, kind, tags, float(value)))
            self._news.notify_all()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
