# SPDX-License-Identifier: Apache-2.0
"""Both transports behind one face, and an environment that says nothing about proxies and certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_trim.transports.aio import AioTransport
from airflow_provider_trim.transports.network import CA_VARIABLES
from airflow_provider_trim.transports.sync import SyncTransport
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.settings import TrimSettings


class SyncClient:
    def __init__(self, settings: TrimSettings) -> None:
        self._transport = SyncTransport(settings)

    def send(self, request: Request) -> Response:
        return self._transport.send(request)

    def close(self) -> None:
        self._transport.close()

    end = close


class AioClient:
    """Drives one transport in an event loop of its own."""

    def __init__(self, settings: TrimSettings) -> None:
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        try:
            self._transport = self._runner.run(self._open(settings))
        except BaseException:
            self._runner.close()
            raise

    async def _open(self, settings: TrimSettings) -> AioTransport:
        return AioTransport(settings)

    def send(self, request: Request) -> Response:
        return self._runner.run(self._transport.send(request))

    def close(self) -> None:
        self._runner.run(self._transport.close())

    def end(self) -> None:
        self.close()
        self._runner.close()


Client = SyncClient | AioClient


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", *CA_VARIABLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=[SyncClient, AioClient], ids=["sync", "aio"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[[TrimSettings], Client]]:
    """Makes clients, which are closed after the test."""
    clients = []

    def connect(settings: TrimSettings) -> Client:
        clients.append(request.param(settings))
        return clients[-1]

    yield connect
    for client in clients:
        client.end()
