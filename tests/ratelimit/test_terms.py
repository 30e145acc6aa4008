# SPDX-License-Identifier: Apache-2.0
"""Several connections to one account, which say different things."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from airflow_provider_trim.ratelimit.terms import ConnectionsInUse, Terms
from airflow_provider_trim.vod.settings import TrimSettings

Settings = Callable[..., TrimSettings]


@pytest.mark.parametrize(
    ("one", "other", "calls"),
    [
        ("300/5 minutes", "100/5 minutes", 100),
        ("300/5 minutes", "30/minute", 30),
        ("10/second", "off", 10),
        ("300/5 minutes", "60/minute", 60),  # as many per second, and the smaller burst
    ],
)
def test_the_smaller_quota_counts_and_one_warning_names_both(
    settings: Settings, caplog: pytest.LogCaptureFixture, one: str, other: str, calls: int
) -> None:
    first, second = settings(one, login="AKIDEXAMPLE"), settings(other, login="AKIDEXAMPLE")
    in_use = ConnectionsInUse()
    for _ in range(3):
        in_use.add(first)
        in_use.add(second)
        terms = in_use.terms()
        assert terms is not None
        assert terms.calls == calls
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for connection in (first, second):
        assert str(connection.quota or "off") in record.getMessage()
    assert first.login not in record.getMessage()


def test_one_quota_in_two_spellings_is_one(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    connections = [settings("300/5 minutes"), settings("300/300 seconds")]
    in_use = ConnectionsInUse()
    for connection in connections:
        in_use.add(connection)
    assert in_use.terms() == Terms(300, 300.0)
    assert not caplog.records


def test_a_connection_counts_for_as_long_as_it_is_in_use(settings: Settings) -> None:
    """So that a quota that was raised holds without a restart."""
    old, new = settings("10/minute"), settings("20/minute")
    in_use = ConnectionsInUse()
    in_use.add(old)
    in_use.add(new)
    assert in_use.terms() == Terms(10, 60.0)
    assert not in_use.changed
    del old
    assert in_use.changed
    assert in_use.terms() == Terms(20, 60.0)
    del new
    assert in_use.terms() is None


def test_redis_before_memory_and_the_latest_redis(settings: Settings) -> None:
    connections = [
        settings("10/minute", quota_storage=url) for url in ("redis://a", "redis://b", "memory://", "memory:///")
    ]
    in_use = ConnectionsInUse()
    for connection in connections:
        in_use.add(connection)
    assert in_use.terms() == Terms(10, 60.0, "redis://b")


def test_without_a_quota_nothing_is_stored(settings: Settings) -> None:
    connection = settings("off", quota_storage="redis://a")
    in_use = ConnectionsInUse()
    in_use.add(connection)
    assert in_use.terms() == Terms()
