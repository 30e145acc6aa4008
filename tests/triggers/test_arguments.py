# SPDX-License-Identifier: Apache-2.0
"""The trigger's arguments are checked where an author makes it, not in the triggerer."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger
from airflow_provider_trim.waiting.options import DEFERRAL_TIMEOUT_MARGIN, MAX_SECONDS

NAN, INF = math.nan, math.inf
FLAGS = ("exponential_backoff", "stop_at_failure", "finish", "expects_callback")
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
        *(
            (name, value)
            for name in ("deadline", "started_at")
            for value in (1.79e12, NAN, INF, 1e20, -1.0, True, 10**400)
        ),
        *(("max_consecutive_failures", value) for value in ("3", NAN, INF, 0, 2.5, True, -1)),
        *((name, value) for name in FLAGS for value in ("false", "no", 2, [])),
        *((name, value) for name in ("stop_at_failure", "finish", "expects_callback") for value in (None,)),
        *((name, value) for name in ("clip_seconds", "deferral_timeout") for value in ("x", NAN, -1, 1e10, True, [])),
    ],
    ids=str,
)
def test_a_wrong_time(name: str, value: Any) -> None:
    arguments: Any = {name: value}
    with pytest.raises(ValueError, match=rf"^{name} must be .*, not {re.escape(repr(value))}") as refused:
        TrimTaskStatusTrigger("T", **arguments)
    # A triggerer that makes a stored trigger survives a TypeError, and nothing else.
    assert isinstance(refused.value, TypeError)


@pytest.mark.parametrize("value", [["a"], None, True, 1.5, {}], ids=repr)
def test_what_is_no_connections_id(value: Any) -> None:
    words = rf"^trim_conn_id must be the id of a connection, such as 'trim_default', not {re.escape(repr(value))}$"
    with pytest.raises(TypeError, match=words):
        TrimTaskStatusTrigger("T", value)


@pytest.mark.parametrize(
    ("name", "value", "taken"),
    [
        ("deadline", Decimal("1.5e9"), 1.5e9),
        ("deadline", 0, 0.0),
        ("started_at", 1e11, 1e11),
        ("exponential_backoff", None, False),  # as Airflow's sensors may have it
        ("finish", 1, True),
        ("trim_conn_id", 7, "7"),
        ("trim_conn_id", "{{ params.conn }}", "{{ params.conn }}"),
        # Of waits and clips that are as long as they may be.
        ("deferral_timeout", MAX_SECONDS + DEFERRAL_TIMEOUT_MARGIN, MAX_SECONDS + DEFERRAL_TIMEOUT_MARGIN),
        ("clip_seconds", 999_999_999.5, 999_999_999.5),
        ("clip_seconds", timedelta(minutes=1), 60.0),
        ("max_consecutive_failures", None, None),
    ],
)
def test_what_is_taken_is_stored_as_plain_json(name: str, value: Any, taken: Any) -> None:
    _, arguments = TrimTaskStatusTrigger(**{"trans_no": "T", name: value}).serialize()
    assert arguments[name] == taken
    assert type(arguments[name]) is type(taken)
    assert TrimTaskStatusTrigger(**json.loads(json.dumps(arguments))).serialize()[1] == arguments


def test_a_point_in_time_says_what_to_write() -> None:
    deadline: Any = MIDNIGHT
    with pytest.raises(ValueError, match=r"; write its \.timestamp\(\)$"):
        TrimTaskStatusTrigger("T", deadline=deadline)
