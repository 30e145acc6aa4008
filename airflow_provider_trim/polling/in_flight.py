# SPDX-License-Identifier: Apache-2.0
"""The polls of a poller that are being made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass

from airflow_provider_trim.client.session import Session
from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.models import TrimTask


@dataclass(slots=True, eq=False)
class Poll:
    """One poll.

    :param trans_no: of the trim
    :param session: with which it is made
    :param version: of the session's connection
    :param sent_at: when it is made
    :param new_connection: make it over a new network connection
    :param held: made although the credentials are refused, because it is a last one
    """

    trans_no: str
    session: Session
    version: int
    sent_at: float
    new_connection: bool = False
    held: bool = False
    outdated: bool = False
    """A callback came meanwhile, so the response may be older than what it announced."""


class PollsInFlight(Container[str]):
    """Makes polls side by side, one of each trim.

    :param limit: returns how many there may be at a time
    :param on_outcome: takes each poll and its outcome, after the poll has left those in flight
    :param on_end: called after that, however it ended
    """

    def __init__(
        self,
        limit: Callable[[], int],
        on_outcome: Callable[[Poll, TrimTask | TrimError], None],
        on_end: Callable[[], None],
    ) -> None:
        self._limit = limit
        self._on_outcome = on_outcome
        self._on_end = on_end
        self._reserved = 0
        self._freed = asyncio.Event()
        self._polls: dict[str, Poll] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __contains__(self, trans_no: object) -> bool:
        return trans_no in self._polls

    def versions(self) -> Iterator[int]:
        """Return the versions of the connection whose credentials are being tried by polls."""
        return (poll.version for poll in self._polls.values() if not poll.held)

    async def reserve(self) -> None:
        """Wait until one more poll can be made; :meth:`start` or :meth:`free` has to follow. Only the loop calls it."""
        while self._reserved >= self._limit():
            self._freed.clear()
            await self._freed.wait()
        self._reserved += 1

    def free(self) -> None:
        """Give back what was reserved."""
        self._reserved -= 1
        self._freed.set()

    def start(self, poll: Poll) -> None:
        """Make a poll for which a slot is reserved."""
        self._polls[poll.trans_no] = poll
        task = asyncio.create_task(self._make(poll))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def mark_outdated(self, trans_no: str) -> None:
        """Note that the response to the poll of a trim may be older than a callback."""
        self._polls[trans_no].outdated = True

    def cancel(self) -> list[asyncio.Task[None]]:
        """Break off all polls, and return the tasks that have still to end."""
        for task in self._tasks:
            task.cancel()
        return list(self._tasks)

    async def _make(self, poll: Poll) -> None:
        try:
            outcome: TrimTask | TrimError
            try:
                outcome = await poll.session.query(poll.trans_no, new_connection=poll.new_connection)
            except TrimError as error:
                outcome = error
            del self._polls[poll.trans_no]
            self._on_outcome(poll, outcome)
        finally:
            self._polls.pop(poll.trans_no, None)
            self.free()
            self._on_end()
