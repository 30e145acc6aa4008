# SPDX-License-Identifier: Apache-2.0
"""What a finished task says of its trims, to assets and in its log."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

try:
    from airflow.sdk import Asset
except ImportError:  # Airflow 2.11
    from airflow.datasets import Dataset as Asset

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.polling.verdicts import Failure, Success
from airflow_provider_trim.triggers.results import unwrap_verdicts
from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.models import TrimTask
from tests.support.running import AIRFLOW_3
from tests.support.waits import operator, video

LOG = logging.getLogger(__name__)


class Events:
    """Airflow's accessors of outlets' events, each made when it is first asked for."""

    def __init__(self) -> None:
        self._events: dict[str, Any] = {}  # by repr(): an asset of Airflow 3.0 can't be a key

    def __getitem__(self, outlet: Any) -> Any:
        return self._events.setdefault(repr(outlet), SimpleNamespace(extra={}))


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2.11 has no references to assets")
def test_an_asset_by_its_name_has_its_extra(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("T", seconds=0)
    outlet = Asset.ref(name="clips")
    wait = operator("poke", outlets=[outlet])
    wait.context["outlet_events"] = events = Events()
    wait.run()
    assert events[outlet].extra["video_id"] == trim_default.video_info("T")["videoId"]


def test_what_the_author_has_put_there_stays(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("T", seconds=0)
    outlet = Asset("trim://clips")
    wait = operator("poke", outlets=[outlet])
    wait.context["outlet_events"] = events = Events()
    events[outlet].extra = {"match": 7}
    wait.run()
    assert events[outlet].extra["match"] == 7
    assert events[outlet].extra["trans_no"] == "T"


def test_without_waiting_the_extra_is_the_trans_no(trim_default: TrimEmulator) -> None:
    outlet = Asset("trim://clips")
    wait = video("worker", wait_for_completion=False, outlets=[outlet])
    wait.context["outlet_events"] = events = Events()
    assert events[outlet].extra == {}
    trans_no = wait.run()
    assert events[outlet].extra == {"trans_no": trans_no}


def test_nothing_is_pushed_by_a_task_that_is_to_push_nothing(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("T", seconds=0)
    wait = operator("poke", do_xcom_push=False)
    wait.run()
    assert wait.ti.pushed == {}
    wait = video("worker", wait_for_completion=False, do_xcom_push=False)
    wait.run()
    assert wait.ti.pushed == {}


@pytest.mark.parametrize("digits", [18, 400])
def test_a_number_cant_fail_a_task(digits: int, caplog: pytest.LogCaptureFixture) -> None:
    info = {"videoSize": "9" * digits, "videoResolutions": [{"width": "9" * digits, "height": 1}], "videoId": "V"}
    task = TrimTask.model_validate({"transNo": "T", "status": 2, "videoInfo": info})
    with caplog.at_level(logging.INFO):
        assert unwrap_verdicts(["T"], [Success(task)], "fail", LOG) == [task]
    assert "Trim T is done: " in caplog.text


def test_text_from_outside_is_one_short_line(caplog: pytest.LogCaptureFixture) -> None:
    """A line of a log can't be forged, nor a terminal controlled."""
    bad = "x\n\x1b[31mINFO all is well\u202e" + "y" * 100_000
    task = TrimTask.model_validate({"status": 2, "videoInfo": {"videoId": bad, "videoName": bad}})
    with caplog.at_level(logging.INFO):
        unwrap_verdicts(["a\nb"], [Success(task)], "fail", LOG)
        unwrap_verdicts(["a\nb"], [Failure(TrimError("over"))], "ignore", LOG)
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) < 1000
    with pytest.raises(Exception, match=r"^trim a\\nb: over"):
        unwrap_verdicts(["a\nb"], [Failure(TrimError("over"))], "fail", LOG)
