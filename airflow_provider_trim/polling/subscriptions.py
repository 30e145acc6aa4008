# SPDX-License-Identifier: Apache-2.0
"""Which waits there are for which trim in a poller."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from airflow_provider_trim.callbacks.expectation import Expectation
from airflow_provider_trim.polling.state import PollState, Verdict

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Waiter:
    """One wait, and the future of its verdict."""

    state: PollState
    callback: Expectation
    verdict: asyncio.Future[Verdict]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    """The waiting task's own, so that what is logged about its trim stands in its log."""

    @property
    def next_poll_at(self) -> float:
        """When this wait has its trim polled, as things stand."""
        at, deadline = max(self.state.next_poll_at, self.callback.hold_until), self.state.deadline
        return at if deadline is None else min(at, max(deadline, self.state.next_poll_at))

    def resolve(self, verdict: Verdict) -> None:
        """End the wait, unless it has ended."""
        if not self.verdict.done():
            self.verdict.set_result(verdict)

    def log(self, level: int, message: str, *args: object) -> None:
        """Log a message where the waiting task logs; a handler that fails there must not end the wait."""
        with contextlib.suppress(Exception):
            self.context.run(log.log, level, message, *args)


class Subscriptions:
    """All waits of a poller, by the transNo of their trims."""

    def __init__(self) -> None:
        self._by_trim: dict[str, list[Waiter]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._by_trim))

    def __len__(self) -> int:
        return len(self._by_trim)

    def add(self, waiter: Waiter) -> None:
        """Add a wait."""
        self._by_trim.setdefault(waiter.state.trans_no, []).append(waiter)

    def remove(self, waiter: Waiter) -> bool:
        """Remove a wait, and return whether it was the last one of its trim."""
        trans_no = waiter.state.trans_no
        self._by_trim[trans_no].remove(waiter)
        if self._by_trim[trans_no]:
            return False
        del self._by_trim[trans_no]
        return True

    def pending(self, trans_no: str) -> list[Waiter]:
        """Return the waits for a trim that have no verdict yet."""
        return [waiter for waiter in self._by_trim.get(trans_no, ()) if not waiter.verdict.done()]

    def all_pending(self) -> Iterator[Waiter]:
        """Iterate over all waits that have no verdict yet."""
        for trans_no in self:
            yield from self.pending(trans_no)
