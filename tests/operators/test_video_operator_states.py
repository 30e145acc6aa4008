# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to the tries of a task instance, in whatever order: one trim, and never a lost one.

Responses are lost, processes die between any two steps, tasks are retried and cleared, trims end well or badly. The
steps are those of :func:`submit_once` with the real hook, against one emulator.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from airflow_provider_trim.emulator import DUPLICATE_CODE, ConnectionReset, Fault, HttpError, TrimEmulator
from airflow_provider_trim.hooks.trim import TrimApiHook
from airflow_provider_trim.operators.idempotent_submit import TrimRequest, submit_once, task_trans_no
from airflow_provider_trim.vod.errors import TrimError, TrimTaskFailedError
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from tests.support.emulators import set_connection
from tests.support.waits import TaskInstance

CLIP = {"video_id": "V1", "seek_start": 30, "duration": 12, "filename": "goal"}

STEPS = 8
_runs = itertools.count()


class Crash(BaseException):
    """The process dies here."""


class QuietHook(TrimApiHook):
    """Writes no log, of which there would be ten thousand lines."""

    log = logging.Logger("quiet", logging.CRITICAL)


class Mortal:
    """The hook of a process that dies at its n-th step, if there is one: before and after calls, and in pauses."""

    def __init__(self, hook: TrimApiHook, dies_at: int | None) -> None:
        self.hook = hook
        self.metrics = hook.metrics
        self.left = math.inf if dies_at is None else dies_at
        hook._sleep = self.sleep

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Crash

    def sleep(self, seconds: float) -> None:
        self.step()

    def get_task(self, trans_no: str) -> TrimTask:
        self.step()
        task = self.hook.get_task(trans_no)
        self.step()
        return task

    def submit_trim(self, **parameters: Any) -> str:
        self.step()
        trans_no = self.hook.submit_trim(**parameters)
        self.step()
        return trans_no


class Trouble(NamedTuple):
    """What a try meets: submissions whose response is lost, questions that are not answered, and its death."""

    lost: list[tuple[Any, Fault]]
    deaf: int
    dies_at: int | None


TROUBLE = st.builds(
    Trouble,
    st.lists(
        st.tuples(
            st.sampled_from(["before", "after"]), st.sampled_from([HttpError(502), HttpError(502), ConnectionReset()])
        ),
        max_size=2,
    ),
    st.sampled_from([0, 0, 0, 1, 4]),
    st.none() | st.integers(0, 7),
)
NO_TROUBLE = Trouble([], 0, None)


