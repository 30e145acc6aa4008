# SPDX-License-Identifier: Apache-2.0
"""What a trigger hands to the poller."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.verdicts import Success, Verdict
from airflow_provider_trim.triggers.payload import decode_event
from airflow_provider_trim.triggers.run import TriggerRun
from airflow_provider_trim.vod.errors import TrimParameterError
from airflow_provider_trim.vod.models import TrimTask


class Poller:
    """Finishes every trim at once, and keeps who waited."""

    def __init__(self) -> None:
        self.tasks: list[str] = []

    async def wait(self, state: PollState) -> Verdict:
        self.tasks.append(state.options.task)
        return Success(TrimTask.model_validate({"status": 2, "videoInfo": {"videoId": "V"}}))


async def tasks_of(trans_no: Any, task_instance: Any) -> list[str]:
    poller: Any = Poller()
    run = TriggerRun(
        trans_no=trans_no,
        trim_conn_id="trim_default",
        options=WaitOptions(),
        stop_at_failure=True,
        finish=False,
        task_instance=task_instance,
        log=logging.getLogger("test"),
        poller=lambda *_: poller,
    )
    await run.event()
    return list(poller.tasks)


@pytest.mark.parametrize("trans_no", ["T1", ["T1", "T2"]])
async def test_waits_are_of_a_task_whatever_its_run_and_map_index(trans_no: Any) -> None:
    """Tasks take turns at the quota: a task that is mapped 5,000 times is one."""
    first, second = (
        SimpleNamespace(dag_id="d", task_id="t", run_id=run, map_index=index, try_number=1)
        for run, index in (("monday", 0), ("tuesday", 4999))
    )
    waits = [*await tasks_of(trans_no, first), *await tasks_of(trans_no, second)]
    assert len(set(waits)) == 1
    for dag_id, task_id in (("d", "u"), ("e", "t"), ("d.t", "")):
        another = SimpleNamespace(dag_id=dag_id, task_id=task_id, run_id="monday", map_index=0, try_number=1)
        assert not set(waits) & set(await tasks_of(trans_no, another))


async def test_a_connections_id_is_what_it_was_rendered_to() -> None:
    """A template may have left blanks around it, or nothing."""
    asked: list[str] = []
    poller: Any = Poller()

    def poller_of(conn_id: str, _: Any) -> Any:
        asked.append(conn_id)
        return poller

    for conn_id in (" trim_other\n", "None"):
        run = TriggerRun(
            trans_no="T",
            trim_conn_id=conn_id,
            options=WaitOptions(),
            stop_at_failure=True,
            finish=False,
            task_instance=None,
            log=logging.getLogger("test"),
            poller=poller_of,
        )
        event = await run.event()
    assert asked == ["trim_other"]
    with pytest.raises(TrimParameterError, match=r"^trim_conn_id: is the text 'None'"):
        decode_event(event.payload)


async def test_without_a_task_instance_there_is_no_task() -> None:
    """As in ``dag.test()``."""
    assert await tasks_of("T1", None) == [""]
