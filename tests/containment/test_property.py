# SPDX-License-Identifier: Apache-2.0
"""Containment under random faults: waits whose own trim and connection are healthy are never failed, late or lost."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import hypothesis
from hypothesis import strategies as st

from airflow_provider_trim.polling.verdicts import Failure, TimedOut
from airflow_provider_trim.vod.http import Response
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
LASTING = 5
"""Trims of connection ``c`` that have faults, and are waited for all the time."""

beginnings = st.integers(0, round(HORIZON / 2)).map(float)
lengths = st.integers(1, round(HORIZON / 2)).map(float)


ODD = [
    Response(200, {}, b"<html>"),
    Response(200, {}, b""),
    Response(200, {}, b'{"code": 200, "data": {"status": 2}}'),
    Response(200, {}, b'{"code": 200, "data": {"status": 4}}'),
    Response(200, {}, b'{"code": 200, "data": {"status": 3, "taskId": "t"}}'),
    Response(200, {}, b'{"code": 1603, "message": "no such trim"}'),
    Response(200, {}, b'{"code": 1560}'),
    Response(200, {}, b'{"code": 99999999999999999999}'),
    Response(200, {}, b'{"code": 200, "data": ' + b"[" * 9999),
    Response(404, {}, b""),
    Response(503, {"Retry-After": "120"}, b""),
]
"""Responses that are about one trim."""


@dataclass(frozen=True)
class Fault:
    """A fault of a connection, or of one of its trims.

    :param response: what the service responds for the trim, instead of a fault of a collaborator
    :param trim: which of the connection's
    """

    conn_id: str
    collaborator: Collaborator
    kind: Kind
    begins: float
    ends: float
    response: Response | None = None
    trim: int = 0

    @property
    def subject(self) -> str:
        return f"{self.conn_id}-{self.trim}" if self.collaborator in OF_TRIM else self.conn_id


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
def faults(draw: Any, conn_id: str, collaborators: Sequence[Collaborator]) -> Fault:
    collaborator = draw(st.sampled_from(collaborators))
    kinds = [kind for kind in Kind if not (kind is Kind.HANGS and collaborator in IN_LOOP)]
    begins = draw(beginnings)
    return Fault(conn_id, collaborator, draw(st.sampled_from(kinds)), begins, begins + draw(lengths))


@st.composite
def odd_responses(draw: Any) -> list[Fault]:
    """Responses to all trims of connection ``c`` that are waited for all the time, but its first."""
    responses = draw(st.permutations(ODD))[: LASTING - 1]
    return [
        Fault("c", Collaborator.TRANSPORT, Kind.NONSENSE, draw(beginnings), HORIZON, response, trim)
        for trim, response in enumerate(responses, 1)
    ]


waits = st.builds(
    Wait,
    begins=beginnings,
    done=st.builds(float.__add__, beginnings, lengths),
    deadline=st.none() | lengths,
    expects_callback=st.booleans(),
)


ALL_THE_TIME = Wait(begins=0.0, done=HORIZON, deadline=None, expects_callback=False)


class Run:
    """One world, with the waits of three connections."""

    def __init__(self, schedule: list[Fault], waiting: dict[str, Wait], faults: Faults) -> None:
        self.schedule = schedule
        self.waiting = waiting
        self.faults = faults

    async def main(self) -> None:
        world = World(self.faults)
        steps: list[tuple[float, Any]] = []
        for fault in self.schedule:
            steps.append((fault.begins, functools.partial(self._begin, world, fault)))
            steps.append((fault.ends, functools.partial(self._end, world, fault)))
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

    def _begin(self, world: World, fault: Fault) -> None:
        if fault.response is None:
            self.faults.begin(fault.collaborator, fault.subject, fault.kind)
        else:
            world.service(fault.conn_id).odd[fault.subject] = fault.response

    def _end(self, world: World, fault: Fault) -> None:
        if fault.response is None:
            self.faults.end(fault.collaborator, fault.subject)
        else:
            world.service(fault.conn_id).odd.pop(fault.subject, None)

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
    of_connection=st.lists(faults("a", (*OF_CONNECTION, *OF_TRIM)), min_size=1, max_size=6),
    of_trim=st.lists(faults("c", OF_TRIM), min_size=1, max_size=4),
    odd=odd_responses(),
    affected=st.lists(waits, min_size=1, max_size=3),
    others=st.lists(waits, min_size=1, max_size=3),
    neighbours=st.lists(waits, min_size=2, max_size=4),
)
def test_healthy_waits_are_not_affected(
    of_connection: list[Fault],
    of_trim: list[Fault],
    odd: list[Fault],
    affected: list[Wait],
    others: list[Wait],
    neighbours: list[Wait],
    world_faults: Any,
) -> None:
    """Connection ``a`` has faults, ``b`` has none, and of ``c`` some trims have."""
    waiting = {f"a-{number}": wait for number, wait in enumerate(affected)}
    waiting.update({f"b-{number}": wait for number, wait in enumerate(others)})
    waiting.update({f"c-{number}": wait for number, wait in enumerate([*[ALL_THE_TIME] * LASTING, *neighbours])})
    containment.run(Run([*of_connection, *of_trim, *odd], waiting, world_faults()).main)
