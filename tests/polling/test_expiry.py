# SPDX-License-Identifier: Apache-2.0
"""Waits whose last poll is held up, by an injected clock."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from airflow_provider_trim.polling.expiry import EXPIRY_GRACE, MAX_EXPIRY_GRACE, PORTION, Expiry
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.subscriptions import Subscriptions, Waiter
from airflow_provider_trim.polling.verdicts import Success, TimedOut
from airflow_provider_trim.vod.errors import TrimTransportError
from tests.callbacks.test_expectation import DONE, PROCESSING, Receiver, expect
from tests.support.clocks import Clock

NOW = 1000.0


class Waits:
    def __init__(self) -> None:
        self.subscriptions = Subscriptions()
        self.in_flight: set[str] = set()
        self.expiry = Expiry(self.subscriptions, self.in_flight)

    def add(self, trans_no: str, deadline: float | None, *, began_at: float = -math.inf, **options: Any) -> Waiter:
        state = PollState(trans_no, WaitOptions(deadline=deadline, **options), now=NOW)
        callback, _ = expect(Clock(NOW), Receiver(), expected=False)
        waiter = Waiter(state, callback, asyncio.get_running_loop().create_future(), began_at=began_at)
        self.subscriptions.add(waiter)
        self.expiry.add(waiter)
        return waiter

    def check(self, now: float) -> None:
        for _ in self.expiry.portions(now):
            pass


@pytest.fixture
async def waits() -> Waits:
    return Waits()


async def test_wait_ends_some_time_after_its_deadline(waits: Waits) -> None:
    first, second, endless = waits.add("t1", NOW + 10), waits.add("t1", NOW + 20), waits.add("t2", None)
    waits.check(NOW + 10 + EXPIRY_GRACE - 0.1)
    assert not first.verdict.done()
    waits.check(NOW + 10 + EXPIRY_GRACE)
    assert (first.verdict.done(), second.verdict.done()) == (True, False)
    waits.check(NOW + 20 + EXPIRY_GRACE)
    waits.check(NOW + 1e9)
    assert (second.verdict.done(), endless.verdict.done()) == (True, False)
    verdict = first.verdict.result()
    assert isinstance(verdict, TimedOut)
    assert str(verdict.last_error) == "the last poll could not be made within 30 s"


async def test_wait_that_is_taken_over_after_its_deadline_has_time_for_its_last_poll(waits: Waits) -> None:
    """A triggerer may have been away for longer than the grace."""
    waiter = waits.add("t1", NOW - 300.0, began_at=NOW)
    waits.check(NOW + EXPIRY_GRACE - 0.1)
    assert not waiter.verdict.done()
    waits.check(NOW + EXPIRY_GRACE)
    assert waiter.verdict.done()


async def test_last_poll_that_is_in_flight_is_waited_for_longer(waits: Waits) -> None:
    waiter = waits.add("t1", NOW)
    waits.in_flight.add("t1")
    waits.check(NOW + EXPIRY_GRACE)
    waits.check(NOW + MAX_EXPIRY_GRACE - 0.1)
    assert not waiter.verdict.done()
    waits.check(NOW + MAX_EXPIRY_GRACE)
    verdict = waiter.verdict.result()
    assert isinstance(verdict, TimedOut)
    assert str(verdict.last_error) == "the last poll did not end within 90 s"


async def test_last_error_is_named(waits: Waits) -> None:
    waiter = waits.add("t1", NOW + 60)
    waiter.record_response(TrimTransportError("in trouble", http_status=503), NOW, NOW, 1, False)
    waits.check(NOW + 90)
    verdict = waiter.verdict.result()
    assert isinstance(verdict, TimedOut)
    assert str(verdict.last_error).endswith("within 30 s; before that: in trouble (HTTP status 503)")


async def test_wait_that_has_ended_does_not_expire(waits: Waits) -> None:
    waiter = waits.add("t1", NOW + 60)
    waiter.record_response(DONE, NOW, NOW, 1, True)
    waits.check(NOW + 1e6)
    assert waiter.verdict.result() == Success(DONE)


async def test_deadlines_are_checked_only_when_one_may_have_passed(waits: Waits) -> None:
    """However many waits there are."""

    class Counting(Subscriptions):
        passes = 0

        def all_pending(self) -> Any:
            self.passes += 1
            return super().all_pending()

    waits.subscriptions = Counting()
    waits.expiry = Expiry(waits.subscriptions, waits.in_flight)
    for number in range(100):
        waits.add(f"t{number}", NOW + 100.0 + number).record_response(PROCESSING, NOW, NOW, 1, True)
    for second in range(130):
        waits.check(NOW + second)
    assert waits.subscriptions.passes == 0
    for second in range(130, 1000):
        waits.check(NOW + second)
    assert waits.subscriptions.passes == 100


async def test_thousands_with_one_deadline_end_in_portions(waits: Waits) -> None:
    """Or all others of the triggerer would stand still meanwhile."""
    ending = [waits.add(f"t{number}", NOW) for number in range(3 * PORTION)]
    done = [sum(waiter.verdict.done() for waiter in ending) for _ in waits.expiry.portions(NOW + EXPIRY_GRACE)]
    assert done == [PORTION, 2 * PORTION, 3 * PORTION]
