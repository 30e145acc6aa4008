# SPDX-License-Identifier: Apache-2.0
"""How a verdict travels from the triggerer to the task."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trim.polling.verdicts import Failure, Success, TimedOut, Verdict
from airflow_provider_trim.triggers.payload import decode_event, encode_event, encode_refusal
from airflow_provider_trim.vod import errors
from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.models import TrimTask
from airflow_provider_trim.waiting.trans_nos import TransNos

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


T1 = TransNos(("t1",))


def travel(verdict: Verdict) -> Any:
    event = json.loads(json.dumps(encode_event(T1, [verdict]), allow_nan=False))
    trans_nos, (arrived,) = decode_event(event, argument="another")
    assert trans_nos == T1
    return arrived


def as_text(event: Any) -> dict[str, Any]:
    """The same verdict, as triggers send it now."""
    return {"content": json.dumps({"trans_nos": "t1", "verdicts": [event]})}


def decode(event: Any) -> Verdict:
    """What an event of a single trim says, whether its content is text or, as before, is not."""
    _, (verdict,) = decode_event(event, deferred="t1")
    assert verdict is not None
    return verdict


shapes = pytest.mark.parametrize("shape", [as_text, lambda event: event], ids=["text", "untexted"])


def facts(error: TrimError) -> Any:
    return type(error), str(error), error.message, {name: getattr(error, name) for name in FACTS}


def test_a_success_keeps_what_came_over_the_wire() -> None:
    """The same value as from a poll in the worker."""
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


@shapes
@pytest.mark.parametrize("kind", ["Later", "dataclass", "Any", "annotations", "", None, "ValueError", "__builtins__"])
def test_an_unknown_class_is_the_base_of_all(kind: Any, shape: Any) -> None:
    """A triggerer of a later version may know more classes; the error stays an error."""
    verdict = decode(shape({"verdict": "failure", "error": {"type": kind, "message": "m", "code": 7}}))
    assert isinstance(verdict, Failure)
    assert type(verdict.error) is TrimError
    assert str(verdict.error) == "m (code 7)"


@shapes
@pytest.mark.parametrize(
    "event",
    [
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
def test_what_is_missing_or_malformed_is_an_error(event: Any, shape: Any) -> None:
    with pytest.raises(TrimError, match="cannot decode the trigger event for trim t1 ") as caught:
        decode(shape(event))
    assert type(caught.value) is TrimError
    assert "Restart triggerers after an upgrade" in str(caught.value)


def test_no_event_is_an_error() -> None:
    with pytest.raises(TrimError, match=r"cannot decode the trigger event for trim t1 \(there is none\)"):
        decode(None)


@pytest.mark.parametrize(
    "content",
    [
        *("", "x", "[]", "null", "7", "{}", '{"trans_nos": "t1"}', '{"verdicts": []}', "[" * 100_000),
        '{"trans_nos": "t1", "verdicts": []}',
        '{"trans_nos": "t1", "verdicts": {}}',
        '{"trans_nos": "t1", "verdicts": 7}',
        '{"trans_nos": null, "verdicts": [null]}',
        '{"trans_nos": ["t1", "t2"], "verdicts": [null]}',
        '{"error": null}',
        '{"error": {"message": "over"}}',
    ],
    ids=lambda content: content[:30],
)
def test_content_that_is_not_understood_is_an_error(content: str) -> None:
    with pytest.raises(TrimError, match="cannot decode the trigger event"):
        decode_event({"content": content}, deferred="t1")


@pytest.mark.parametrize(("trans_nos", "verdicts"), [("t1", [None]), (["t1", "t2"], [None, None])])
def test_waits_without_a_verdict_are_an_error_unless_another_has_failed(trans_nos: Any, verdicts: Any) -> None:
    with pytest.raises(TrimError, match="cannot decode"):
        decode_event({"content": json.dumps({"trans_nos": trans_nos, "verdicts": verdicts})}, deferred=trans_nos)


def test_an_event_about_other_trims_is_an_error() -> None:
    """Whatever it says of those, this task has waited for its own."""
    event = encode_event(TransNos(("t2",)), [TimedOut()])
    for deferred in ("t1", ["t2"], ["t2", "t1"]):
        with pytest.raises(TrimError, match="it is about other trims"):
            decode_event(event, deferred=deferred)
    assert decode_event(event, argument="rendered again") == (TransNos(("t2",)), [TimedOut()])


@pytest.mark.parametrize("kind", [errors.TransNoEmptyError, errors.TransNoIllegalError])
def test_an_argument_that_is_none_arrives_as_its_error(kind: type[TrimError]) -> None:
    with pytest.raises(kind, match="what to write"):
        decode_event(encode_refusal(kind("what to write")))


@pytest.mark.parametrize("value", [10**19, -(10**30), "\0", "\ud800", math.inf, {"\0": 1}, "x\x1b[31m"], ids=repr)
def test_an_event_fits_every_store(value: Any) -> None:
    """Whatever comes: an event that can't be encoded ends the triggerer (Airflow 3.3.2)."""
    error = TrimError("\0\ud800", request_id=value if isinstance(value, str) else None)
    task = TrimTask.model_validate(DATA).model_copy(update={"raw": {**DATA, "value": value}})
    for event in (encode_event(T1, [Success(task)]), encode_event(T1, [Failure(error)]), encode_refusal(error)):
        (text,) = event.values()
        assert text.isascii()
        assert text.isprintable()
        assert json.loads(text)


