# SPDX-License-Identifier: Apache-2.0
"""One trim per task instance and request: which transNo, and whether to submit, adopt or return it."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_trim.metrics.catalog import SUBMISSIONS, Outcome
from airflow_provider_trim.waiting import lazy

if TYPE_CHECKING:
    from airflow_provider_trim.hooks.trim import TrimApiHook
    from airflow_provider_trim.vod.errors import TrimError, TrimTaskFailedError
    from airflow_provider_trim.vod.models import TrimTask
    from airflow_provider_trim.waiting.protocols import TaskInstanceKey

MAX_TRIMS = 100
"""Trims that may fail or be replaced for one task instance, before something else must be wrong."""


SUBMISSION_FIELDS = (
    "video_id",
    "seek_start",
    "duration",
    "filename",
    "resolution",
    "frame_rate",
    "video_bit_rate",
    "audio_bit_rate",
    "sampling_rate",
    "suffix",
    "enable_video_transcode",
)
"""Arguments of the operator that say what to cut; the first four are required."""

_REQUIRED = SUBMISSION_FIELDS[:4]


def task_trans_no(ti: TaskInstanceKey, request: str, number: int) -> str:
    """Return the transNo of a task instance: 32 hexadecimal digits, the same at every attempt of the same request.

    :param ti: names dag, task, run and map index
    :param request: what to cut (:meth:`~airflow_provider_trim.vod.submission.TrimSubmission.identity`); another
        request of the same task instance is another trim
    :param number: 0 for the first trim; each that follows a failed one has the next number
    """
    parts = (ti.dag_id, ti.task_id, ti.run_id, str(ti.map_index), request, str(number))
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class TrimRequest:
    """What a task instance asks for.

    :param parameters: of the submission, without ``trans_no`` and ``notify_url``
    :param trans_no_of: returns the transNo of a trim by its number
    :param derived: whether the transNos are this package's own. Then a failed or replaced trim is followed by another,
        and a refused submission by a query: the service may have refused it as a duplicate
    """

    parameters: Mapping[str, Any]
    trans_no_of: Callable[[int], str]
    derived: bool = True

    @classmethod
    def read(cls, ti: TaskInstanceKey, arguments: Mapping[str, Any], trans_no: object) -> Self:
        """Read an operator's arguments, as templates have rendered them.

        :param trans_no: the caller's own, or what counts as not given
        :raises TrimError: one is missing or wrong, by its name
        """
        parameters = {
            name: lazy.required(name, value) if name in _REQUIRED else lazy.optional(value)
            for name, value in arguments.items()
        }
        if lazy.optional(trans_no) is None:
            submission = lazy.TrimSubmission.parse(**parameters, trans_no="derived")
            return cls(parameters, functools.partial(task_trans_no, ti, submission.identity()))
        given = lazy.TransNos.parse(trans_no)
        if given.is_list:
            raise lazy.TransNoIllegalError("trans_no must be one transNo, not a list: a task submits one trim")
        lazy.TrimSubmission.parse(**parameters, trans_no=given.names[0])
        return cls(parameters, lambda _: given.names[0], derived=False)


# Longer than other functions: what each step does depends on what all before it have shown.
def submit_once(
    hook: TrimApiHook,
    request: TrimRequest,
    *,
    query_first: bool,
    reuse_finished: bool,
    notify_url_of: Callable[[str], str | None] = lambda _: None,
) -> tuple[str, TrimTask | None]:
    """Ensure that exactly one trim runs or has run.

    :param query_first: whether an earlier attempt may have submitted it; the very first saves that call
    :param reuse_finished: whether a finished trim of an earlier attempt is good enough
    :param notify_url_of: the address that is called when the trim of a transNo is done, or None
    :returns: its transNo, and the trim if it is done already
    :raises TrimTaskFailedError: the last trim has failed
    :raises TrimError: any other error of the service or on the way
    """

    def submit(trans_no: str) -> str:
        return hook.submit_trim(**request.parameters, trans_no=trans_no, notify_url=notify_url_of(trans_no))

    refusal: TrimError | None = None
    if not query_first:
        try:
            return submit(request.trans_no_of(0)), None
        except lazy.TrimError as error:
            _raise_unless_duplicate(error, request)
            refusal = error
    for number in range(MAX_TRIMS if request.derived else 1):
        trans_no = request.trans_no_of(number)
        found = _query(hook, trans_no)
        if found is None:
            if refusal is not None and number == 0:
                raise refusal
            return submit(trans_no), None
        if isinstance(found, lazy.TrimTaskFailedError):
            continue
        is_done = found.status is lazy.TrimStatus.SUCCESSFUL
        if reuse_finished or not is_done:
            hook.metrics.count(SUBMISSIONS.name, Outcome.ADOPTED)
            return trans_no, found if is_done else None
    if isinstance(found, lazy.TrimTaskFailedError):
        raise found
    raise lazy.TrimError(f"trim {trans_no} is already finished and reuse_finished=False; choose another trans_no")


def _query(hook: TrimApiHook, trans_no: str) -> TrimTask | TrimTaskFailedError | None:
    """Return a trim that runs or is finished, the error of one that has failed, or None where there is none."""
    try:
        return hook.get_task(trans_no)
    except lazy.VideoProcessingError:
        return lazy.TrimTask(status=lazy.TrimStatus.PROCESSING)
    except lazy.TrimTaskFailedError as error:
        return error
    except lazy.TransNoNotFoundError:
        return None


def _raise_unless_duplicate(error: TrimError, request: TrimRequest) -> None:
    """Raise an error unless a query has to show whether it is the refusal of a duplicate, whose code is unknown.

    A given transNo may be the same in each run, or of all mapped tasks, so the refusal of one says what to write.
    """
    refused_by_service = error.code is not None and not error.retryable and not isinstance(error, lazy.TrimAuthError)
    if refused_by_service and request.derived:
        return
    if refused_by_service and not isinstance(error, lazy.TrimParameterError):
        given = lazy.truncate(request.trans_no_of(0))
        error.message += f". If trans_no {given!r} was used before, choose another, or leave it out"
    raise error
