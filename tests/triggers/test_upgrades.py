# SPDX-License-Identifier: Apache-2.0
"""What tasks that were deferred under an earlier release have left in the database is still understood.

``tests/data/releases`` has a sample for each release. They are never changed; a release adds one.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import airflow_provider_trim
from airflow_provider_trim.polling.verdicts import Failure, Success, TimedOut
from airflow_provider_trim.triggers.payload import decode_event
from airflow_provider_trim.vod.errors import TransNoNotFoundError, TrimTransportError
from airflow_provider_trim.waiting.trans_nos import TransNos

SAMPLES = sorted((Path(__file__).parents[1] / "data" / "releases").glob("*.json"))


@pytest.fixture(params=SAMPLES, ids=[path.stem for path in SAMPLES])
def sample(request: pytest.FixtureRequest) -> Any:
    return json.loads(request.param.read_text(encoding="utf-8"))


def test_this_release_has_a_sample() -> None:
    assert airflow_provider_trim.__version__ in [path.stem for path in SAMPLES]


def test_triggers(sample: Any) -> None:
    """A triggerer makes them from their class's path and their arguments."""
    for path, arguments in sample["triggers"]:
        module, _, name = path.rpartition(".")
        trigger = getattr(import_module(module), name)(**arguments)
        again_path, again = trigger.serialize()
        assert again_path == path
        assert {name: again[name] for name in arguments} == arguments


def test_events(sample: Any) -> None:
    """A worker is resumed with them, perhaps of a newer release than the triggerer's."""
    verdicts = {name: decode_event(event, deferred="T")[1][0] for name, event in sample["events"].items()}
    success, failure, passing = (verdicts[name] for name in ("success", "failure", "passing"))
    assert isinstance(success, Success)
    assert success.task.video_info
    assert success.task.request_id == "5f0d"
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, TransNoNotFoundError)
    assert (failure.error.code, failure.error.request_id, failure.worth_retrying) == (1603, "5f0e", False)
    assert isinstance(passing, Failure)
    assert isinstance(passing.error, TrimTransportError)
    assert passing.worth_retrying
    assert verdicts["timed_out"] == TimedOut()
    assert isinstance(verdicts["timed_out_failing"], TimedOut)
    assert isinstance(verdicts["timed_out_failing"].last_error, TrimTransportError)


def test_event_of_many(sample: Any) -> None:
    trans_nos, (first, second) = decode_event(sample["event_of_many"], argument=["T", "U"])
    assert trans_nos == TransNos(("T", "U"), is_list=True)
    assert isinstance(first, Success)
    assert isinstance(second, Failure)


def test_events_as_text(sample: Any) -> None:
    """They say which transNos they are about."""
    trans_nos, (verdict,) = decode_event(sample["event_as_text"])
    assert trans_nos == TransNos(("T",))
    assert isinstance(verdict, Success)
    trans_nos, (first, second, third) = decode_event(sample["event_of_many_as_text"])
    assert trans_nos == TransNos(("T", "U", "V"), is_list=True)
    assert isinstance(first, Failure)
    assert isinstance(second, TimedOut)
    assert third is None
