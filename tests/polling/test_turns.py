# SPDX-License-Identifier: Apache-2.0
"""Owners take turns."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from airflow_provider_trim.polling.turns import TurnQueue

keys = st.sampled_from("abcdefgh")
times = st.integers(0, 20).map(float)


def queue_of(*entries: tuple[str, float, str]) -> TurnQueue:
    queue = TurnQueue()
    for entry in entries:
        queue.put(*entry)
    return queue


def taken(queue: TurnQueue, now: float) -> str:
    found = []
    while (key := queue.pop_due(now)) is not None:
        found.append(key)
    return "".join(found)


def test_owners_of_what_is_due_take_turns() -> None:
    queue = queue_of(("a", 1, "x"), ("b", 2, "x"), ("c", 3, "x"), ("d", 4, "y"), ("e", 9, "z"))
    assert queue.first() == (1, "a")
    assert taken(queue, 5) == "adbc"
    assert queue.first() == (9, "e")


def test_an_owner_that_joins_waits_for_one_turn_of_the_others() -> None:
    queue = queue_of(*((key, 1.0, "x") for key in "abc"), *((key, 1.0, "y") for key in "def"))
    assert queue.pop_due(1) == "a"
    queue.put("g", 1, "z")
    assert taken(queue, 1) == "dbgecf"


def test_owners_keep_their_turns_when_times_change() -> None:
    queue = queue_of(*((key, 1.0, "x") for key in "abc"), *((key, 2.0, "y") for key in "de"))
    assert queue.pop_due(2) == "a"
    for key in queue:
        queue.move(key, 0.0 if key in "bc" else 1.0)
    assert taken(queue, 2) == "dbec"


class Turns(RuleBasedStateMachine):
    """Compared with a plain dict: the first key is the earliest, and what is taken was due."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = TurnQueue()
        self.entries: dict[str, tuple[float, str]] = {}
        self.now = 0.0

    @rule(key=keys, time=times, owner=st.sampled_from("xyz"))
    def put(self, key: str, time: float, owner: str) -> None:
        self.queue.put(key, time, owner)
        self.entries[key] = (time, owner)

    @rule(key=keys)
    def remove(self, key: str) -> None:
        self.queue.remove(key)
        self.entries.pop(key, None)

    @rule(seconds=st.integers(0, 5))
    def take(self, seconds: int) -> None:
        self.now += seconds
        key = self.queue.pop_due(self.now)
        if key is None:
            assert all(time > self.now for time, _ in self.entries.values())
        else:
            assert self.entries.pop(key)[0] <= self.now

    @rule(shift=st.integers(-3, 3))
    def reorder(self, shift: int) -> None:
        self.entries = {key: (time + shift, owner) for key, (time, owner) in self.entries.items()}
        for key in self.queue:
            self.queue.move(key, self.entries[key][0])

    @rule(most=st.integers(0, 3))
    def line_up(self, most: int) -> None:
        assert self.queue.line_up(self.now, most) or most < len(self.entries)

    @invariant()
    def the_earliest_is_first(self) -> None:
        assert sorted(self.queue) == sorted(self.entries)
        first = self.queue.first()
        assert (first is None) == (not self.entries)
        if first is not None:
            assert first[0] == self.entries[first[1]][0] == min(time for time, _ in self.entries.values())


TestTurns = Turns.TestCase
