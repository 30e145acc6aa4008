# SPDX-License-Identifier: Apache-2.0
"""What TrimVideoInfoOperator pushes, and what it does without waiting."""

from __future__ import annotations

import math
from typing import Any

import pytest
from airflow.exceptions import AirflowException

from airflow_provider_trim.compat import AirflowFailException
from airflow_provider_trim.emulator import HttpError, ServiceCode, TrimEmulator
from airflow_provider_trim.vod.errors import VideoProcessingError
from tests.support.waits import operator


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
@pytest.mark.parametrize("seconds", [0, 0.2], ids=["done", "later"])
def test_it_pushes_the_ids_under_keys_of_their_own(
    trim_default: TrimEmulator, example_response: dict, mode: str, seconds: float
) -> None:
    info = example_response["data"]["videoInfo"]
    task_id = trim_default.add_trim("T", seconds=seconds, video_info=info).task_id
    wait = operator(mode)
    assert wait.run() == info
    assert wait.ti.pushed == {"trans_no": "T", "trim_task_id": task_id, "video_id": info["videoId"]}


def test_without_waiting_a_finished_trim_is_returned(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("T", seconds=0)
    trim_default.misbehave("T", HttpError(500, headers={"Retry-After": "0"}))
    assert operator("poke", wait_for_completion=False).run() == trim_default.video_info("T")


@pytest.mark.parametrize("code", [None, 1560])
def test_without_waiting_an_unfinished_trim_is_an_error_that_says_so(
    trim_default: TrimEmulator, code: int | None
) -> None:
    trim_default.add_trim("T", seconds=math.inf, processing_code=code)
    with pytest.raises(VideoProcessingError) as failed:
        operator("poke", wait_for_completion=False).run()
    assert not isinstance(failed.value, AirflowException)  # so that retries apply
    assert str(failed.value).startswith("trim T is still processing; set wait_for_completion=True to wait (")
    assert len(trim_default.calls) == 1


@pytest.mark.parametrize("trans_no", ["", "unknown"])
def test_without_waiting_what_cannot_be_is_not_retried(trim_default: TrimEmulator, trans_no: Any) -> None:
    trim_default.misbehave("unknown", ServiceCode(1603, "does not exist"))
    with pytest.raises(AirflowFailException):
        operator("poke", wait_for_completion=False, trans_no=trans_no).run()
