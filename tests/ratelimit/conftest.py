# SPDX-License-Identifier: Apache-2.0
"""What the rate limiter's tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.clocks import Clock
from tests.support.redis_server import RedisServer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Any]:
    with Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture
def redis(redis_server: RedisServer, client: Any) -> RedisServer:
    """An empty one."""
    client.flushall()
    return redis_server


@pytest.fixture
def settings() -> Callable[..., TrimSettings]:
    """Make a connection: ``settings(quota, login=…, **extra)``."""

    def make(quota: str = "20/10 seconds", login: str = "account", **extra: Any) -> TrimSettings:
        return TrimSettings.from_connection(host="https://quota.example", login=login, extra={"quota": quota, **extra})

    return make
