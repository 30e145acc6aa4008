# SPDX-License-Identifier: Apache-2.0
"""One trim per task instance, whatever happens: which transNo, and whether to submit, adopt or return it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_trim.waiting import lazy

if TYPE_CHECKING:
    from airflow_provider_trim.vod.models import TrimTask
    from airflow_provider_trim.waiting.protocols import TaskInstanceKey

MAX_ATTEMPTS = 100
"""Trims that may fail or be replaced for one task instance, before something else must be wrong."""


class Submitter(Protocol):
    """The hook, as far as submitting goes."""

    def get_task(self, trans_no: str) -> TrimTask:
        """Query a trim."""

    def submit_trim(self, **parameters: Any) -> str:
        """Start a trim."""


def task_trans_no(ti: TaskInstanceKey, attempt: int) -> str:
    """Return the transNo of a task instance: 32 hexadecimal digits, the same at every try.

    :param ti: names dag, task, run and map index
    :param attempt: 0 for the first trim of the task instance; each that follows a failed one has the next number
    """
    parts = (ti.dag_id, ti.task_id, ti.run_id, str(ti.map_index), str(attempt))
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def submit_once(
    hook: Submitter,
    parameters: Mapping[str, Any],
    *,
    trans_no_of: Callable[[int], str],
    query_first: bool,
    reuse_finished: bool,
    max_attempts: int = MAX_ATTEMPTS,
    notify_url_of: Callable[[str], str | None] = lambda _: None,
) -> tuple[str, TrimTask | None]:
    """See to it that exactly one trim runs or has run.

    :param parameters: of the submission, without ``trans_no`` and ``notify_url``
    :param trans_no_of: the transNo of each attempt
    :param query_first: whether an earlier try may have submitted it; the very first try saves that call
    :param reuse_finished: whether a finished trim of an earlier try is good enough
    :param max_attempts: how many trims there may be
    :param notify_url_of: the address that is called when the trim of a transNo is done, or None
    :returns: its transNo, and the trim if it is done already
    :raises TrimTaskFailedError: the last attempt has failed
    :raises TrimError: whatever else the service answers
    """
    for attempt in range(max_attempts):
        trans_no = trans_no_of(attempt)
        if query_first:
            try:
                task = hook.get_task(trans_no)
            except lazy.VideoProcessingError:
                return trans_no, None
            except lazy.TrimTaskFailedError:
                if attempt + 1 == max_attempts:
                    raise
                continue
            except lazy.TransNoNotFoundError:
                pass
            else:
                if task.status is lazy.TrimStatus.PROCESSING:
                    return trans_no, None
                if reuse_finished:
                    return trans_no, task
                continue
        return hook.submit_trim(**parameters, trans_no=trans_no, notify_url=notify_url_of(trans_no)), None
    raise lazy.TrimError(f"trim {trans_no} is already finished and reuse_finished=False; choose another trans_no")
