# SPDX-License-Identifier: Apache-2.0
"""Each authentication scheme, from the connection to the service that checks it, by real HTTP."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.emulator.authentication import Scheme
from airflow_provider_trim.hooks.trim import TrimApiHook
from airflow_provider_trim.vod.errors import TrimAuthError
from airflow_provider_trim.vod.models import TrimStatus
from tests.support.emulators import set_connection
from tests.support.waits import sensor

USER, SECRET = "AKEXAMPLE0001", "SKEXAMPLE0001secret"
NOW = 1_796_000_000.25
SIGNING: tuple[Scheme, ...] = ("ws3-hmac-sha256", "cnc-hmac-sha256")
CLOCKED: tuple[Scheme, ...] = (*SIGNING, "api-key")
CLIP = {"video_id": "V1", "seek_start": 30, "duration": 12, "filename": "goal.flv"}

Connect = Callable[..., None]

every_scheme = pytest.mark.parametrize("auth", ["token", *CLOCKED])
every_connection = pytest.mark.parametrize(
    ("auth", "extra"),
    [
        ("token", {}),
        ("token", {"method": "GET", "allow_token_in_url": True}),
        *((auth, extra) for auth in CLOCKED for extra in ({}, {"method": "GET"})),
    ],
    ids=lambda value: value.get("method", "POST") if isinstance(value, dict) else value,
)


@pytest.fixture
def emulator_options(auth: Scheme) -> dict[str, Any]:
    return {"auth": auth, "user": USER, "token": SECRET}


@pytest.fixture
def connect(auth: Scheme, monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Writes the connection ``trim_default`` to the environment; its extras come as keyword arguments."""

    def connect(emulator: TrimEmulator, password: str = SECRET, **extra: Any) -> None:
        # No quota, so that no poll waits for a permit.
        extras = {"auth": auth, "quota": "off", **extra}
        set_connection(monkeypatch, emulator, password=password, **extras)

    return connect


# --- let in ---


@every_connection
@pytest.mark.parametrize("trans_no", ["036b6f4a01611000a79c3a7800000000", "操作 1+1=2&a%2F/?"])
async def test_hook_query_is_authenticated(
    emulator: TrimEmulator, connect: Connect, extra: dict[str, Any], trans_no: str
) -> None:
    connect(emulator, **extra)
    emulator.add_trim(trans_no, seconds=0)
    async with TrimApiHook() as hook:
        for task in (await asyncio.to_thread(hook.get_task, trans_no), await hook.aget_task(trans_no)):
            assert (task.trans_no, task.status) == (trans_no, TrimStatus.SUCCESSFUL)
    assert [call.method for call in emulator.calls] == [extra.get("method", "POST")] * 2


@every_connection
def test_hook_submission_is_authenticated(emulator: TrimEmulator, connect: Connect, extra: dict[str, Any]) -> None:
    """By POST, whatever the connection's method."""
    connect(emulator, **extra)
    emulator.duration = 0
    with TrimApiHook() as hook:
        trans_no = hook.submit_trim(**CLIP)
        assert hook.get_task(trans_no).status is TrimStatus.SUCCESSFUL
    assert [call.method for call in emulator.calls] == ["POST", extra.get("method", "POST")]
    assert [submission.trans_no for submission in emulator.submissions] == [trans_no]


@every_connection
def test_connection_test_succeeds(emulator: TrimEmulator, connect: Connect, extra: dict[str, Any]) -> None:
    connect(emulator, **extra)
    assert TrimApiHook().test_connection() == (True, f"{emulator.url} responded and accepted the credentials.")


@every_connection
def test_deferred_wait_is_authenticated_at_each_poll(
    emulator: TrimEmulator, connect: Connect, extra: dict[str, Any]
) -> None:
    """At each of its polls, which come more than once a second."""
    connect(emulator, **extra)
    emulator.add_trim("T", seconds=math.inf)

    def finish_after_three_polls() -> None:
        emulator.wait_for_calls(3)
        emulator.finish("T")

    with ThreadPoolExecutor() as pool:
        finished = pool.submit(finish_after_three_polls)
        found = sensor("deferrable").run()
        finished.result()
    assert found == emulator.video_info("T")
    assert {call.code for call in emulator.calls} == {200}


