# SPDX-License-Identifier: Apache-2.0
"""A wait that holds its process: what :mod:`airflow_provider_trim.polling.poller` is for a worker."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from airflow_provider_trim.polling.group import Verdicts, WaitGroup
from airflow_provider_trim.polling.state import Decision, PollAgain, PollState
from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.models import TrimTask

_calls = itertools.count()


class Client(Protocol):
    """What asks the service for a blocking wait."""

    def ask(self, trans_no: str, patience: float) -> TrimTask:
        """Ask once, without retries, waiting at most ``patience`` seconds for a turn under the quota."""

    def refresh(self) -> None:
        """Look the connection up afresh before the next call."""


class Log(Protocol):
    """What both Airflow's loggers and those of the standard library are."""

    def log(self, level: int, msg: str, /, *args: Any) -> Any:
        """Log a message of that level."""


def look(
    watch: PollState,
    client: Client,
    log: Log,
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Decision:
    """Look at a trim: one call, and one more with a fresh connection where the credentials were refused."""
    while True:
        # A refusal is always followed by a refresh, so as far as a watch can tell, every call has a newer look-up.
        connection = next(_calls)
        decision = watch.looked(_ask(client, watch, now()), now(), connection=connection)
        if not isinstance(decision, PollAgain):
            return decision
        if decision.news:
            log.log(decision.level, "Trim %s: %s", watch.trans_no, decision.news)
        if not decision.reload_connection:
            return decision
        client.refresh()
        sleep(max(0.0, decision.at - now()))


def wait(
    tally: WaitGroup,
    client: Client,
    log: Log,
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Verdicts:
    """Wait until a tally is over, holding the thread."""
    while not tally.over:
        sleep(max(0.0, min(watch.next_poll_at for _, watch in tally.open()) - now()))
        poll_due(tally, client, log, now=now, sleep=sleep)
    return tally.verdicts


def poll_due(
    tally: WaitGroup,
    client: Client,
    log: Log,
    *,
    in_order: bool = False,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Look at all trims of a tally whose look is due, until it is over.

    :param in_order: stop at the first that is not decided, since what comes after it would have to be asked again
    """
    for place, watch in tally.open():
        if watch.next_poll_at <= now():
            decision = look(watch, client, log, now=now, sleep=sleep)
            if not isinstance(decision, PollAgain):
                tally.verdicts[place] = decision
        if tally.over or (in_order and tally.verdicts[place] is None):
            break
    if tally.report_due(now()):
        log.log(logging.INFO, "Trims: %s", tally.progress(now()))


def _ask(client: Client, watch: PollState, now: float) -> TrimTask | TrimError:
    try:
        return client.ask(watch.trans_no, watch.patience(now))
    except TrimError as error:
        return error
