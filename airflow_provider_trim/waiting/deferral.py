# SPDX-License-Identifier: Apache-2.0
"""From a task to its wait: in this process, or in the triggerer."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from airflow_provider_trim.polling.group import WaitGroup
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger
from airflow_provider_trim.waiting.options import DEFERRAL_TIMEOUT_MARGIN
from airflow_provider_trim.waiting.trans_nos import TransNos


def trigger_for(
    group: WaitGroup, trans_nos: TransNos, options: WaitOptions, **arguments: Any
) -> tuple[TrimTaskStatusTrigger, timedelta]:
    """Return the trigger that goes on with a wait that this process has begun, and Airflow's own limit for it.

    Its first poll is when the next one is due here.

    :param arguments: of the trigger, other than the wait's options
    """
    first = group.states[0]
    trigger = TrimTaskStatusTrigger(
        trans_nos.argument,
        poll_interval=options.interval,
        deadline=options.deadline,
        first_poll_after=max(0.0, first.next_poll_at - first.started_at),
        max_consecutive_failures=options.max_consecutive_failures,
        started_at=first.started_at + time.time() - time.monotonic(),
        exponential_backoff=options.exponential_backoff,
        max_interval=options.max_interval,
        expects_callback=options.expects_callback,
        **arguments,
    )
    left = 0.0 if options.deadline is None else max(0.0, options.deadline - time.time())
    return trigger, timedelta(seconds=left + DEFERRAL_TIMEOUT_MARGIN)