class OneTaskInstance(RuleBasedStateMachine):
    """Airflow's view of a task instance, and what the service has really accepted."""

    emulator: TrimEmulator
    hook: TrimApiHook

    def __init__(self) -> None:
        super().__init__()
        self.run_id = f"run-{next(_runs)}"
        self.names: list[str] = []
        self.tries = 0
        self.waits_for: str | None = None
        self.succeeded = False
        self.ends: dict[str, str] = {}

    # --- what the service knows ---

    def name(self, attempt: int) -> str:
        while len(self.names) <= attempt:
            self.names.append(task_trans_no(TaskInstance(run_id=self.run_id), "clip", len(self.names)))
        return self.names[attempt]

    def accepted(self) -> list[str]:
        names = []
        for attempt in itertools.count():
            name = self.name(attempt)
            if not self.emulator.submissions_for(name):
                return names
            names.append(name)
        raise AssertionError

    def running(self) -> list[str]:
        return [name for name in self.accepted() if name not in self.ends]

    # --- what happens ---

    def attempt(self, trouble: Trouble) -> None:
        """Run the next try as far as it comes."""
        accepted, running = self.accepted(), self.running()
        self.tries += 1
        self.waits_for, self.succeeded = None, False
        for when, fault in trouble.lost:
            self.emulator.fail_submission(when, fault)
        if trouble.deaf:
            self.emulator.misbehave(None, *[HttpError(503)] * trouble.deaf)
        try:
            trans_no, task = submit_once(
                Mortal(self.hook, trouble.dies_at),
                TrimRequest(CLIP, self.name),
                query_first=self.tries > 1,
                reuse_finished=self.reuse,
            )
        except Crash:
            return
        except TrimError as error:
            if not error.retryable:
                raise
            return
        finally:
            self.emulator.clear_faults()
        new = self.accepted()[len(accepted) :]
        if running:
            assert ([trans_no], task, new) == (running, None, [])  # adopted
        elif accepted and self.ends[accepted[-1]] == "finish" and self.reuse:
            assert (trans_no, new) == (accepted[-1], [])  # returned
            assert task is not None
            assert task.video_info is not None
            assert task.video_info.raw == self.emulator.video_info(trans_no)
            self.succeeded = True
            return
        else:
            assert ([trans_no], task) == (new, None)  # the first, or one in the place of one that is over
        self.waits_for = trans_no

    @initialize(reuse=st.booleans(), trouble=TROUBLE)
    def first_try(self, reuse: bool, trouble: Trouble) -> None:
        self.reuse = reuse
        self.attempt(trouble)

    @rule(trouble=TROUBLE)
    def another_try(self, trouble: Trouble) -> None:
        """A retry, or one that waits is killed first, or one that has succeeded is cleared."""
        self.attempt(trouble)

    @precondition(lambda self: self.running())
    @rule(end=st.sampled_from(["finish", "fail"]))
    def trim_ends(self, end: str) -> None:
        (name,) = self.running()
        getattr(self.emulator, end)(name)
        self.ends[name] = end

    @precondition(lambda self: self.waits_for is not None)
    @rule()
    def poll(self) -> None:
        assert self.waits_for is not None
        end = self.ends.get(self.waits_for)
        try:
            task = self.hook.get_task(self.waits_for)
        except TrimTaskFailedError:
            assert end == "fail"
            self.waits_for = None  # a retry is due
            return
        assert task.status is (TrimStatus.SUCCESSFUL if end == "finish" else TrimStatus.PROCESSING)
        if end == "finish":
            self.waits_for, self.succeeded = None, True

    # --- what always holds ---

    @invariant()
    def one_trim_at_most(self) -> None:
        accepted = self.accepted()
        assert len(self.running()) <= 1
        over = [name for name in accepted if self.ends.get(name) == "fail" or not self.reuse]
        assert len(accepted) <= 1 + len(over)
        assert not set(self.ends) - set(accepted)

    @invariant()
    def nothing_is_sent_that_the_service_has_already(self) -> None:
        """The emulator refuses a duplicate; the real service's response is not known, so it must not come to that."""
        for name in self.accepted():
            assert DUPLICATE_CODE not in {call.code for call in self.emulator.calls_for(name)}

    def teardown(self) -> None:
        """Undisturbed, the next try goes on with whatever there is, and ends well."""
        try:
            if self.waits_for is None and not self.succeeded:
                self.attempt(NO_TROUBLE)
            if self.waits_for is not None:
                if self.waits_for not in self.ends:
                    self.trim_ends("finish")
                self.poll()
            self.one_trim_at_most()
            self.nothing_is_sent_that_the_service_has_already()
        finally:
            for name in self.accepted():
                self.emulator.remove_trim(name)
            self.emulator.clear_calls()


@pytest.fixture(scope="module")
def machine() -> Iterator[type[OneTaskInstance]]:
    with TrimEmulator(duration=math.inf) as emulator, pytest.MonkeyPatch.context() as patch:
        set_connection(patch, emulator, "trim_states", quota="off")
        with QuietHook("trim_states") as hook:
            OneTaskInstance.emulator, OneTaskInstance.hook = emulator, hook
            yield OneTaskInstance


@pytest.mark.hypothesis
def test_one_trim_and_never_a_lost_one(machine: type[OneTaskInstance]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=4 * settings.default.max_examples,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
