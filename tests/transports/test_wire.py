# SPDX-License-Identifier: Apache-2.0
"""Each oddity of the wire has one outcome in both clients, and the next request gets the response that is its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_provider_trim.transports.sync import SyncTransport
from airflow_provider_trim.vod.errors import TrimResponseError, TrimTransportError
from airflow_provider_trim.vod.protocol import build_query
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.wire import BODY, NEXT, ODDITIES, Oddity, WireServer, ok, taken

from .conftest import Client

Connect = Callable[[TrimSettings], Client]


@pytest.mark.parametrize("oddity", ODDITIES, ids=[oddity.name for oddity in ODDITIES])
def test_oddity(connect: Connect, oddity: Oddity) -> None:
    with WireServer(oddity) as server:
        settings = TrimSettings.from_connection(host=server.url, login="me", password="geheim")
        client = connect(settings)
        request = build_query(settings, "T", 0)
        if oddity.error is None:
            response = client.send(request)
            assert (response.status, response.body) == (oddity.status, oddity.body)
        else:
            with pytest.raises((TrimTransportError, TrimResponseError)) as caught:
                client.send(request)
            assert caught.value.message.removeprefix(f"request to {server.url[7:]} failed: ").startswith(oddity.error)
            assert caught.value.retryable
        assert server.sent.wait(10)
        after = client.send(request)
        assert (after.status, after.body) == (200, NEXT)
        assert server.requests == 2


def test_connection_with_something_unread_is_not_used_again() -> None:
    """The rest of it may come after the next request. (aiohttp starts each response with a parser of its own.)"""
    oddity = taken("half a response after the response", ok() + ok()[:12])
    with WireServer(oddity) as server:
        settings = TrimSettings.from_connection(host=server.url, login="me", password="geheim")
        with SyncTransport(settings) as transport:
            assert [transport.send(build_query(settings, "T", 0)).body for _ in range(2)] == [BODY, NEXT]
        assert server.connections == 2


def test_each_oddity_has_a_name_of_its_own() -> None:
    assert len({oddity.name for oddity in ODDITIES}) == len(ODDITIES)
