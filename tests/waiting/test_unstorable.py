# SPDX-License-Identifier: Apache-2.0
"""Responses with values that Airflow can't store: one failed task, in every mode, and no dead triggerer."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_trim.emulator import RawResponse, TrimEmulator
from airflow_provider_trim.vod.errors import TrimResponseError
from tests.support.waits import WAIT_IDS, WAITS


@pytest.mark.parametrize(
    ("make", "mode"),
    [wait for wait in WAITS if wait[1] != "reschedule"],
    ids=[name for name in WAIT_IDS if "reschedule" not in name],
)
@pytest.mark.parametrize(
    ("field", "text"), [("taskId", b"99999999999999999999"), ("later", b"-1e999"), ("later", b'{"x": ["\\u0000"]}')]
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
