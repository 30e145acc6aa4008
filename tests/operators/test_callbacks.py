# SPDX-License-Identifier: Apache-2.0
"""TrimVideoOperator with callbacks: what it has the service call, and what its wait costs then."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_trim.emulator import QUERY_PATH, Lost, TrimEmulator
from airflow_provider_trim.hooks.trim import TrimApiHook
from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger
from tests.support.callback_calls import Callbacks
from tests.support.emulators import set_connection
from tests.support.running import AIRFLOW_3
from tests.support.waits import TaskInstance, Wait, derived, sensor, video

OURS = derived()
NEXT = derived(attempt=1)


@pytest.fixture
def connect(emulator: TrimEmulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callbacks]:
    """Return a function that makes ``trim_default`` a connection with callbacks."""

    def connect(**extra: Any) -> Callbacks:
        callbacks = Callbacks(emulator, **extra)
        set_connection(monkeypatch, emulator, **callbacks.extra)
        return callbacks

    return connect


@pytest.fixture
def callbacks(connect: Any) -> Callbacks:
    return connect()


def notify_urls(emulator: TrimEmulator) -> list[str | None]:
    return [submission.parameters.get("notifyUrl") for submission in emulator.submissions]


def deferral(wait: Wait) -> TrimTaskStatusTrigger:
    trigger = wait.defer().trigger
    assert isinstance(trigger, TrimTaskStatusTrigger)
    return trigger


def test_deferred_clip_ends_by_its_callback(callbacks: Callbacks, emulator: TrimEmulator) -> None:
    """One poll, since this triggerer has just begun to listen, and one after the callback; no other for an hour."""
    emulator.duration = math.inf
    wait = video("deferrable", poll_interval=3600)
    emulator.fail_submission("after")  # does no harm: the trim is found, with its address

    def finish_when_asked(call: Any) -> None:
        if call.path == QUERY_PATH and len(wait.deferrals) == 1:
            emulator.finish(OURS)

    emulator._log._on_call = finish_when_asked
    assert wait.run()["videoId"] == emulator.video_info(OURS)["videoId"]
    assert notify_urls(emulator) == [callbacks.address(OURS)]
    assert [callback.http_status for callback in emulator.wait_for_callbacks(1)] == [200]


@pytest.mark.parametrize("mode", ["worker", "deferrable"])
def test_lost_callback_is_made_up_for_by_polling(connect: Any, emulator: TrimEmulator, mode: str) -> None:
    connect(callback_poll_factor=3)
    emulator.duration = 0.2
    emulator.inject_callback_faults(None, Lost())
    assert video(mode).run()["videoId"] == emulator.video_info(OURS)["videoId"]


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        ({"use_callback": False}, {}),
        ({}, {"callback_url": None}),
        ({}, {"callback_listen": None}),
        ({"trans_no": "a/b"}, {}),  # a proxy might spell it differently
    ],
)
def test_no_notify_url_is_sent_where_callbacks_are_off_or_cannot_work(
    connect: Any, emulator: TrimEmulator, arguments: dict[str, Any], extra: dict[str, Any]
) -> None:
    connect(**extra)
    assert deferral(video("deferrable", **arguments)).expects_callback is False
    assert notify_urls(emulator) == [None]


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"callback_url": None}, "No callback: callback_listen has no effect without callback_url; set both"),
        ({"callback_listen": None}, "No callback: callback_url has no effect without callback_listen; set both"),
        ({"callback_listen": None, "callback_url": None}, ""),
        ({}, ""),
    ],
)
def test_half_of_what_callbacks_need_is_logged(
    connect: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, extra: dict[str, Any], said: str
) -> None:
    connect(**extra)
    deferral(video("deferrable"))
    logged = "".join(capsys.readouterr()) if AIRFLOW_3 else caplog.text
    assert said in logged
    assert logged.count("No callback") == bool(said)
    works, message = TrimApiHook().test_connection()
    assert works
    assert said.removeprefix("No callback: ") in message
    assert ("has no effect" in message) == bool(said)


def test_explicit_notify_url_takes_precedence(callbacks: Callbacks, emulator: TrimEmulator) -> None:
    trigger = deferral(video("deferrable", notify_url="https://example.com/done"))
    assert notify_urls(emulator) == ["https://example.com/done"]
    assert trigger.expects_callback is False


@pytest.mark.parametrize("notify_url", [None, ""])
def test_empty_notify_url_counts_as_none(callbacks: Callbacks, emulator: TrimEmulator, notify_url: str | None) -> None:
    assert deferral(video("deferrable", notify_url=notify_url)).expects_callback is True
    assert notify_urls(emulator) == [callbacks.address(OURS)]


def test_clip_without_a_wait_still_gets_a_callback(callbacks: Callbacks, emulator: TrimEmulator) -> None:
    assert video("deferrable", wait_for_completion=False).run() == OURS
    assert notify_urls(emulator) == [callbacks.address(OURS)]
    assert deferral(sensor("deferrable", OURS)).expects_callback is False


def test_adopted_trim_keeps_its_callback_address(callbacks: Callbacks, emulator: TrimEmulator) -> None:
    deferral(video("deferrable"))
    assert deferral(video("deferrable", TaskInstance(try_number=2))).expects_callback is True
    emulator.fail(OURS)
    assert deferral(video("deferrable", TaskInstance(try_number=3))).expects_callback is True
    assert notify_urls(emulator) == [callbacks.address(OURS), callbacks.address(NEXT)]


def test_no_callback_expected_for_an_adopted_trim_with_explicit_trans_no(
    callbacks: Callbacks, emulator: TrimEmulator
) -> None:
    """A trim that is adopted may have been submitted by any client."""
    emulator.add_trim("mine", 60)
    assert deferral(video("deferrable", TaskInstance(try_number=2), trans_no="mine")).expects_callback is False
    assert deferral(video("deferrable", trans_no="new")).expects_callback is True


def test_a_trigger_that_was_stored_before_there_were_callbacks_still_runs(callbacks: Callbacks) -> None:
    path, arguments = deferral(video("deferrable")).serialize()
    assert arguments.pop("expects_callback") is True
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**arguments)
    assert again.expects_callback is False


def test_callback_address_is_in_no_trigger(callbacks: Callbacks) -> None:
    trigger = deferral(video("deferrable"))
    signature = callbacks.address(OURS).rpartition("/")[2]
    assert signature not in repr(trigger) + json.dumps(trigger.serialize())
