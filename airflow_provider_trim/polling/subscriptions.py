# SPDX-License-Identifier: Apache-2.0
"""Which waits there are for which trim in a poller."""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from airflow_provider_trim.callbacks.expectation import Expectation
from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.polling.state import PollState
from airflow_provider_trim.polling.verdicts import Decision, PollAgain, Verdict
from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.models import TrimTask

log = contained_logger(__name__)


@dataclass(eq=False, slots=True)
class Waiter:
    """One wait, and the future of its verdict."""

    state: PollState
    callback: Expectation
    verdict: asyncio.Future[Verdict]
    began_at: float = -math.inf
    """When this process began to wait; after a takeover, that may be long after the deadline."""
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    """The waiting task's own, so that what is logged about its trim stands in its log."""

    @property
    def next_poll_at(self) -> float:
        """When this wait has its trim polled, as things stand."""
        state = self.state
        return min(max(state.next_poll_at, self.callback.hold_until), max(state.last_poll_at, state.next_poll_at))

    def record_response(
        self, outcome: TrimTask | TrimError, now: float, sent_at: float, version: int, credentials_accepted: bool
    ) -> PollAgain | None:
        """Record the outcome of a poll, as :meth:`PollState.record_response` does.

        :returns: None where the wait has ended
        """

        def decide(state: PollState) -> Decision:
            self.callback.record_poll(outcome)
            return state.record_response(
                outcome, now, sent_at=sent_at, version=version, credentials_accepted=credentials_accepted
            )

        return self.decide(decide)

    def decide(self, decide: Callable[[PollState], Decision]) -> PollAgain | None:
        """Have the state decide, and end the wait if that is a verdict.

        An unexpected exception ends this wait, and no other.

        :returns: None where the wait has ended
        """
        if self.verdict.done():
            return None
        try:
            decision = decide(self.state)
        # A bug here must reach the waiting task, which would wait for ever.
        except Exception as error:
            self.verdict.set_exception(error)
            return None
        if isinstance(decision, PollAgain):
            return decision
        self.verdict.set_result(decision)
        return None

    def expedite(self, now: float) -> None:
        """Make this wait's next poll now; a fault of it must not keep the others of its trim from theirs."""
        try:
            self.state.expedite(now)
        except Exception:
            log.exception("The next poll of trim %s could not be expedited", self.state.trans_no)

    def log(self, level: int, message: str, *args: object) -> None:
        """Log a message where the waiting task logs."""
        self.context.run(log.log, level, message, *args)


class Subscriptions:
    """All waits of a poller, by the transNo of their trims."""

    def __init__(self) -> None:
        self._by_trim: dict[str, dict[Waiter, None]] = {}  # sets that keep the order
        self.waits = 0

    def __len__(self) -> int:
        """Return the number of trims."""
        return len(self._by_trim)

    def add(self, waiter: Waiter) -> None:
        """Add a wait."""
        self._by_trim.setdefault(waiter.state.trans_no, {})[waiter] = None
        self.waits += 1

    def remove(self, waiter: Waiter) -> bool:
        """Remove a wait, and return whether it was the last one of its trim."""
        trans_no = waiter.state.trans_no
        del self._by_trim[trans_no][waiter]
        self.waits -= 1
        if self._by_trim[trans_no]:
            return False
        del self._by_trim[trans_no]
        return True

    def pending(self, trans_no: str) -> list[Waiter]:
        """Return the waits for a trim that have no verdict yet."""
        return [waiter for waiter in self._by_trim.get(trans_no, ()) if not waiter.verdict.done()]

    def all_pending(self) -> Iterator[Waiter]:
        """Iterate over all waits that have no verdict yet."""
        for trans_no in list(self._by_trim):
            yield from self.pending(trans_no)
