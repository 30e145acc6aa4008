# SPDX-License-Identifier: Apache-2.0
"""What leaves the parser fits Airflow's stores: msgpack, JSON, and PostgreSQL's JSONB."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_trim.vod.errors import TrimResponseError
from airflow_provider_trim.vod.models import TrimStatus
from airflow_provider_trim.vod.storable import MAX_DEPTH, unstorable
from tests.support.parsing import parse_task


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"x": value}
    return value


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (2**63, "data.value is an integer of more than 64 bits"),
        (-(2**63) - 1, "data.value is an integer of more than 64 bits"),
        (math.inf, "data.value is not a finite number"),
        (math.nan, "data.value is not a finite number"),
        ("a\0b", "data.value contains the character NUL"),
        ("\ud800", "data.value contains an unpaired surrogate"),
        ({"\0": 1}, "a name in data.value contains the character NUL"),
        ([0, {"x": 10**20}], "data.value.1.x is an integer of more than 64 bits"),
        (nested(MAX_DEPTH), f"has more than {MAX_DEPTH} levels"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_a_store_cant_hold_is_named(value: Any, why: str) -> None:
    assert str(unstorable({"value": value}, "data")).endswith(why)


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), True, None, 1e300, "基础播放器\n😀", nested(MAX_DEPTH - 1)])
def test_what_fits_is_left_alone(value: Any) -> None:
    assert unstorable({"value": value}, "data") is None


@pytest.mark.parametrize(
    ("field", "text"), [("taskId", "12345678901234567890"), ("later", "1e999"), ("taskId", '"\\u0000"')]
)
def test_such_a_response_is_not_of_the_documented_shape(field: str, text: str) -> None:
    body = f'{{"code": 200, "data": {{"status": 2, "videoInfo": {{}}, "{field}": {text}}}}}'
    with pytest.raises(TrimResponseError, match=rf"data\.{field} .*, which Airflow can't store") as refused:
        parse_task(200, {}, body.encode())
    assert refused.value.retryable
    processing = parse_task(200, {}, body.replace('"status": 2', '"status": 1').encode())
    assert processing.status is TrimStatus.PROCESSING, "of which nothing is stored"


@pytest.mark.parametrize(
    ("info", "why"),
    [
        ({"videoId": "V", "__classname__": "x"}, r"data\.videoInfo has the name '__classname__'"),
        ({"x": {"__id__": None}}, r"data\.videoInfo\.x has the name '__id__'"),
        (
            {"x": [1, {"__type": "dict", "a": 1, "__var": 2}]},
            r"data\.videoInfo\.x\.1 has the name '__type' and the name '__var'",
        ),
    ],
)
def test_a_name_that_airflow_takes_for_its_own_is_refused(info: dict[str, Any], why: str) -> None:
    data = {"status": 2, "videoInfo": info}
    with pytest.raises(TrimResponseError, match=rf"\({why}, which Airflow can't store\)") as refused:
        parse_task(200, {}, json.dumps({"code": 200, "data": data}).encode())
    assert refused.value.retryable


@pytest.mark.parametrize(
    "names", [{"__type": "dict", "x": {"__var": 1}}, {"__var": 1, "__version__": 1, "__data__": 2}]
)
def test_a_name_that_airflow_leaves_alone_passes(names: dict[str, Any]) -> None:
    data = {"status": 2, "videoInfo": {**names, "x": [names]}, "__classname__": "in no XCom"}
    task = parse_task(200, {}, json.dumps({"code": 200, "data": data}).encode())
    assert task.video_info is not None
    assert task.video_info.raw == {**names, "x": [names]}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner)))
def test_what_passes_can_be_stored(value: Any) -> None:
    if unstorable(value, "data") is None:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False)
        assert b"\0" not in text.encode()
        assert "\\u0000" not in text
