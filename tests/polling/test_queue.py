# SPDX-License-Identifier: Apache-2.0
"""The queue of times, compared with a sorted list."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from airflow_provider_trim.polling.queue import TimeQueue

KEYS = st.sampled_from([f"t{number}" for number in range(12)])
TIMES = st.integers(-5, 5).map(float) | st.floats(allow_nan=False)


class QueueMachine(RuleBasedStateMachine):
    """The model: what is in the queue, each with its time and its place among equals."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = TimeQueue()
        self.model: dict[str, tuple[float, int]] = {}
        self.puts = 0

    @rule(key=KEYS, time=TIMES)
    def put(self, key: str, time: float) -> None:
        self.puts += 1
        self.queue.put(key, time)
        self.model[key] = (time, self.puts)

    @rule(key=KEYS)
    def remove(self, key: str) -> None:
        self.queue.remove(key)
        self.model.pop(key, None)

    @rule(key=KEYS, time=TIMES)
    def move(self, key: str, time: float) -> None:
        if key in self.model:
            self.queue.move(key, time)
            self.model[key] = (time, self.model[key][1])

    @rule()
    def pop_all(self) -> None:
        keys = []
        while (first := self.queue.peek()) is not None:
            keys.append(first[1])
            self.queue.remove(first[1])
        assert keys == sorted(self.model, key=self.model.__getitem__)
        self.model.clear()

    @invariant()
    def agrees(self) -> None:
        first = min(self.model, key=self.model.__getitem__, default=None)
        assert self.queue.peek() == (None if first is None else (self.model[first][0], first))
        assert len(self.queue) == len(self.model)
        assert sorted(self.queue) == sorted(self.model)
        assert all((key in self.queue) == (key in self.model) for key in ("t0", "t11", "never"))


TestTimeQueue = QueueMachine.TestCase
TestTimeQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_moved_and_removed_keys_leave_nothing_behind() -> None:
    queue = TimeQueue()
    for number in range(10_000):
        queue.put("keeper", float(-number))
        queue.put(str(number), 1e9)
        queue.remove(str(number))
    assert queue.peek() == (-9999.0, "keeper")
    assert len(pickle.dumps(queue)) < 2000


def test_only_keys_that_are_there_can_be_moved() -> None:
    with pytest.raises(KeyError):
        TimeQueue().move("t1", 1.0)
