# SPDX-License-Identifier: Apache-2.0
"""What verdicts mean to Airflow.

What a retry can't change is an ``AirflowFailException``, and a timeout an ``AirflowSensorTimeout``, which Airflow does
not retry either. What a retry can change is the :class:`TrimError` itself, since ``soft_fail`` would turn any
``AirflowException`` of a resumed task into a skip.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from airflow_provider_trim.compat import AirflowFailException, AirflowSensorTimeout
from airflow_provider_trim.polling.verdicts import Failure, Success, TimedOut, Verdict
from airflow_provider_trim.vod.errors import TransNoNotFoundError, TrimError
from airflow_provider_trim.vod.models import TrimTask
from airflow_provider_trim.vod.redaction import truncate
from airflow_provider_trim.waiting.protocols import Log

MAX_LISTED = 50
"""Failures that a message names."""

_HINTS: dict[type[TrimError], str] = {
    TransNoNotFoundError: (
        ". Check the transNo and the connection's account. If the trim may be submitted after the wait began, "
        "set first_poll_after"
    ),
}
_MAX_SHOWN = 10**18
"""Greater numbers are no sizes, and left out of the log: a float can't hold all of them."""


def unwrap_verdicts(
    trans_nos: Iterable[str], verdicts: Sequence[Verdict | None], on_failure: str, log: Log
) -> list[TrimTask | None]:
    """Return the finished trims in the order of the transNos, with None for those that failed and are ignored.

    :param on_failure: ``ignore`` to log failures; anything else raises them, naming the first
    :raises AirflowFailException: a trim has failed for good
    :raises AirflowSensorTimeout: none has failed for good, and at least one was not done in time
    :raises TrimError: all failures may pass, so that a retry is worth it
    """
    failures = [
        (trans_no, verdict)
        for trans_no, verdict in zip(trans_nos, verdicts, strict=True)
        if isinstance(verdict, Failure | TimedOut)
    ]
    if failures and on_failure != "ignore":
        _raise_failures(failures, len(verdicts))
    for trans_no, verdict in failures:
        log.warning("Ignoring failed trim %s (on_failure='ignore'): %s", truncate(trans_no), _describe(verdict))
    tasks = [verdict.task if isinstance(verdict, Success) else None for verdict in verdicts]
    for trans_no, task in zip(trans_nos, tasks, strict=True):
        if task is not None:
            log.info("Trim %s is done: %s", truncate(trans_no), _summary(task))
    return tasks


def _raise_failures(failures: list[tuple[str, Failure | TimedOut]], count: int) -> None:
    permanent = [v for _, v in failures if isinstance(v, Failure) and not v.worth_retrying]
    passing = [v for _, v in failures if isinstance(v, Failure) and v.worth_retrying]
    if count == 1:
        ((trans_no, verdict),) = failures
        label, why = f"trim {truncate(trans_no)}", _describe(verdict)
        text = why if why.startswith((f"{label}: ", f"{label} ")) else f"{label}: {why}"
    else:
        named = [(truncate(trans_no), _describe(verdict)) for trans_no, verdict in failures[:MAX_LISTED]]
        width = max(len(name) for name, _ in named)
        rows = "".join(f"\n  {name:<{width}}  {why}" for name, why in named)
        more = f"\n  and {len(failures) - MAX_LISTED} more" if len(failures) > MAX_LISTED else ""
        text = f"{len(failures)} of {count} trims failed:{rows}{more}"
    if permanent:
        hint = _HINTS.get(type(permanent[0].error), "")
        raise AirflowFailException(f"{text}{hint}") from permanent[0].error
    if len(passing) < len(failures):
        raise AirflowSensorTimeout(text)
    raise passing[0].error if count == 1 else TrimError(text, retryable=True) from passing[0].error


def _describe(verdict: Failure | TimedOut) -> str:
    if isinstance(verdict, Failure):
        return str(verdict.error)
    last = f"; last poll failed: {verdict.last_error}" if verdict.last_error else ""
    return f"not finished within the timeout{last}"


def _summary(task: TrimTask) -> str:
    """Return what came out, in one line such as ``3:09, 12.3 MB, 3 renditions up to 1920x1080, video 2636… 'goal'``.

    The numbers come first: the log's view cuts off the ends of long lines.
    """
    info = task.video_info
    if info is None:
        return "no videoInfo"
    parts = []
    if info.duration is not None:
        minutes, seconds = divmod(round(info.duration.total_seconds()), 60)
        hours, minutes = divmod(minutes, 60)
        parts.append(f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}")
    if info.video_size is not None and abs(info.video_size) < _MAX_SHOWN:
        parts.append(f"{info.video_size / 1e6:.1f} MB")
    shown = range(1, _MAX_SHOWN)
    sizes = [(part.width or 0, part.height or 0) for part in info.video_resolutions]
    width, height = max(
        (size for size in sizes if size[0] in shown and size[1] in shown), key=math.prod, default=(0, 0)
    )
    if width:
        count = len(info.video_resolutions)
        parts.append(f"{count} rendition{'' if count == 1 else 's'} up to {width}x{height}")
    parts.append(f"video {truncate(info.video_id)} {info.video_name[:100]!r}")
    return ", ".join(parts)
