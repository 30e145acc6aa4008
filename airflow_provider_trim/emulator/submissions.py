# SPDX-License-Identifier: Apache-2.0
"""Accepts or rejects submissions, starts their trims, and records them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args

from airflow_provider_trim.emulator.numbers import require_seconds
from airflow_provider_trim.emulator.records import RecordLog
from airflow_provider_trim.emulator.trims import Outcome, Trim, TrimStore, derive_task_id, parse_trans_no
from airflow_provider_trim.emulator.validation import (
    ParameterError,
    SamplingRateParameter,
    requested_clip,
    validate_parameters,
)
from airflow_provider_trim.emulator.wire import SUCCESS_CODE, SUCCESS_MESSAGE, Response, envelope

DUPLICATE_CODE = 1604
"""The code for a ``transNo`` that has a trim already. An assumption: the vendor documents none."""

DUPLICATE = envelope(DUPLICATE_CODE, "transNo exists already")


@dataclass(frozen=True, slots=True)
class Submission:
    """An accepted submission.

    ``time`` is its acceptance, in seconds of the emulator's clock. ``parameters`` holds the known parameters, with
    ``transNo``, in their documented types, whether they came in a form or as JSON. Credentials, unknown parameters and
    defaults are left out. The :class:`Call` holds the request as received.
    """

    time: float
    trans_no: str
    parameters: Mapping[str, Any]
    task_id: str


Duration = float | Callable[[float], float]
"""Seconds that a trim takes, or a function of the seconds of its clip."""

SubmissionOutcome = Outcome | Callable[[Submission], Outcome]


class SubmissionHandler:
    """Validates submissions and starts the trims of those it accepts. Only the server's thread submits.

    :param log: gets a record of each accepted submission
    :param duration: seconds that each trim takes
    :param sampling_rate_parameter: the name of the sampling rate
    :param clock: seconds at which trims start and end
    :param wall_clock: Unix seconds of ``uploadTime``
    :param on_start: called with each trim
    :raises ValueError: if ``duration`` is negative, or ``sampling_rate_parameter`` is unknown
    """

    def __init__(
        self,
        trims: TrimStore,
        log: RecordLog[Submission],
        duration: Duration,
        sampling_rate_parameter: SamplingRateParameter,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        on_start: Callable[[Trim], object] = lambda _: None,
    ) -> None:
        if sampling_rate_parameter not in get_args(SamplingRateParameter):
            allowed = " or ".join(get_args(SamplingRateParameter))
            raise ValueError(f"sampling_rate_parameter must be {allowed}, not {sampling_rate_parameter!r}")
        self._trims = trims
        self._log = log
        self._sampling_rate_parameter = sampling_rate_parameter
        self._clock = clock
        self._wall_clock = wall_clock
        self._on_start = on_start
        self._outcome: SubmissionOutcome = "success"
        self.duration = duration

    @property
    def duration(self) -> Duration:
        """Seconds that each trim takes, or a function of the seconds of its clip.

        :raises ValueError: when set to less than 0
        """
        return self._duration

    @duration.setter
    def duration(self, duration: Duration) -> None:
        self._duration = duration if callable(duration) else validate_seconds(duration)

    @property
    def outcome(self) -> SubmissionOutcome:
        """How submitted trims end, or a function of the submission.

        :raises ValueError: when set to an unknown outcome
        """
        return self._outcome

    @outcome.setter
    def outcome(self, outcome: SubmissionOutcome) -> None:
        self._outcome = outcome if callable(outcome) else validate_outcome(outcome)

    def duration_of(self, clip_seconds: float) -> float:
        """Return the seconds that the trim of a clip takes.

        :raises ValueError: if ``duration`` returns less than 0
        """
        return validate_seconds(self._duration(clip_seconds) if callable(self._duration) else self._duration)

    def submit(self, parameters: Mapping[str, Any]) -> Response:
        """Accept or reject a submission, and return the response.

        :raises ValueError: if ``duration`` or ``outcome`` returns an invalid value; nothing is accepted then
        """
        trans_no = parse_trans_no(parameters.get("transNo"))
        if isinstance(trans_no, Response):
            return trans_no
        try:
            known = {"transNo": trans_no, **validate_parameters(parameters, self._sampling_rate_parameter)}
        except ParameterError as error:
            return envelope(error.code, str(error))
        # Checked here and in _start(), so that an outcome function is not called for a duplicate.
        return DUPLICATE if trans_no in self._trims else self._start(trans_no, known)

    def _start(self, trans_no: str, known: Mapping[str, Any]) -> Response:
        now = self._clock()
        submission = Submission(now, trans_no, MappingProxyType(known), derive_task_id(trans_no))
        clip = requested_clip(known)
        ends = now + self.duration_of(clip.seconds)
        outcome = validate_outcome(self._outcome(submission) if callable(self._outcome) else self._outcome)
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
        if not self._trims.add_if_absent(trim):
            return DUPLICATE
        self._log.add(submission)
        self._on_start(trim)
        return envelope(SUCCESS_CODE, SUCCESS_MESSAGE, submission.task_id)


def validate_seconds(seconds: float) -> float:
    """Return ``seconds``.

    :raises ValueError: if a trim cannot take that long
    """
    return require_seconds("duration", seconds)


def validate_outcome(outcome: Outcome) -> Outcome:
    """Return ``outcome``.

    :raises ValueError: if it is unknown
    """
    if outcome not in get_args(Outcome):
        raise ValueError(f"outcome must be {' or '.join(get_args(Outcome))}, not {outcome!r}")
    return outcome
