# SPDX-License-Identifier: Apache-2.0
"""The trigger's arguments are checked where an author makes it, not in the triggerer."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger

MIDNIGHT = datetime(2030, 1, 1, tzinfo=UTC)


def test_durations_may_be_timedeltas() -> None:
    given = {"poll_interval": timedelta(seconds=5), "first_poll_after": timedelta(minutes=1)}
    _, arguments = TrimTaskStatusTrigger("T", **given).serialize()
    assert (arguments["poll_interval"], arguments["first_poll_after"]) == (5.0, 60.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("poll_interval", "5"),
        ("poll_interval", -1),
        ("poll_interval", None),
        ("first_poll_after", "{{ 5 }}"),
        ("timeout", float("nan")),
        ("max_interval", True),
        ("deadline", MIDNIGHT),
        ("deadline", "tomorrow"),
        ("started_at", timedelta(0)),
    ],
)
def test_a_wrong_time(name: str, value: Any) -> None:
    arguments: Any = {name: value}
    with pytest.raises(ValueError, match=rf"^{name} must be .*, not {re.escape(repr(value))}"):
        TrimTaskStatusTrigger("T", **arguments)


def test_a_stored_trigger_with_a_wrong_time_ends_no_triggerer() -> None:
    """Which survives a TypeError of a trigger that it makes, and nothing else."""
    arguments: Any = {"poll_interval": "5"}
    with pytest.raises(TypeError, match="poll_interval"):
        TrimTaskStatusTrigger("T", **arguments)


def test_a_point_in_time_says_what_to_write() -> None:
    deadline: Any = MIDNIGHT
    with pytest.raises(ValueError, match=r"; write its \.timestamp\(\)$"):
        TrimTaskStatusTrigger("T", deadline=deadline)
