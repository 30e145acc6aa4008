# SPDX-License-Identifier: Apache-2.0
"""The controls of a test: which trims there are, what becomes of them, and what goes wrong on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from airflow_provider_trim.emulator.callbacks import Callback, CallbackDesk, Misdelivery
from airflow_provider_trim.emulator.faults import ConnectionReset, Fault, FaultPlan, Moment, SubmissionFaultPlan
from airflow_provider_trim.emulator.records import RecordLog
from airflow_provider_trim.emulator.submission_checks import SamplingRateParameter
from airflow_provider_trim.emulator.submissions import (
    Duration,
    OutcomeOfSubmitted,
    Submission,
    SubmissionDesk,
    checked_outcome,
    checked_seconds,
)
from airflow_provider_trim.emulator.trims import SUCCESSFUL, Outcome, Trim, TrimStore, task_id_of
from airflow_provider_trim.emulator.video_info import clip_of


class TrimControls:
    """What :class:`TrimEmulator` can be told besides starting and stopping. Safe to use from any thread."""

    def __init__(
        self,
        duration: Duration,
        sampling_rate_parameter: SamplingRateParameter,
        record: bool,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        on_callback: Callable[[Callback], None] | None,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._trims = TrimStore()
        self._faults = FaultPlan()
        self._submission_faults = SubmissionFaultPlan()
        self._submissions: RecordLog[Submission] = RecordLog("submissions", record)
        self._callbacks: RecordLog[Callback] = RecordLog("callbacks", record)
        self._callback_desk = CallbackDesk(self._trims, self._callbacks, clock, on_callback)
        self._desk = SubmissionDesk(
            self._trims, self._submissions, duration, sampling_rate_parameter, clock, wall_clock, self._expect_callback
        )

    def _expect_callback(self, trim: Trim) -> None:
        if trim.notify_url:
            self._callback_desk.expect(trim.trans_no, trim.ends)

    # --- trims ---

    def add_trim(
        self,
        trans_no: str,
        seconds: float | None = None,
        outcome: Outcome = "success",
        video_info: Any = None,
        processing_code: int | None = None,
        notify_url: str | None = None,
    ) -> Trim:
        """Start a trim.

        :param trans_no: 1 to 32 characters
        :param seconds: how long it takes, by the emulator's clock; by default ``duration``. ``math.inf`` waits for
            :meth:`finish` or :meth:`fail`
        :param outcome: ``success`` ends with status 2 and a ``videoInfo``, ``fail`` with status 3
        :param video_info: the ``videoInfo``, exactly as it is to be answered; by default one is generated
        :param processing_code: answered instead of status 1 while it runs, such as 1560, "video is being processed"
        :param notify_url: called when it is done, as a submission's ``notifyUrl``
        :raises ValueError: if ``trans_no`` is impossible or known already, ``outcome`` unknown, or ``seconds`` negative
        """
        lasts = self._desk.lasts(clip_of(trans_no).seconds) if seconds is None else checked_seconds(seconds)
        now = self._clock()
        trim = Trim(
            trans_no,
            task_id_of(trans_no),
            now,
            self._wall_clock(),
            now + lasts,
            checked_outcome(outcome),
            video_info,
            processing_code,
            notify_url=notify_url,
        )
        self._trims.add(trim)
        self._expect_callback(trim)
        return trim

    def remove_trim(self, trans_no: str) -> None:
        """Forget a trim, so that it is answered with 1603.

        :raises KeyError: if there is none
        """
        self._trims.remove(trans_no)

    def finish(self, trans_no: str, video_info: Any = None) -> None:
        """Complete a trim at once, successfully.

        :param video_info: as for :meth:`add_trim`
        :raises KeyError: if there is none
        """
        self._end(trans_no, "success", video_info)

    def fail(self, trans_no: str) -> None:
        """Make a trim fail at once.

        :raises KeyError: if there is none
        """
        self._end(trans_no, "fail")

    def _end(self, trans_no: str, outcome: Outcome, video_info: Any = None) -> None:
        now = self._clock()
        self._trims.end(trans_no, now, outcome, video_info)
        self._expect_callback(self._trims.get(trans_no))

    def video_info(self, trans_no: str) -> Any:
        """The ``videoInfo`` a query of that trim carries now, or None if it carries none.

        :raises KeyError: if there is no such trim
        """
        trim = self._trims.get(trans_no)
        return trim.result() if trim.status(self._clock()) == SUCCESSFUL else None

    @property
    def running(self) -> list[str]:
        """The ``transNo`` of each trim that runs now, added or submitted, in that order."""
        return self._trims.running(self._clock())

    # --- submissions ---

    @property
    def duration(self) -> Duration:
        """The seconds a trim takes, or what gives them from the seconds of the clip; set it for the trims to come.

        :raises ValueError: if it is set to less than 0
        """
        return self._desk.duration

    @duration.setter
    def duration(self, duration: Duration) -> None:
        self._desk.duration = duration

    @property
    def outcome_of_submitted(self) -> OutcomeOfSubmitted:
        """How submitted trims end: ``success``, ``fail``, or what says so of each accepted :class:`Submission`.

        A callable is called in the server's thread, once for each submission about to be accepted. Set it for the
        trims to come; :meth:`finish` and :meth:`fail` end one that runs.

        :raises ValueError: if it is set to anything else
        """
        return self._desk.outcome

    @outcome_of_submitted.setter
    def outcome_of_submitted(self, outcome: OutcomeOfSubmitted) -> None:
        self._desk.outcome = outcome

    @property
    def submissions(self) -> list[Submission]:
        """The submissions accepted so far, in that order, whether or not their answer arrived; a copy."""
        return self._submissions.all()

    def submissions_for(self, trans_no: str) -> list[Submission]:
        """The submissions accepted for one ``transNo``: more than one only if its trim was removed in between."""
        return self._submissions.all(trans_no)

    def wait_for_submissions(self, count: int, timeout: float = 60.0) -> list[Submission]:
        """Block until ``count`` submissions were accepted, and return all of them.

        :param timeout: seconds of real time
        :raises RuntimeError: if nothing is recorded (``record=False``)
        :raises TimeoutError: after ``timeout`` seconds
        """
        return self._submissions.wait(count, timeout)

    async def await_submissions(self, count: int, timeout: float = 60.0) -> list[Submission]:
        """:meth:`wait_for_submissions` for a coroutine, blocking no event loop."""
        return await asyncio.to_thread(self._submissions.wait, count, timeout)

    def fail_submission(self, when: Moment, fault: Fault | None = None, times: int = 1) -> None:
        """Let the next submissions meet ``fault``, whatever their ``transNo``.

        What is planned already comes first. Submissions refused by authentication or quota meet no fault; one that the
        service refuses does.

        :param when: ``before``: the fault takes the place of the acceptance. Nothing is submitted, unless the fault
            itself asks for the ordinary answer, as a :class:`Hold` does when it is released. ``after``: the submission
            is accepted and its trim runs, then the fault takes the place of the answer
        :param fault: by default a :class:`ConnectionReset`
        :param times: how many submissions meet it
        :raises ValueError: if ``when`` is neither, or ``times`` less than 1
        """
        self._submission_faults.add(when, ConnectionReset() if fault is None else fault, times)

    # --- callbacks ---

    @property
    def callbacks(self) -> list[Callback]:
        """The calls of ``notifyUrl`` made so far, in the order in which they ended; a copy."""
        return self._callbacks.all()

    def callbacks_for(self, trans_no: str) -> list[Callback]:
        """The calls made for one ``transNo``."""
        return self._callbacks.all(trans_no)

    def wait_for_callbacks(self, count: int, timeout: float = 60.0) -> list[Callback]:
        """Block until ``count`` calls of ``notifyUrl`` have ended, answered or not, and return all of them.

        :param timeout: seconds of real time
        :raises RuntimeError: if nothing is recorded (``record=False``)
        :raises TimeoutError: after ``timeout`` seconds
        """
        return self._callbacks.wait(count, timeout)

    async def await_callbacks(self, count: int, timeout: float = 60.0) -> list[Callback]:
        """:meth:`wait_for_callbacks` for a coroutine, blocking no event loop."""
        return await asyncio.to_thread(self._callbacks.wait, count, timeout)

    def call_back(self, trans_no: str, url: str | None = None) -> None:
        """Call an address for a trim now, whatever has become of it: too early, once more, or with a wrong address.

        :param url: by default the trim's ``notifyUrl``
        :raises KeyError: if there is no such trim, and no ``url`` either
        :raises ValueError: if the trim has no ``notifyUrl``
        """
        address = url or self._trims.get(trans_no).notify_url
        if not address:
            raise ValueError(f"trim {trans_no!r} has no notifyUrl")
        self._callback_desk.call(trans_no, address)

    def misdeliver(self, trans_no: str | None, *misdeliveries: Misdelivery, repeat: bool = False) -> None:
        """Let the coming callbacks go wrong, one each, in that order.

        What is planned already comes first; a trim's own come before those for any trim. They are dropped by
        :meth:`behave`, as other faults are.

        :param trans_no: the trim whose callbacks are meant; None means any trim
        :param misdeliveries: such as :class:`Lost`, :class:`Late`, :class:`Repeated`, :class:`Forged`
        :param repeat: start again after the last one, without end
        :raises ValueError: if there are none
        """
        self._callback_desk.plan.add(trans_no, misdeliveries, repeat)

    # --- misbehaviour ---

    def misbehave(self, trans_no: str | None, *faults: Fault, repeat: bool = False) -> None:
        """Let the coming queries meet ``faults``, one each, in that order.

        What is planned already comes first. Queries refused by authentication or quota meet no fault. A trim's own
        faults come before those for any query. Submissions neither meet these faults nor use them up; theirs are those
        of :meth:`fail_submission`.

        :param trans_no: the trim whose queries are meant; None means any query
        :param repeat: start again after the last fault, without end, until :meth:`behave`
        :raises ValueError: if there are no faults
        """
        self._faults.add(trans_no, faults, repeat)

    def behave(self, trans_no: str | None = None) -> None:
        """Drop the planned faults of one trim's queries and callbacks. Calls held or delayed stay so.

        :param trans_no: None drops all faults there are, those of submissions as well
        """
        if trans_no is None:
            self._faults.clear_all()
            self._submission_faults.clear()
            self._callback_desk.plan.clear_all()
        else:
            self._faults.clear(trans_no)
            self._callback_desk.plan.clear(trans_no)
