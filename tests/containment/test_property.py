# SPDX-License-Identifier: Apache-2.0
"""Containment under random faults: waits whose own trim and connection are healthy are never failed, late or lost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import hypothesis
from hypothesis import strategies as st

from airflow_provider_trim.polling.verdicts import Failure, TimedOut
from tests.support import containment
from tests.support.containment import Collaborator, Faults, Kind, World

HORIZON = 1200.0
"""Seconds until which faults and trims begin and end."""

LATE = 15.0
"""Seconds from the end of a healthy trim, or from a deadline, to the end of its wait: an interval, and calls."""

AFTER_DEADLINE = 91.0
RECOVERY = 1200.0
"""Seconds after the last fault, or the end of its trim, in which any wait has ended."""

OF_CONNECTION = (
    Collaborator.LOADER,
    Collaborator.WINDOW,
    Collaborator.SHARE,
    Collaborator.RELAY,
    Collaborator.LISTENER,
    Collaborator.CLOSING,
    Collaborator.SIGNATURES,
    Collaborator.POLICY,
)
OF_TRIM = (Collaborator.TRANSPORT, Collaborator.SIGNER, Collaborator.HANDLER)
IN_LOOP = (Collaborator.SIGNER, Collaborator.HANDLER, Collaborator.POLICY)
beginnings = st.integers(0, round(HORIZON / 2)).map(float)
lengths = st.integers(1, round(HORIZON / 2)).map(float)


@dataclass(frozen=True)
class Fault:
    """A fault of connection ``a``, or of its trim ``a-0``."""

    collaborator: Collaborator
    kind: Kind
    begins: float
    ends: float

    @property
    def subject(self) -> str:
        return "a-0" if self.collaborator in OF_TRIM else "a"


@dataclass(frozen=True)
class Wait:
    """A wait.

    :param begins: when
    :param done: when its trim is, if ever
    :param deadline: seconds after its beginning, if it has one
    """

    begins: float
    done: float
    deadline: float | None
    expects_callback: bool


@st.composite
def faults(draw: Any) -> Fault:
    collaborator = draw(st.sampled_from(OF_CONNECTION) | st.sampled_from(OF_TRIM))
    kinds = [kind for kind in Kind if not (kind is Kind.HANGS and collaborator in IN_LOOP)]
    begins = draw(beginnings)
    return Fault(collaborator, draw(st.sampled_from(kinds)), begins, begins + draw(lengths))


waits = st.builds(
    Wait,
    begins=beginnings,
    done=st.builds(float.__add__, beginnings, lengths),
    deadline=st.none() | lengths,
    expects_callback=st.booleans(),
)


class Run:
    """One world, with the waits of two connections."""

    def __init__(self, schedule: list[Fault], waiting: dict[str, Wait], faults: Faults) -> None:
        self.schedule = schedule
        self.waiting = waiting
        self.faults = faults

    async def main(self) -> None:
        world = World(self.faults)
        steps: list[tuple[float, Any]] = []
        for fault in self.schedule:
            begin = (fault.collaborator, fault.subject, fault.kind)
            steps.append((fault.begins, lambda begin=begin: self.faults.begin(*begin)))
            steps.append((fault.ends, lambda begin=begin: self.faults.end(*begin[:2])))
        tasks: list[asyncio.Task[None]] = []
        for name, wait in self.waiting.items():
            conn_id = name[0]
            world.service(conn_id).ends[name] = wait.done
            steps.append((wait.begins, lambda name=name, wait=wait: tasks.append(self._start(world, name, wait))))
            if wait.expects_callback:
                steps.append((max(wait.done, wait.begins), lambda c=conn_id, name=name: world.call_back(c, name)))
        for at, act in sorted(steps, key=lambda step: step[0]):
            await asyncio.sleep(max(0.0, at - world.loop.now))
            act()
        async with asyncio.timeout(2 * HORIZON + RECOVERY):
            await asyncio.gather(*tasks)
        self.check(world)
        await asyncio.sleep(200.0)
        assert world.left() == []

    @staticmethod
    def _start(world: World, name: str, wait: Wait) -> asyncio.Task[None]:
        deadline = None if wait.deadline is None else wait.begins + wait.deadline
        return world.start(name[0], name, deadline=deadline, expects_callback=wait.expects_callback)

    def check(self, world: World) -> None:
        broken = {fault.subject for fault in self.schedule}
        for name, wait in self.waiting.items():
            ended = world.ended[name]
            deadline = None if wait.deadline is None else wait.begins + wait.deadline
            done = max(wait.done, wait.begins)
            if name[0] not in broken and name not in broken:
                assert not isinstance(ended.result, Failure | Exception), (name, wait, ended)
                in_time = deadline is None or done <= deadline
                assert isinstance(ended.result, TimedOut) is not in_time, (name, wait, ended)
                assert ended.at <= (done if in_time else deadline) + LATE, (name, wait, ended)
            elif deadline is not None:
                assert ended.at <= max(deadline, done) + AFTER_DEADLINE, (name, wait, ended)
            if isinstance(ended.result, Failure):
                assert ended.cause


@hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(
    schedule=st.lists(faults(), min_size=1, max_size=8),
    affected=st.lists(waits, min_size=1, max_size=4),
    others=st.lists(waits, min_size=1, max_size=4),
)
def test_healthy_waits_are_not_affected(
    schedule: list[Fault], affected: list[Wait], others: list[Wait], world_faults: Any
) -> None:
    waiting = {f"a-{number}": wait for number, wait in enumerate(affected)}
    waiting.update({f"b-{number}": wait for number, wait in enumerate(others)})
    containment.run(Run(schedule, waiting, world_faults()).main)
