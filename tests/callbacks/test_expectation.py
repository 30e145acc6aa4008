# SPDX-License-Identifier: Apache-2.0
"""The callback of one wait, by an injected clock."""

from __future__ import annotations

import math
from typing import Any

import pytest

from airflow_provider_trim.callbacks.expectation import Expectation
from airflow_provider_trim.vod.errors import TrimAuthError, TrimError, TrimTransportError, VideoProcessingError
from airflow_provider_trim.vod.models import TrimTask
from tests.support.clocks import Clock

NEVER = -math.inf
PROCESSING = TrimTask.model_validate({"transNo": "t1", "status": 1})
DONE = TrimTask.model_validate({"transNo": "t1", "status": 2, "videoInfo": {"videoId": "V1"}})


class Receiver:
    """Callbacks as they are received, and how much polling they replace."""

    def __init__(self, *, receiving: bool = True, since: float = 0.0, poll_interval: float = 600.0) -> None:
        self.receiving = receiving
        self.since = since
        self.interval = poll_interval
        self.delivered: list[bool] = []

    def has_received_since(self, time: float) -> bool:
        return self.since <= time

    def poll_interval(self, interval: float) -> float:
        return self.interval

    def record_delivery(self, delivered: bool) -> None:
        self.delivered.append(delivered)


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


def expect(clock: Clock, receiver: Receiver | None = None, *, expected: bool = True) -> tuple[Expectation, Receiver]:
    receiver = receiver or Receiver()
    return Expectation(receiver, expected=expected, interval=10.0, clock=clock), receiver


def test_first_poll_is_held_where_no_callback_can_have_been_missed(clock: Clock) -> None:
    callback, _ = expect(clock)
    assert callback.hold_until == NEVER
    callback.begin(started_at=1000.0)
    assert callback.hold_until == 1600.0


@pytest.mark.parametrize(
    "receiver",
    [Receiver(since=1001.0), Receiver(receiving=False), Receiver(poll_interval=0.0)],
    ids=["it began before", "none are received", "they replace no polls"],
)
def test_first_poll_is_not_held_otherwise(clock: Clock, receiver: Receiver) -> None:
    callback, _ = expect(clock, receiver)
    callback.begin(started_at=1000.0)
    assert callback.hold_until == NEVER


@pytest.mark.parametrize("outcome", [PROCESSING, VideoProcessingError("busy")])
def test_next_poll_is_held_while_the_trim_is_processing(clock: Clock, outcome: TrimTask | TrimError) -> None:
    callback, receiver = expect(clock)
    callback.record_poll(outcome)
    assert callback.hold_until == 1600.0
    clock.advance(600)
    receiver.interval = 50.0
    callback.record_poll(outcome)
    assert callback.hold_until == 1650.0


@pytest.mark.parametrize("outcome", [TrimTransportError("no response"), TrimAuthError("refused")])
def test_next_poll_is_not_held_after_one_that_failed(clock: Clock, outcome: TrimError) -> None:
    callback, _ = expect(clock)
    callback.begin(started_at=1000.0)
    callback.record_poll(outcome)
    assert callback.hold_until == NEVER


def test_interval_is_that_of_polls_with_a_callback_while_one_is_expected(clock: Clock) -> None:
    callback, receiver = expect(clock)
    assert callback.interval == 600.0
    receiver.interval = 0.0  # callbacks don't arrive
    assert callback.interval == 10.0
    receiver.interval = 5.0
    assert callback.interval == 10.0


def test_callback_ends_the_hold_and_is_taken_in_once(clock: Clock) -> None:
    callback, receiver = expect(clock)
    callback.begin(started_at=1000.0)
    assert callback.record_callback()
    assert (callback.hold_until, callback.interval, receiver.delivered) == (NEVER, 10.0, [True])
    assert not callback.record_callback()
    assert receiver.delivered == [True]
    callback.record_poll(PROCESSING)  # it came too early, and no other will come
    assert callback.hold_until == NEVER


def test_callback_of_which_none_was_expected_is_taken_in_and_counts_for_nothing(clock: Clock) -> None:
    callback, receiver = expect(clock, expected=False)
    callback.begin(started_at=1000.0)
    assert (callback.hold_until, callback.interval) == (NEVER, 10.0)
    assert callback.record_callback()
    assert not callback.record_callback()
    callback.record_poll(DONE)
    assert receiver.delivered == []


def missed(callback: Expectation, receiver: Receiver, first: Any = None) -> list[bool]:
    callback.begin(started_at=1000.0)
    if first is not None:
        callback.record_poll(first)
    callback.record_poll(DONE)
    return receiver.delivered


def test_trim_that_is_done_without_its_callback_has_missed_it(clock: Clock) -> None:
    assert missed(*expect(clock)) == [False]
    assert missed(*expect(clock), first=PROCESSING) == [False]
    assert missed(*expect(clock), first=TrimTransportError("no response")) == [False]


@pytest.mark.parametrize("receiving", [True, False])
def test_callback_that_could_not_be_received_is_not_missed(clock: Clock, receiving: bool) -> None:
    callback, receiver = expect(clock, Receiver(receiving=False))
    callback.begin(started_at=1000.0)
    receiver.receiving = receiving
    callback.record_poll(DONE)
    assert receiver.delivered == []


def test_distrusted_callback_holds_nothing_and_is_not_missed(clock: Clock) -> None:
    callback, receiver = expect(clock)
    callback.begin(started_at=1000.0)
    assert callback.distrust()
    assert callback.hold_until == NEVER
    assert not callback.distrust()
    callback.record_poll(DONE)
    assert receiver.delivered == []
