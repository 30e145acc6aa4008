# SPDX-License-Identifier: Apache-2.0
"""A collaborator that fails affects no wait but its own: every cell of the table in tests/support/collaborators.py.

Two connections in one triggerer have six waits each; a collaborator of the first one fails.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.verdicts import TimedOut
from airflow_provider_trim.triggers.payload import decode_event
from airflow_provider_trim.triggers.run import TriggerRun
from tests.support import containment
from tests.support.collaborators import Moment, Outcome, Row, Scope, outcomes
from tests.support.containment import Collaborator, Ended, Faults, Kind, World, set_xcom

INTERVAL = 30.0
DEADLINE = 605.0
"""Of two waits; just after the time at which connections are reloaded."""

ENDS = {"early": 60.0, "called": 500.0, "own": DEADLINE - 1.0, "late": 900.0, "due": DEADLINE, "new": 700.0}
"""When each trim is done; ``due`` never is, and its wait ends at its deadline."""

PROMPT = 1.0
"""Seconds in which a callback, or a deadline, ends a wait."""

MAX_AFTER_DEADLINE = 91.0
LONGEST = 2000.0
"""Seconds after which no wait goes on."""


def options(name: str) -> dict[str, Any]:
    expects = name == "called"
    deadline = DEADLINE if name in ("own", "due") else None
    return {"interval": INTERVAL, "deadline": deadline, "expects_callback": expects}


class Cell:
    """One cell of the table.

    :param row: the collaborator
    """

    def __init__(self, row: Row, kind: Kind, moment: Moment, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> None:
        self.row = row
        self.kind = kind
        self.moment = moment
        self.faults = faults
        self.monkeypatch = monkeypatch
        self.ends = {**ENDS}
        if row.collaborator is Collaborator.EVENT:  # which there is when the trim is done
            self.ends["own"] = {Moment.START: 0.0, Moment.MIDDLE: 100.0}.get(moment, ENDS["own"])
        if row.collaborator is Collaborator.HANDLER:
            self.ends["own"] = self._called_at

    @property
    def subject(self) -> str:
        if self.row.scope is Scope.PROCESS:
            return ""
        return "a-own" if self.row.scope is Scope.WAIT else "a"

    async def run(self) -> dict[str, Ended]:
        world = World(self.faults, secrets=self.row.collaborator is Collaborator.SECRETS)
        if self.row.collaborator is Collaborator.SIGNATURES:
            world.extras["a"] = {"auth": "cnc-hmac-sha256"}
        with world.logging():
            await self._run(world)
        await asyncio.sleep(200.0)
        assert world.left() == []
        assert world.stats.sent or self.row.collaborator is Collaborator.METRICS
        return world.ended

    async def _run(self, world: World) -> None:
        for name in "ba":
            service = world.service(name)
            service.ends.update({f"{name}-{trim}": end for trim, end in self.ends.items() if trim != "due"})
        waits = [self._start(world, "b", trim) for trim in ENDS if trim != "new"]
        await asyncio.sleep(1.0)  # the other connection is in use when this one's first load begins
        if self.moment is Moment.START:
            self._begin(world)
        waits += [self._start(world, "a", trim) for trim in ENDS if trim != "new"]
        if self.row.collaborator is Collaborator.HANDLER:
            waits.append(world.start("a", "a-own", name="a-sibling", expects_callback=True))
        timeline = [(500.0, self._call_back), (610.0, lambda world: waits.extend(self._start_new(world)))]
        if self.moment is not Moment.START:
            timeline.append((self.moment.at, self._begin))
        if self.row.collaborator is Collaborator.HANDLER:
            timeline.append((self._called_at, lambda world: world.call_back("a", "a-own")))
        if self.row.collaborator is Collaborator.CLOSING:  # so that the next reload makes another session
            timeline.append((300.0, lambda world: world.extras.update(a={"timeout": 29})))
        for at, act in sorted(timeline, key=lambda step: step[0]):
            await asyncio.sleep(at - world.loop.now)
            act(world)
        async with asyncio.timeout(LONGEST):
            await asyncio.gather(*waits)

    def _begin(self, _: World) -> None:
        self.faults.begin(self.row.collaborator, self.subject, self.kind)

    @property
    def _called_at(self) -> float:
        return self.moment.at + 5.0

    def _start(self, world: World, name: str, trim: str) -> asyncio.Task[None]:
        if self.row.collaborator is Collaborator.EVENT and (name, trim) == ("a", "own"):
            return self._trigger(world)
        return world.start(name, f"{name}-{trim}", **options(trim))

    def _start_new(self, world: World) -> list[asyncio.Task[None]]:
        return [self._start(world, name, "new") for name in "ab"]

    @staticmethod
    def _call_back(world: World) -> None:
        for name in "ab":
            world.call_back(name, f"{name}-called")

    def _trigger(self, world: World) -> asyncio.Task[None]:
        """Wait as a trigger does that ends its task in the triggerer."""
        self.monkeypatch.setattr("airflow.sdk.execution_time.xcom.XCom.set", set_xcom)
        self.monkeypatch.setattr(time, "monotonic", world.loop.time)

        class Instance:
            dag_id, task_id, run_id, map_index = "dag", "a-own", "run", -1

        class Log:
            def info(self, *_: object) -> None:
                pass

            warning = info

        trigger = TriggerRun(
            trans_no="a-own",
            trim_conn_id="a",
            options=WaitOptions(interval=INTERVAL, deadline=time.time() + DEADLINE - world.loop.now),
            stop_at_failure=True,
            finish=True,
            task_instance=Instance,
            log=Log(),  # type: ignore[arg-type]
            poller=world.poller,
        )

        async def verdict() -> Any:
            event = await trigger.event()
            if isinstance(event, TaskSuccessEvent):
                return event
            return decode_event(event.payload, deferred="a-own")[1][0]  # by a worker

        return world.run("a-own", verdict)

    # --- what is expected ---

    def affects(self, wait: str) -> bool:
        if self.row.scope is Scope.WAIT:
            return wait == self.subject
        return self.row.scope is Scope.PROCESS or wait.startswith("a-")

    def check(self, wait: str, ended: Ended, outcome: Outcome) -> None:
        trim = wait.partition("-")[2]
        due = self.ends["own" if trim == "sibling" else trim]
        if self.affects(wait) and outcome.says and due > self.moment.at:
            assert outcome.says in ended.cause, (wait, ended)
            assert ended.at <= (DEADLINE + MAX_AFTER_DEADLINE if trim in ("own", "due") else LONGEST)
            return
        slower = outcome.slower if self.affects(wait) else 0.0
        if trim == "due":
            assert isinstance(ended.result, TimedOut), ended
            within = PROMPT
        else:
            assert not ended.cause, (wait, ended)
            within = PROMPT if self._is_prompt(wait) else INTERVAL + PROMPT
        assert due <= ended.at <= due + within + slower, (wait, ended)

    def _is_prompt(self, wait: str) -> bool:
        """Return whether a wait's end is noticed by a callback."""
        listens = self.row.collaborator is not Collaborator.LISTENER or self.moment is not Moment.START
        handled = self.row.collaborator is Collaborator.HANDLER and wait in ("a-own", "a-sibling")
        return wait == "b-called" or (wait == "a-called" and listens) or handled


def cells() -> Iterator[Any]:
    """Each fault in the middle of the waits; at the other moments, what leads to the same is left to ``--full``."""
    for row, kind, moment, outcome in outcomes():
        repeats = moment is not Moment.MIDDLE and outcome == row.cell(kind, Moment.MIDDLE)
        name = f"{row.collaborator.value}-{kind.value}-{moment.title}".replace(" ", "_")
        yield pytest.param(row, kind, moment, outcome, id=name, marks=[pytest.mark.full] * repeats)


@pytest.mark.parametrize(("row", "kind", "moment", "outcome"), cells())
def test_collaborator_that_fails(
    row: Row, kind: Kind, moment: Moment, outcome: Outcome, faults: Faults, request: Any, monkeypatch: Any
) -> None:
    if row.collaborator is Collaborator.SECRETS:
        request.getfixturevalue("secrets")
    cell = Cell(row, kind, moment, faults, monkeypatch)
    ended: dict[str, Ended] = {}

    async def main() -> None:
        ended.update(await cell.run())

    containment.run(main)
    for wait, end in ended.items():
        cell.check(wait, end, outcome)
    assert len(ended) == 12 + (row.collaborator is Collaborator.HANDLER)
