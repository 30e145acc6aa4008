# SPDX-License-Identifier: Apache-2.0
"""What the trigger does in the triggerer. A worker that only defers to it does not load this, nor HTTP clients."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_trim.client.connection_cache import SettingsLoader
from airflow_provider_trim.hooks.connections import load_settings
from airflow_provider_trim.hooks.metrics import process_metrics
from airflow_provider_trim.polling.group import Verdicts, WaitGroup, wait_for_group
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.poller import Poller
from airflow_provider_trim.polling.pollers import poller_for
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.verdicts import Success, Verdict
from airflow_provider_trim.triggers.finish_in_triggerer import build_xcoms, exceeds_max_map_length, push_and_succeed
from airflow_provider_trim.triggers.kinds import task_name
from airflow_provider_trim.triggers.payload import encode_event, encode_refusal
from airflow_provider_trim.triggers.results import unwrap_verdicts
from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.redaction import truncate
from airflow_provider_trim.waiting.protocols import Log
from airflow_provider_trim.waiting.rendered import connection_id
from airflow_provider_trim.waiting.results import TrimResults
from airflow_provider_trim.waiting.trans_nos import TransNos

PUSH_TIMEOUT = 30.0
"""Seconds that it may take to push the results of a task in the triggerer."""

_START_MESSAGE = "Polling %s every %g s (less often if the quota is short) until %s"


def _poller(conn_id: str, load: SettingsLoader) -> Poller:
    return poller_for(conn_id, load, process_metrics())


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRun:
    """One run of a trigger.

    :param trans_no: one or several, as Airflow has rendered them
    :param options: how to wait for each
    :param stop_at_failure: of several trims, the first that ends without success ends the wait for all
    :param finish: end the task in the triggerer where all trims were successful
    :param task_instance: as the triggerer knows it, None in ``dag.test()``
    :param poller: returns the poller of a connection
    """

    trans_no: Any
    trim_conn_id: str
    options: WaitOptions
    stop_at_failure: bool
    finish: bool
    task_instance: Any
    log: Log
    poller: Callable[[str, SettingsLoader], Poller] = _poller

    async def event(self) -> TriggerEvent:
        """Wait for the trims, and return the trigger's event."""
        try:
            trans_nos = TransNos.parse(self.trans_no)  # which a template may have rendered to anything
            conn_id = connection_id(self.trim_conn_id)
        except TrimError as error:
            return TriggerEvent(encode_refusal(error))
        deadline = self.options.deadline
        until = "the end" if deadline is None else f"{datetime.fromtimestamp(deadline, UTC):%F %T} UTC"
        subject = f"{len(trans_nos)} trims" if trans_nos.is_list else f"trim {truncate(trans_nos.names[0])}"
        self.log.info(_START_MESSAGE, subject, self.options.interval, until)
        options = replace(self.options, task=task_name(self.task_instance))
        group = WaitGroup.begin(trans_nos, options, stop_at_failure=self.stop_at_failure)
        wait = functools.partial(self._wait, conn_id)
        verdicts = await wait_for_group(wait, group, functools.partial(self.log.info, "Trims: %s"))
        return await self._event(trans_nos, verdicts)

    async def _wait(self, conn_id: str, state: PollState) -> Verdict:
        return await self.poller(conn_id, functools.partial(load_settings, conn_id)).wait(state)

    async def _event(self, trans_nos: TransNos, verdicts: Verdicts) -> TriggerEvent:
        """Hand the verdicts to a worker, or end the task where all trims were successful and no worker is needed."""
        # dag.test() runs triggers without a task instance, which can't be ended here.
        if self.finish and self.task_instance and all(isinstance(verdict, Success) for verdict in verdicts):
            tasks = unwrap_verdicts(trans_nos, verdicts, "fail", self.log)
            xcoms = build_xcoms(TrimResults(trans_nos, tasks))
            if not exceeds_max_map_length(xcoms):
                try:
                    async with asyncio.timeout(PUSH_TIMEOUT):
                        return await push_and_succeed(self.task_instance, xcoms)
                # An XCom backend may raise anything, or hang. A worker pushes the same again.
                except Exception as error:
                    reason = f"{type(error).__name__}: {truncate(str(error))}"
                    self.log.warning("The result could not be pushed (%s); a worker finishes the task", reason)
        return TriggerEvent(encode_event(trans_nos, verdicts))
