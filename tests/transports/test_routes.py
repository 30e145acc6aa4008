# SPDX-License-Identifier: Apache-2.0
"""Each way to a service has one outcome in both clients: names, addresses, certificates, proxies, the environment."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_trim.vod.errors import TrimSettingsError, TrimTransportError
from airflow_provider_trim.vod.protocol import build_query
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.routes import ROUTES, Peers, Route

from .conftest import Client


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    peers = Peers(tmp_path_factory.mktemp("peers"))
    with peers.running():
        yield peers


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("route", ROUTES, ids=[route.name for route in ROUTES])
def test_route(
    connect: Callable[[TrimSettings], Client], peers: Peers, route: Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    def filled(value: Any) -> Any:
        return value.format(**peers.places) if isinstance(value, str) else value

    for name, value in route.environment.items():
        monkeypatch.setenv(name, filled(value))
    monkeypatch.setattr(socket, "getaddrinfo", peers.resolver(route))
    peers.forget()
    extra = {"allow_http": True, **{name: filled(value) for name, value in route.extra.items()}}

    def send() -> int:
        settings = TrimSettings.from_connection(host=filled(route.host), login="me", password="geheim", extra=extra)
        client = connect(settings)
        return [client.send(build_query(settings, "T", 0)).status for _ in range(2)][-1]

    if route.error is None:
        assert send() == route.status
    else:
        with pytest.raises((TrimSettingsError, TrimTransportError)) as caught:
            send()
        assert caught.value.message.partition(" failed: ")[2].startswith(filled(route.error)) or (
            caught.value.message.startswith(filled(route.error))
        )
        assert "geheim" not in caught.value.message
    received = peers.received()
    assert all(filled(part) in received for part in route.sees), received
    assert "cookie:" not in received
    assert "\nauthorization:" not in received


def test_each_route_has_a_name_of_its_own() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)
