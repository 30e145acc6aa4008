# SPDX-License-Identifier: Apache-2.0
"""Responses with values that Airflow can't store: one failed task, in every mode, and no dead triggerer."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_trim.emulator import RawResponse, TrimEmulator
from airflow_provider_trim.vod.errors import TrimResponseError
from airflow_provider_trim.vod.storable import reserved_names
from tests.support.running import AIRFLOW_3
from tests.support.waits import WAIT_IDS, WAITS

try:
    from airflow.sdk.bases.xcom import BaseXCom
except ImportError:  # Airflow 2.11
    from airflow.models.xcom import BaseXCom


@pytest.mark.parametrize(
    ("make", "mode"),
    [wait for wait in WAITS if wait[1] != "reschedule"],
    ids=[name for name in WAIT_IDS if "reschedule" not in name],
)
@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("taskId", b"99999999999999999999"),
        ("later", b"-1e999"),
        ("later", b'{"x": ["\\u0000"]}'),
        ("videoInfo", b'{"__classname__": "x"}'),
    ],
)
def test_it_is_a_passing_failure_that_names_the_field(
    trim_default: TrimEmulator, make: Any, mode: str, field: str, text: bytes
) -> None:
    body = b'{"code": 200, "data": {"status": 2, "videoInfo": {}, "%s": %s}}' % (field.encode(), text)
    trim_default.misbehave("T", RawResponse(body), repeat=True)
    with pytest.raises(TrimResponseError, match=rf"data\.{field}"):
        make(mode, max_consecutive_failures=3).run()
    # The poll of the worker that defers is counted apart.
    assert trim_default.call_count == 3 + (mode == "deferrable")


def pushed_and_pulled(value: Any) -> Any:
    """What a downstream task gets of an XCom."""
    if not AIRFLOW_3:
        return BaseXCom.deserialize_value(SimpleNamespace(value=BaseXCom.serialize_value(value)))
    stored = json.loads(json.dumps(BaseXCom.serialize_value(value)))
    return BaseXCom.deserialize_value(SimpleNamespace(value=stored))


NAMES = ("__classname__", "__version__", "__data__", "__id__", "__cache__", "__type", "__source", "__var", "videoId")
OBJECTS = st.recursive(
    st.sampled_from(["dict", "tuple", "datetime", 1, None]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(NAMES), OBJECTS, max_size=4))
@example({"x": {"__type": "dict", "__var": {"a": 1}}})
@example({"__version__": 1, "__data__": {"__type": "dict"}, "__cache__": 1, "__source": 2, "x": {"__var": 1}})
def test_what_downstream_gets_is_what_the_service_sent(info: dict[str, Any]) -> None:
    """A name is refused if and only if Airflow can't push an object that has it, or pulls something else."""
    try:
        passes = pushed_and_pulled(info) == info
    except Exception:  # any, depending on what the object is taken for
        passes = False
    if reserved_names(info, "videoInfo") is None:
        assert passes
    elif AIRFLOW_3:  # 2.11 finds some of them at the top level only
        assert not passes