@pytest.mark.parametrize("number", [1, 10_000])
def test_an_event_of_many_is_short(number: int) -> None:
    """Airflow logs it, in one line."""
    trans_nos = TransNos.parse([f"t{place}" for place in range(number)])
    tasks = [TrimTask.model_validate({**DATA, "transNo": name}) for name in trans_nos]
    event = encode_event(trans_nos, [Success(task) for task in tasks])
    assert len(json.dumps(event)) < 100 * number + 2_000
    assert decode_event(json.loads(json.dumps(event))) == (trans_nos, [Success(task) for task in tasks])


@pytest.mark.parametrize("content", ["", "x", "eJw=", "e30=", 7, None], ids=repr)
def test_compressed_content_that_is_not_understood_is_an_error(content: object) -> None:
    with pytest.raises(TrimError, match="cannot decode the trigger event"):
        decode_event({"compressed content": content}, deferred="t1")


def test_the_complaint_does_not_quote_the_event() -> None:
    """Whatever it was, it may have held a secret."""
    for event in ({"verdict": "success", "data": {"status": "s3cret", "videoInfo": "s3cret"}}, {"content": "s3cret"}):
        with pytest.raises(TrimError) as caught:
            decode(event)
        error: BaseException | None = caught.value
        assert "s3cret" not in f"{error!r} {error} {error.__cause__}"
        assert error.__suppress_context__


@shapes
def test_a_success_without_a_trans_no_is_the_trims_own(shape: Any) -> None:
    """As in a response: the service may leave it out."""
    assert isinstance(decode(shape({"verdict": "success", "data": {"status": 2, "videoInfo": {}}})), Success)


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


@given(event=_EVENTS, shape=st.sampled_from([as_text, lambda event: event]))
def test_any_event_is_a_verdict_or_a_trim_error(event: Any, shape: Any) -> None:
    """Nothing but a well-formed success of this trim is one."""
    try:
        _, (verdict,) = decode_event(shape(event), deferred="t1")
    except TrimError:
        return
    if verdict is None:
        assert event is None
        return
    assert isinstance(verdict, Verdict)
    if isinstance(verdict, Success):
        assert event["verdict"] == "success"
        assert event["data"]["status"] in (2, "2")
        assert isinstance(event["data"]["videoInfo"], dict)
        assert event["data"].get("transNo") in ("t1", "", None)