# --- more than one poll within a second ---


def assert_all_let_in(emulator: TrimEmulator, auth: Scheme, count: int) -> None:
    assert [call.code for call in emulator.calls] == [200] * count
    if auth in SIGNING:
        assert len({call.headers["Authorization"] for call in emulator.calls}) == count


@every_connection
def test_polls_of_many_threads_in_one_second_are_authenticated(
    emulator: TrimEmulator, connect: Connect, auth: Scheme, extra: dict[str, Any]
) -> None:
    """The clock stands still, so that it is one second for certain."""
    connect(emulator, **extra)
    emulator.add_trim("T", seconds=0)

    def poll(_: int) -> TrimStatus:
        with TrimApiHook() as hook:
            return hook.query_once("T").status

    with time_machine.travel(NOW, tick=False), ThreadPoolExecutor(8) as pool:
        assert list(pool.map(poll, range(16))) == [TrimStatus.SUCCESSFUL] * 16
    assert_all_let_in(emulator, auth, 16)


@every_connection
async def test_polls_of_thread_and_loop_within_a_second_are_authenticated(
    emulator: TrimEmulator, connect: Connect, auth: Scheme, extra: dict[str, Any]
) -> None:
    connect(emulator, **extra)
    emulator.add_trim("T", seconds=0)
    async with TrimApiHook() as hook, TrimApiHook() as other:
        with time_machine.travel(NOW, tick=False):
            tasks = await asyncio.gather(
                asyncio.to_thread(hook.query_once, "T"), hook.aget_task("T"), other.aget_task("T"), other.aget_task("T")
            )
    assert [task.status for task in tasks] == [TrimStatus.SUCCESSFUL] * 4
    assert_all_let_in(emulator, auth, 4)


# --- refused ---


@every_connection
def test_wrong_secret_is_reported_but_not_shown(
    emulator: TrimEmulator, connect: Connect, extra: dict[str, Any]
) -> None:
    connect(emulator, "wr0ng-s3cret", **extra)
    works, message = TrimApiHook().test_connection()
    assert not works
    assert message.startswith("authentication failed: ")
    assert "your clock" not in message
    for secret in ("wr0ng-s3cret", SECRET):
        assert secret not in message
    with pytest.raises(TrimAuthError, match="authentication failed"), TrimApiHook() as hook:
        hook.submit_trim(**CLIP)
    assert emulator.call_count == 2
    assert emulator.submissions == []


@every_scheme
def test_a_secret_changed_at_the_service_counts_from_the_next_call(emulator: TrimEmulator, connect: Connect) -> None:
    connect(emulator)
    emulator.add_trim("T", seconds=0)
    with TrimApiHook() as hook:
        hook.get_task("T")
        emulator.token = "the next one"
        with pytest.raises(TrimAuthError):
            hook.get_task("T")
        connect(emulator, "the next one")
        hook.reload_connection()
        assert hook.get_task("T").status is TrimStatus.SUCCESSFUL


@pytest.mark.parametrize("auth", CLOCKED)
@pytest.mark.parametrize(("off", "direction"), [(400, "behind"), (-400, "ahead")])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_clock_skew_is_reported(connect: Connect, auth: Scheme, off: int, direction: str, method: str) -> None:
    with TrimEmulator(auth=auth, user=USER, token=SECRET, wall_clock=lambda: time.time() + off) as emulator:
        connect(emulator, method=method)
        works, message = TrimApiHook().test_connection()
    assert not works
    assert message.startswith("authentication failed: ")
    # The service's Date has whole seconds.
    assert any(f"your clock is off by {seconds} s ({direction})" in message for seconds in (399, 400, 401))
    assert SECRET not in message
