# SPDX-License-Identifier: Apache-2.0
"""Who waits for which trim in a poller."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Iterator
from dataclasses import dataclass, field

from airflow_provider_trim.polling.state import PollState, Verdict


@dataclass(eq=False, slots=True)
class Waiter:
    """One watch and who waits for its verdict."""

    watch: PollState
    verdict: asyncio.Future[Verdict]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    """The waiting task's own, so that what is logged about its trim stands in its log."""


class Subscriptions:
    """All watches of a poller, by the transNo of their trims."""

    def __init__(self) -> None:
        self._by_trim: dict[str, list[Waiter]] = {}

    def __contains__(self, trans_no: str) -> bool:
        return trans_no in self._by_trim

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._by_trim))

    def __len__(self) -> int:
        return len(self._by_trim)

    def add(self, waiter: Waiter) -> None:
        """Add who waits."""
        self._by_trim.setdefault(waiter.watch.trans_no, []).append(waiter)

    def remove(self, waiter: Waiter) -> bool:
        """Take out who waits no more, and return whether that was the last of its trim."""
        trans_no = waiter.watch.trans_no
        self._by_trim[trans_no].remove(waiter)
        if self._by_trim[trans_no]:
            return False
        del self._by_trim[trans_no]
        return True

    def undecided(self, trans_no: str) -> list[Waiter]:
        """Return who still waits for a trim."""
        return [waiter for waiter in self._by_trim.get(trans_no, ()) if not waiter.verdict.done()]


def fail_all(waiters: list[Waiter], error: Exception) -> None:
    """Raise what must not happen where it is seen: in the tasks that wait for it."""
    for waiter in waiters:
        waiter.verdict.set_exception(error)
