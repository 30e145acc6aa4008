# SPDX-License-Identifier: Apache-2.0
"""Which trims belong together, as far as a triggerer knows: those of one task, and of about the same length."""

from __future__ import annotations

import math
from typing import Any


def task_name(task_instance: Any) -> str:
    """Return which task a task instance is of, whatever its run and map index; "" where that is not known.

    No id contains the line break between the DAG's and the task's.
    """
    names = [getattr(task_instance, name, None) for name in ("dag_id", "task_id")]
    return "\n".join(name for name in names if isinstance(name, str))


def kind_of(task_instance: Any, clip_seconds: float | None) -> str | None:
    """Return which trims are expected to take about as long: those of one task whose clips differ by less than twofold.

    :param task_instance: as the triggerer knows it; None in ``dag.test()``
    :param clip_seconds: how long the clip is, or None where that is not known
    :returns: None where neither is known
    """
    task = task_name(task_instance)
    if clip_seconds is None or not 0.0 < clip_seconds < math.inf:
        return task or None
    return f"{task} clips from {2.0 ** math.floor(math.log2(clip_seconds)):g} s"
