# SPDX-License-Identifier: Apache-2.0
"""The controls of a test: which trims exist, how they end, and which faults occur."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from airflow_provider_trim.emulator.callbacks import Callback, CallbackFault, CallbackSender
from airflow_provider_trim.emulator.faults import ConnectionReset, Fault, Moment, Plan, SubmissionFaultPlan
from airflow_provider_trim.emulator.records import RecordLog
from airflow_provider_trim.emulator.submissions import (
    Duration,
    Submission,
    SubmissionHandler,
    SubmissionOutcome,
    validate_outcome,
    validate_seconds,
)
from airflow_provider_trim.emulator.trims import SUCCESSFUL, Outcome, Trim, TrimStore, derive_task_id, require_trans_no
from airflow_provider_trim.emulator.validation import SamplingRateParameter
from airflow_provider_trim.emulator.video_info import default_clip


class TrimControls:
    """The part of :class:`TrimEmulator` that needs no server. Safe to use from any thread.

    A facade: each group of methods passes on to the object that does the work.
    """

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
        self._trims = TrimStore(self._schedule_callback)
        self._faults: Plan[Fault] = Plan(Fault)
        self._submission_faults = SubmissionFaultPlan()
        self._submissions: RecordLog[Submission] = RecordLog("submissions", record)
        self._callbacks: RecordLog[Callback] = RecordLog("callbacks", record)
        self._callback_sender = CallbackSender(self._trims, self._callbacks, clock, on_callback)
        self._submission_handler = SubmissionHandler(
            self._trims,
            self._submissions,
            duration,
            sampling_rate_parameter,
            clock,
            wall_clock,
            self._schedule_callback,
        )

    def _schedule_callback(self, trim: Trim) -> None:
        if trim.notify_url:
            self._callback_sender.schedule(trim.trans_no, trim.ends)

    # --- trims ---

    def add_trim(
        self,
        trans_no: str,
        seconds: float | None = None,
        outcome: Outcome = "success",
        video_info: Any = None,
        processing_code: int | None = None,
        notify_url: str | None = None,
        start_on_first_poll: bool = False,
    ) -> Trim:
        """Start a trim.

        :param trans_no: 1 to 32 characters
        :param seconds: seconds it takes, by the emulator's clock; by default :attr:`duration`. ``math.inf`` waits for
            :meth:`finish` or :meth:`fail`
        :param outcome: ``success`` ends with status 2 and a ``videoInfo``, ``fail`` with status 3
        :param video_info: the ``videoInfo``, sent unchanged; by default one is generated
        :param processing_code: replaces status 1 while it runs, such as 1560, "video is being processed"
        :param notify_url: URL of the callback at its end, as a submission's ``notifyUrl``
        :param start_on_first_poll: count ``seconds`` from the first poll that gets the trim's status as its response,
            so that this poll finds the trim running, however late it comes
        :raises ValueError: if ``trans_no`` is invalid or has a trim already, ``outcome`` is unknown, or ``seconds``
            negative
        """
        require_trans_no(trans_no)
        if seconds is None:
            seconds = self._submission_handler.duration_of(default_clip(trans_no).seconds)
        validate_seconds(seconds)
        now = self._clock()
        trim = Trim(
            trans_no,
            derive_task_id(trans_no),
            now,
            self._wall_clock(),
            math.inf if start_on_first_poll else now + seconds,
            validate_outcome(outcome),
            video_info,
            processing_code,
            notify_url=notify_url,
            seconds_from_first_poll=seconds if start_on_first_poll else None,
        )
        self._trims.add(trim)
        self._schedule_callback(trim)
        return trim

    def remove_trim(self, trans_no: str) -> None:
        """Remove a trim, so that queries get code 1603.

        :raises KeyError: if there is no such trim
        """
        self._trims.remove(trans_no)

    def finish(self, trans_no: str, video_info: Any = None) -> None:
        """End a trim now, successfully.

        :param video_info: as for :meth:`add_trim`
        :raises KeyError: if there is no such trim
        """
        self._end(trans_no, "success", video_info)

    def fail(self, trans_no: str) -> None:
        """End a trim now, as failed.

        :raises KeyError: if there is no such trim
        """
        self._end(trans_no, "fail")

    def _end(self, trans_no: str, outcome: Outcome, video_info: Any = None) -> None:
        self._trims.end(trans_no, self._clock(), outcome, video_info)
        self._schedule_callback(self._trims.get(trans_no))

    def video_info(self, trans_no: str) -> Any:
        """Return the ``videoInfo`` that a query of a trim gets now, or None if it gets none.

        :raises KeyError: if there is no such trim
        """
        trim = self._trims.get(trans_no)
        return trim.result(self._trims.base_url) if trim.status(self._clock()) == SUCCESSFUL else None

    @property
    def running(self) -> list[str]:
        """The ``transNo`` of each trim that runs now, in the order of their start."""
        return self._trims.running(self._clock())

    # --- submissions ---

    @property
    def duration(self) -> Duration:
        """Seconds that a trim takes, or a function of the seconds of its clip. Setting it affects later trims.

        :raises ValueError: when set to less than 0
        """
        return self._submission_handler.duration

    @duration.setter
    def duration(self, duration: Duration) -> None:
        self._submission_handler.duration = duration

    @property
    def submission_outcome(self) -> SubmissionOutcome:
        """How submitted trims end: ``success``, ``fail``, or a function of the :class:`Submission`.

        The server's thread calls the function once for each submission that it is about to accept. Setting it affects
        later trims; :meth:`finish` and :meth:`fail` end a running one.

        :raises ValueError: when set to anything else
        """
        return self._submission_handler.outcome

    @submission_outcome.setter
    def submission_outcome(self, outcome: SubmissionOutcome) -> None:
        self._submission_handler.outcome = outcome

    @property
    def submissions(self) -> list[Submission]:
        """A copy of the accepted submissions, oldest first, whether or not the client got the response."""
        return self._submissions.all()

    def submissions_for(self, trans_no: str) -> list[Submission]:
        """Return the accepted submissions of one ``transNo``: several only if its trim was removed in between."""
        return self._submissions.all(trans_no)

    def wait_for_submissions(self, count: int, timeout: float = 60.0) -> list[Submission]:
        """Block until at least ``count`` submissions are accepted, and return them all.

        :param timeout: seconds of real time
        :raises RuntimeError: if nothing is recorded (``record=False``)
        :raises TimeoutError: after ``timeout`` seconds
        """
        return self._submissions.wait(count, timeout)

    async def async_wait_for_submissions(self, count: int, timeout: float = 60.0) -> list[Submission]:
        """Wait as :meth:`wait_for_submissions` does, without blocking the event loop."""
        return await asyncio.to_thread(self._submissions.wait, count, timeout)

    def fail_submission(self, when: Moment, fault: Fault | None = None, times: int = 1) -> None:
        """Inject ``fault`` into the next submissions, whatever their ``transNo``.

        Faults planned earlier come first. Submissions that authentication or quota reject meet no fault; those with
        invalid parameters do.

        :param when: ``before``: the fault replaces the acceptance, and no trim starts, unless the fault itself asks for
            the default response, as a released :class:`Hold` does. ``after``: the submission is accepted and its trim
            starts; the fault replaces the response
        :param fault: by default a :class:`ConnectionReset`
        :param times: number of submissions that meet it
        :raises ValueError: if ``when`` is unknown, or ``times`` is less than 1
        """
        self._submission_faults.add(when, ConnectionReset() if fault is None else fault, times)

    # --- callbacks ---

    @property
    def callbacks(self) -> list[Callback]:
        """A copy of the callbacks, in the order of their completion."""
        return self._callbacks.all()

    def callbacks_for(self, trans_no: str) -> list[Callback]:
        """Return the callbacks for one ``transNo``."""
        return self._callbacks.all(trans_no)

    def wait_for_callbacks(self, count: int, timeout: float = 60.0) -> list[Callback]:
        """Block until at least ``count`` callbacks are complete, with a response or without, and return them all.

        :param timeout: seconds of real time
        :raises RuntimeError: if nothing is recorded (``record=False``)
        :raises TimeoutError: after ``timeout`` seconds
        """
        return self._callbacks.wait(count, timeout)

    async def async_wait_for_callbacks(self, count: int, timeout: float = 60.0) -> list[Callback]:
        """Wait as :meth:`wait_for_callbacks` does, without blocking the event loop."""
        return await asyncio.to_thread(self._callbacks.wait, count, timeout)

    def send_callback(self, trans_no: str, url: str | None = None) -> None:
        """Send a callback now, whatever the state of the trim: too early, once more, or to a wrong URL.

        :param url: by default the trim's ``notifyUrl``
        :raises KeyError: if there is no such trim, and no ``url``
        :raises ValueError: if the trim has no ``notifyUrl``
        """
        address = url or self._trims.get(trans_no).notify_url
        if not address:
            raise ValueError(f"trim {trans_no!r} has no notifyUrl")
        self._callback_sender.send(trans_no, address)

    def inject_callback_faults(self, trans_no: str | None, *faults: CallbackFault, repeat: bool = False) -> None:
        """Inject faults into the next callbacks, one each, in order.

        Faults planned earlier come first; those of one trim come before those of any trim. :meth:`clear_faults` drops
        them.

        :param trans_no: the trim whose callbacks meet them; None means any trim
        :param faults: such as :class:`Lost`, :class:`Late`, :class:`Repeated`, :class:`Forged`
        :param repeat: start again after the last one, endlessly
        :raises ValueError: if there are none
        """
        self._callback_sender.plan.add(trans_no, faults, repeat)

    # --- faults ---

    def misbehave(self, trans_no: str | None, *faults: Fault, repeat: bool = False) -> None:
        """Inject faults into the next queries, one each, in order.

        Faults planned earlier come first; those of one trim come before those of any query. Queries that authentication
        or quota reject meet no fault. Submissions have faults of their own: :meth:`fail_submission`.

        :param trans_no: the trim whose queries meet them; None means any query
        :param repeat: start again after the last one, endlessly, until :meth:`clear_faults`
        :raises ValueError: if there are none
        """
        self._faults.add(trans_no, faults, repeat)

    def clear_faults(self, trans_no: str | None = None) -> None:
        """Drop the planned faults of one trim's queries and callbacks. Calls in a :class:`Hold` or Delay stay there.

        :param trans_no: None drops all planned faults, also those of submissions
        """
        if trans_no is None:
            self._faults.clear_all()
            self._submission_faults.clear()
            self._callback_sender.plan.clear_all()
        else:
            self._faults.clear(trans_no)
            self._callback_sender.plan.clear(trans_no)
