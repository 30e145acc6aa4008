# SPDX-License-Identifier: Apache-2.0
"""What a response costs: whatever its bytes turn into, memory is bounded, and hypothesis searches for the worst."""

from __future__ import annotations

import contextlib
import gzip
import json
import tracemalloc
from typing import Any

import hypothesis
from hypothesis import strategies as st

from airflow_provider_trim.transports.decoding import MAX_BODY, decode
from airflow_provider_trim.vod.errors import TrimError
from tests.support.parsing import parse_task

MAX_MEMORY = 8 * 2**20
"""Bytes: the body with its texts decoded, and ten thousand values."""

SECRET = "0123456789abcdef" * 3

UNITS = (
    f'"{SECRET}"',
    f'"{SECRET[:-1]}"',
    "[]",
    "{}",
    '{"":0}',
    '{"a":{"b":[]}}',
    "0",
    "0.5",
    "1" * 18,
    "null",
    '""',
    '"\\u4e00"',
    '"x,y"',
)
PLACES = ("message", "data", "videoInfo", "videoResolutions", "raw")


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Responses of a finished trim in which one value is a long list."""
    unit = draw(st.sampled_from(UNITS))
    count = draw(st.integers(0, 16)) * (MAX_BODY - 1000) // (len(unit) + 1) // 16
    data: dict[str, Any] = {"taskId": "1", "transNo": "T", "status": 2, "videoInfo": {"videoId": "V"}}
    content: dict[str, Any] = {"code": 200, "message": "ok", "data": data}
    place, mark = draw(st.sampled_from(PLACES)), "\0"
    parts = {"message": content, "data": content, "videoInfo": data}
    parts.get(place, data["videoInfo"])[place] = mark
    many = f"[{','.join([unit] * count)}]"
    return json.dumps(content).replace(json.dumps(mark), many).encode()


@hypothesis.given(body=bodies(), compressed=st.booleans())
def test_memory_is_bounded(body: bytes, compressed: bool) -> None:
    sent, headers = (gzip.compress(body), {"content-encoding": "gzip"}) if compressed else (body, {})
    tracemalloc.start()
    try:
        with contextlib.suppress(TrimError):
            parse_task(200, headers, decode(headers, sent, SECRET), SECRET, trans_no="T")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    hypothesis.target(peak)
    assert peak < MAX_MEMORY
