# SPDX-License-Identifier: Apache-2.0
"""TrimVideoOperator, killed: a process is ended by SIGKILL at each point of its life, and the next try finds its trim.

Nothing here waits by the clock: the emulator holds the call in whose midst the process dies, or the process says that
it has come so far, and stops.
"""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_trim.emulator import QUERY_PATH, SUBMIT_PATH, Hold, ServiceData, TrimEmulator
from tests.support.tries import STEP_TIMEOUT, Try
from tests.support.waits import derived

OURS = derived()
S, Q = SUBMIT_PATH, QUERY_PATH

every_mode = pytest.mark.parametrize("mode", ["worker", "deferrable"])
meanwhile = pytest.mark.parametrize("done", [False, True], ids=["runs", "done"])


@pytest.fixture
def emulator_options() -> dict[str, Any]:
    return {"duration": 0}


def kill_while_held(emulator: TrimEmulator, attempt: Try, hold: Hold) -> None:
    hold.wait_until_held(timeout=STEP_TIMEOUT)
    answered = emulator.call_count
    attempt.kill()
    hold.wait_until_left(timeout=STEP_TIMEOUT)
    emulator.wait_for_calls(answered + 1, STEP_TIMEOUT)  # the one that was held, whose response has no receiver


def submitted(emulator: TrimEmulator) -> list[str]:
    return [submission.trans_no for submission in emulator.submissions]


def next_try(emulator: TrimEmulator, mode: str, *, done: bool = True) -> None:
    """Run the second try to its end, with the trim done by then or not, and see that there is still one trim."""
    emulator.clear_calls()
    if not done:
        emulator.misbehave(OURS, ServiceData({"transNo": OURS, "status": 1}))
    result, pushed = Try(emulator, 2, mode).result()
    assert submitted(emulator) == [OURS]
    assert result == emulator.video_info(OURS)
    assert (pushed["trans_no"], pushed["video_id"]) == (OURS, result["videoId"])
    assert emulator.calls[0].path == Q


@every_mode
def test_killed_before_the_submission_is_accepted(emulator: TrimEmulator, mode: str) -> None:
    hold = Hold()
    emulator.fail_submission("before", hold)
    kill_while_held(emulator, Try(emulator, 1, mode), hold)
    assert submitted(emulator) == []
    next_try(emulator, mode)
    assert [call.path for call in emulator.calls] == [Q, S, Q]


@every_mode
@meanwhile
def test_killed_between_acceptance_and_response(emulator: TrimEmulator, mode: str, done: bool) -> None:
    hold = Hold()
    emulator.fail_submission("after", hold)
    kill_while_held(emulator, Try(emulator, 1, mode), hold)
    assert submitted(emulator) == [OURS]
    next_try(emulator, mode, done=done)
    assert S not in {call.path for call in emulator.calls}


@meanwhile
def test_killed_between_response_and_deferral(emulator: TrimEmulator, done: bool) -> None:
    """During the poll that decides whether to defer."""
    hold = Hold()
    emulator.misbehave(OURS, hold)
    attempt = Try(emulator, 1, "deferrable", first_poll_after=0)
    kill_while_held(emulator, attempt, hold)
    assert submitted(emulator) == [OURS]
    next_try(emulator, "deferrable", done=done)


@meanwhile
def test_killed_before_airflow_knows_of_the_deferral(emulator: TrimEmulator, done: bool) -> None:
    attempt = Try(emulator, 1, "deferrable", stop_at="deferral")
    attempt.wait_until_stopped()
    assert [call.path for call in emulator.wait_for_calls(1, STEP_TIMEOUT)] == [S]
    attempt.kill()
    next_try(emulator, "deferrable", done=done)


@every_mode
@meanwhile
def test_killed_while_waiting(emulator: TrimEmulator, mode: str, done: bool) -> None:
    """Deferred, or holding a worker. There is nothing to clean up."""
    hold = Hold()
    emulator.misbehave(OURS, ServiceData({"transNo": OURS, "status": 1}), hold)
    kill_while_held(emulator, Try(emulator, 1, mode), hold)
    assert [call.path for call in emulator.calls] == [S, Q, Q]
    next_try(emulator, mode, done=done)


@every_mode
def test_killed_after_the_last_response(emulator: TrimEmulator, mode: str) -> None:
    """After the last response, before Airflow has the result."""
    attempt = Try(emulator, 1, mode, stop_at="push")
    attempt.wait_until_stopped()
    attempt.kill()
    next_try(emulator, mode)


def test_killed_without_waiting(emulator: TrimEmulator) -> None:
    """Between the response and the end of a task that does not wait."""
    attempt = Try(emulator, 1, "worker", stop_at="push", wait_for_completion=False)
    attempt.wait_until_stopped()
    attempt.kill()
    assert Try(emulator, 2, "worker", wait_for_completion=False).result() == (OURS, {"trans_no": OURS})
    assert submitted(emulator) == [OURS]


@every_mode
def test_killed_again_and_again(emulator: TrimEmulator, mode: str) -> None:
    """Before acceptance, then before the response, then while it waits."""
    for number, (moment, accepted) in enumerate([("before", []), ("after", [OURS]), (None, [OURS])], start=1):
        hold = Hold()
        if moment is None:
            emulator.misbehave(OURS, ServiceData({"transNo": OURS, "status": 1}), hold)
        else:
            emulator.fail_submission(moment, hold)  # type: ignore[arg-type]
        kill_while_held(emulator, Try(emulator, number, mode), hold)
        assert submitted(emulator) == accepted
    result, _ = Try(emulator, 4, mode).result()
    assert result == emulator.video_info(OURS)
    assert submitted(emulator) == [OURS]


@every_mode
def test_cleared_after_success(emulator: TrimEmulator, mode: str) -> None:
    """A task that is run again returns the same trim, of which there is one."""
    first = Try(emulator, 1, mode).result()
    again = Try(emulator, 2, mode).result()
    assert again == first
    assert submitted(emulator) == [OURS]
    assert [call.path for call in emulator.calls] == [S, Q, Q]
