# SPDX-License-Identifier: Apache-2.0
"""What the rate limiter's tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_trim.vod.settings import TrimSettings
from tests.support.clocks import Clock
from tests.support.redis_server import RedisServer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def settings() -> Callable[..., TrimSettings]:
    """Make a connection: ``settings(quota, login=…, **extra)``."""

    def make(quota: str = "20/10 seconds", login: str = "account", **extra: Any) -> TrimSettings:
        return TrimSettings.from_connection(host="https://quota.example", login=login, extra={"quota": quota, **extra})

    return make
