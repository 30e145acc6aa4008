# SPDX-License-Identifier: Apache-2.0
"""One trim per task instance, whatever happens: which transNo, and whether to submit, adopt or return it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from airflow_provider_trim.vod.models import TrimTask

GENERATIONS = 100
"""Trims that may fail or be replaced for one task instance, before something else must be wrong."""


class Submitter(Protocol):
    """The hook, as far as submitting goes."""

    def get_task(self, trans_no: str) -> TrimTask:
        """Ask how far a trim is."""

    def submit_trim(self, **parameters: Any) -> str:
        """Start a trim."""


def task_trans_no(ti: Any, generation: int) -> str:
    """Return the transNo of a task instance: 32 hexadecimal digits, the same at every try.

    :param ti: names dag, task, run and map index
    :param generation: 0 for the first trim of the task instance; each that follows a failed one has the next number
    """
    parts = (ti.dag_id, ti.task_id, ti.run_id, str(ti.map_index), str(generation))
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def submit_once(
    hook: Submitter,
    parameters: Mapping[str, Any],
    *,
    trans_no_of: Callable[[int], str],
    ask_first: bool,
    reuse: bool,
    generations: int = GENERATIONS,
    notify_url_of: Callable[[str], str | None] = lambda _: None,
) -> tuple[str, TrimTask | None]:
    """See to it that exactly one trim runs or has run.

    :param parameters: of the submission, without ``trans_no`` and ``notify_url``
    :param trans_no_of: the transNo of each generation
    :param ask_first: whether an earlier try may have submitted it; the very first try saves that call
    :param notify_url_of: the address that is called when the trim of a transNo is done, or None
    :param reuse: whether a finished trim of an earlier try is good enough
    :returns: its transNo, and the trim if it is done already
    :raises TrimTaskFailedError: the last generation has failed
    :raises TrimError: whatever else the service answers
    """
    from airflow_provider_trim.vod.errors import (
        TransNoNotFoundError,
        TrimError,
        TrimTaskFailedError,
        VideoProcessingError,
    )
    from airflow_provider_trim.vod.models import TrimStatus

    for generation in range(generations):
        trans_no = trans_no_of(generation)
        if ask_first:
            try:
                task = hook.get_task(trans_no)
            except VideoProcessingError:
                return trans_no, None
            except TrimTaskFailedError:
                if generation + 1 == generations:
                    raise
                continue
            except TransNoNotFoundError:
                pass
            else:
                if task.status is TrimStatus.PROCESSING:
                    return trans_no, None
                if reuse:
                    return trans_no, task
                continue
        return hook.submit_trim(**parameters, trans_no=trans_no, notify_url=notify_url_of(trans_no)), None
    raise TrimError(f"trim {trans_no} is done already, and with reuse off another one needs another trans_no")
