# SPDX-License-Identifier: Apache-2.0
"""Taking new trims: who may have one, what becomes of it, and a record of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

from airflow_provider_trim.emulator.records import RecordLog
from airflow_provider_trim.emulator.trims import Outcome, Trim, TrimStore, read_trans_no, task_id_of
from airflow_provider_trim.emulator.validation import (
    ParameterError,
    SamplingRateParameter,
    read_parameters,
    requested_clip,
)
from airflow_provider_trim.emulator.wire import SUCCESS_CODE, SUCCESS_MESSAGE, Response, envelope

DUPLICATE_CODE = 1604
"""Refuses a ``transNo`` that has a trim already. A guess: the service's own code for it is not public."""

DUPLICATE = envelope(DUPLICATE_CODE, "transNo exists already")


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission that was accepted.

    ``time`` is when that was, in seconds of the emulator's clock. ``parameters`` are those that the service knows,
    ``transNo`` among them, in their documented types whether they came in a form or as JSON; credentials, parameters
    unknown to it and defaults are not there. What was on the wire is in the :class:`Call`.
    """

    time: float
    trans_no: str
    parameters: Mapping[str, Any]
    task_id: str


Duration = float | Callable[[float], float]
"""The seconds a trim takes, or what gives them from the seconds of the clip."""

SubmissionOutcome = Outcome | Callable[[Submission], Outcome]


class SubmissionHandler:
    """Checks submissions, and starts the trims of those it accepts. Used by the server's thread alone.

    :param log: takes the records of what was accepted
    :param duration: the seconds that each trim takes
    :param sampling_rate_parameter: the parameter of that meaning
    :param started: told of each trim
    :raises ValueError: if ``duration`` is negative, or there is no such parameter
    """

    def __init__(
        self,
        trims: TrimStore,
        log: RecordLog[Submission],
        duration: Duration,
        sampling_rate_parameter: SamplingRateParameter,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        started: Callable[[Trim], object] = lambda _: None,
    ) -> None:
        if sampling_rate_parameter not in get_args(SamplingRateParameter):
            allowed = " or ".join(get_args(SamplingRateParameter))
            raise ValueError(f"the sampling rate's parameter is {allowed}, not {sampling_rate_parameter!r}")
        self._trims = trims
        self._log = log
        self._sampling_rate_parameter = sampling_rate_parameter
        self._clock = clock
        self._wall_clock = wall_clock
        self._started = started
        self._outcome: SubmissionOutcome = "success"
        self.duration = duration

    @property
    def duration(self) -> Duration:
        """The seconds that each trim takes.

        :raises ValueError: if it is set to less than 0
        """
        return self._duration

    @duration.setter
    def duration(self, duration: Duration) -> None:
        self._duration = duration if callable(duration) else checked_seconds(duration)

    @property
    def outcome(self) -> SubmissionOutcome:
        """How submitted trims end.

        :raises ValueError: if it is set to no outcome
        """
        return self._outcome

    @outcome.setter
    def outcome(self, outcome: SubmissionOutcome) -> None:
        self._outcome = outcome if callable(outcome) else checked_outcome(outcome)

    def duration_of(self, clip_seconds: float) -> float:
        """The seconds that the trim of a clip takes.

        :raises ValueError: if ``duration`` gives less than 0
        """
        return checked_seconds(self._duration(clip_seconds) if callable(self._duration) else self._duration)

    def submit(self, parameters: Mapping[str, Any]) -> Response:
        """Accept a submission, or refuse it.

        :raises ValueError: if what ``duration`` or ``outcome`` gives is impossible; nothing is accepted then
        """
        trans_no = read_trans_no(parameters.get("transNo"))
        if isinstance(trans_no, Response):
            return trans_no
        try:
            known = {"transNo": trans_no, **read_parameters(parameters, self._sampling_rate_parameter)}
        except ParameterError as error:
            return envelope(error.code, str(error))
        # Looked up before as well as in _start(), so that an outcome that counts is not asked about a duplicate.
        return DUPLICATE if self._trims.knows(trans_no) else self._start(trans_no, known)

    def _start(self, trans_no: str, known: Mapping[str, Any]) -> Response:
        now = self._clock()
        submission = Submission(now, trans_no, MappingProxyType(known), task_id_of(trans_no))
        clip = requested_clip(known)
        ends = now + self.duration_of(clip.seconds)
        outcome = checked_outcome(self._outcome(submission) if callable(self._outcome) else self._outcome)
        trim = Trim(
            trans_no,
            submission.task_id,
            now,
            self._wall_clock(),
            ends,
            outcome,
            clip=clip,
            notify_url=known.get("notifyUrl"),
        )
        if not self._trims.add_unless_known(trim):
            return DUPLICATE
        self._log.add(submission)
        self._started(trim)
        return envelope(SUCCESS_CODE, SUCCESS_MESSAGE, submission.task_id)


def checked_seconds(seconds: float) -> float:
    """``seconds``, if a trim can take so long.

    :raises ValueError: if not
    """
    if not seconds >= 0:
        raise ValueError(f"a trim takes 0 seconds or more, not {seconds!r}")
    return seconds


def checked_outcome(outcome: Outcome) -> Outcome:
    """``outcome``, if a trim can end so.

    :raises ValueError: if not
    """
    if outcome not in get_args(Outcome):
        raise ValueError(f"outcome is {' or '.join(get_args(Outcome))}, not {outcome!r}")
    return outcome
