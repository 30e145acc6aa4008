# SPDX-License-Identifier: Apache-2.0
"""How a verdict travels from the triggerer to the task."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trim.polling.watch import Failure, Success, TimedOut, Verdict
from airflow_provider_trim.triggers.events import decode, encode
from airflow_provider_trim.vod import errors
from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.models import TrimTask

FACTS = {"code": 1234, "request_id": "r-1", "http_status": 418, "retryable": True, "retry_after": 2.5}
DATA = {
    "taskId": "036b6fb401611000be5f693600000000",
    "transNo": "t1",
    "status": 2,
    "videoInfo": {
        "videoId": "V1",
        "playerName": "基础播放器",
        "videoResolutions": [{"serverType": -1}],
        "later": [None],
    },
}
ERROR = {"type": "TrimTaskFailedError", "message": "over"}
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, TrimError)]


def travel(verdict: Verdict) -> Any:
    return decode(json.loads(json.dumps(encode(verdict), allow_nan=False)), "t1")


def facts(error: TrimError) -> Any:
    return type(error), str(error), error.message, {name: getattr(error, name) for name in FACTS}


def test_a_success_keeps_what_came_over_the_wire() -> None:
    """The same value as from a look in the worker."""
    task = TrimTask.model_validate(DATA).model_copy(update={"request_id": "r-1"})
    arrived = travel(Success(task))
    assert arrived == Success(task)
    assert arrived.task.raw == DATA
    assert arrived.task.video_info.raw == DATA["videoInfo"]
    assert arrived.task.request_id == "r-1"


@pytest.mark.parametrize("given_facts", [FACTS, {}], ids=["all facts", "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_keeps_its_class_and_facts(kind: type[TrimError], given_facts: dict[str, Any]) -> None:
    error = kind("für immer\nvorbei", **given_facts)
    for worth_retrying in (True, False):
        failure = travel(Failure(error, worth_retrying))
        assert isinstance(failure, Failure)
        assert failure.worth_retrying is worth_retrying
        assert facts(failure.error) == facts(error)
    timed_out = travel(TimedOut(error))
    assert isinstance(timed_out, TimedOut)
    assert facts(timed_out.last_error) == facts(error)


def test_a_timeout_without_an_error_stays_one() -> None:
    assert travel(TimedOut()) == TimedOut(None)


@pytest.mark.parametrize("kind", ["Later", "dataclass", "Any", "annotations", "", None, "ValueError", "__builtins__"])
def test_an_unknown_class_is_the_base_of_all(kind: Any) -> None:
    """A triggerer of a later version may know more classes; the error stays an error."""
    verdict = decode({"verdict": "failure", "error": {"type": kind, "message": "m", "code": 7}}, "t1")
    assert isinstance(verdict, Failure)
    assert type(verdict.error) is TrimError
    assert str(verdict.error) == "m (code 7)"


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        {},
        "success",
        2,
        True,
        {"status": "success"},
        {"verdict": "later", "data": DATA},
        {"verdict": None},
        {"verdict": ["success"], "data": DATA},
        {"verdict": "success"},
        {"verdict": "success", "data": None},
        {"verdict": "success", "data": {}},
        {"verdict": "success", "data": "done"},
        {"verdict": "success", "data": {**DATA, "status": 1}},
        {"verdict": "success", "data": {**DATA, "status": 3}},
        {"verdict": "success", "data": {**DATA, "status": 4}},
        {"verdict": "success", "data": {**DATA, "status": True}},
        {"verdict": "success", "data": {**DATA, "videoInfo": None}},
        {"verdict": "success", "data": {"status": 2, "transNo": "t1"}},
        {"verdict": "success", "data": {**DATA, "videoInfo": {"uploadTime": math.inf}}},
        {"verdict": "success", "data": {**DATA, "transNo": "t2"}},
        {"verdict": "failure"},
        {"verdict": "failure", "error": None},
        {"verdict": "failure", "error": "over"},
        {"verdict": "failure", "error": ["type", "message"]},
        {"verdict": "failure", "error": {"type": "TrimError"}},
        {"verdict": "failure", "error": {"message": "over"}},
        {"verdict": "timed_out", "error": 5},
        {"verdict": "timed_out", "error": {}},
    ],
    ids=lambda event: json.dumps(event)[:60],
)
def test_what_is_missing_or_malformed_is_an_error(event: Any) -> None:
    with pytest.raises(TrimError, match="event about trim t1 is not understood") as caught:
        decode(event, "t1")
    assert type(caught.value) is TrimError
    assert "was the triggerer restarted after an upgrade" in str(caught.value)


def test_the_complaint_does_not_quote_the_event() -> None:
    """Whatever it was, it may have held a secret."""
    with pytest.raises(TrimError) as caught:
        decode({"verdict": "success", "data": {"status": "s3cret", "videoInfo": "s3cret"}}, "t1")
    error: BaseException | None = caught.value
    assert "s3cret" not in f"{error!r} {error} {error.__cause__}"
    assert error.__suppress_context__


def test_a_success_without_a_trans_no_is_the_trims_own() -> None:
    """As in an answer: the service may leave it out."""
    event = {"verdict": "success", "data": {"status": 2, "videoInfo": {}}}
    assert isinstance(decode(event, "t1"), Success)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_ERRORS = st.dictionaries(st.sampled_from(["type", "message", *FACTS]), _JSON | st.sampled_from([ERROR["type"]]))
_INFO = st.dictionaries(st.sampled_from(["videoId", "uploadTime", "videoDuration", "videoSize", "encrypt"]), _JSON)
_DATA = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from([1, 2, 2, 2, 3, 9, "2", "", None]) | _JSON,
        "transNo": st.sampled_from(["t1", "t1", "t2", "", None]) | _JSON,
        "taskId": _JSON,
        "videoInfo": _INFO | _JSON,
    },
)
_EVENTS = _JSON | st.fixed_dictionaries(
    {"verdict": st.sampled_from(["success", "success", "failure", "timed_out"]) | _JSON},
    optional={"data": _DATA | _JSON, "error": _ERRORS | _JSON, "worth_retrying": _JSON, "request_id": _JSON},
)


@given(event=_EVENTS)
def test_any_event_is_a_verdict_or_a_trim_error(event: Any) -> None:
    """Nothing but a well-formed success of this trim is one."""
    try:
        verdict = decode(event, "t1")
    except TrimError:
        return
    assert isinstance(verdict, Verdict)
    if isinstance(verdict, Success):
        assert event["verdict"] == "success"
        assert event["data"]["status"] in (2, "2")
        assert isinstance(event["data"]["videoInfo"], dict)
        assert event["data"].get("transNo") in ("t1", "", None)
