# SPDX-License-Identifier: Apache-2.0
"""The trims that wait for their next poll, and which of them is next. Pure: time is passed in.

Trims of two kinds are polled whatever a call is worth: those at their deadline, and those that were expedited by a
callback. They come first. When the others are due is for the policy to say
(:class:`~airflow_provider_trim.polling.policy.PollingPolicy`), within bounds: no trim is polled before its interval has
passed, and none is forgotten.

Tasks take turns, so that none is held up by how many trims another one waits for. Of the trims that are due, each task
has one polled in its turn. And a trim that was not polled for some rounds is *overdue*, whatever the policy says of it:
every other call is for such trims, again by turns, even if others are urgent. A round of a task is its number of trims,
times the number of tasks, in calls: the time that one poll of each takes if each task has the same share of the quota.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from airflow_provider_trim.logs import contained_logger
from airflow_provider_trim.polling.account_durations import AccountDurations
from airflow_provider_trim.polling.budget import CallBudget
from airflow_provider_trim.polling.entry import Entry
from airflow_provider_trim.polling.plan import MAX_POLL_INTERVAL
from airflow_provider_trim.polling.policy import PollingPolicy
from airflow_provider_trim.polling.queue import TimeQueue
from airflow_provider_trim.polling.round_robin import RoundRobinPolicy
from airflow_provider_trim.polling.turns import TurnQueue

MAX_ROUNDS, MIN_OVERDUE_WINDOWS = 2.0, 2.0
"""Rounds of its task after which a trim that was not polled is overdue, and the windows that this is at least."""

SETTLED_FOR = 0.001
"""Seconds for which a schedule is up to date, unless something changes. Most permits are acquired sooner than that."""

PORTION = 1000
"""Trims that :meth:`Schedule.settle` moves in one step, which takes some milliseconds."""

log = contained_logger(__name__)

T = TypeVar("T")


class Schedule:
    """All trims of a poller. A change of one trim changes its place in all queues, so they are in one class.

    :param policy: says when a poll of a trim is worth a call
    """

    def __init__(self, policy: PollingPolicy) -> None:
        self._policy = policy
        self._budget = CallBudget()
        self._settled_at = -math.inf
        """When the last step was taken, if nothing has changed since."""
        self._entries: dict[str, Entry] = {}
        self._sizes: dict[str, int] = {}
        self._queue, self._overdue = TurnQueue(), TurnQueue()
        self._overdue_next = self._overdue_outdated = False
        self._overdue_version = 0
        self._stale: deque[str] = deque()
        """Trims that are in the queues by an older plan."""
        self._urgent = TimeQueue()
        self._last_polls = TimeQueue()

    def __len__(self) -> int:
        return len(self._entries)

    def set_quota(self, calls: int | None, window: float) -> None:
        """Set how many calls can be planned with.

        :param calls: in each window; None for any number
        :param window: seconds
        """
        if self._budget.set(calls, window):
            self._settled_at = -math.inf

    def use(self, durations: AccountDurations) -> None:
        """Plan with, and add to, what is known of an account's trims."""
        self._policy.use(durations)
        self._settled_at = -math.inf

    def trims_of(self, task: str) -> int:
        """Return how many trims a task waits for."""
        return self._sizes.get(task, 0)

    def upsert(
        self,
        key: str,
        *,
        started_at: float,
        interval: float,
        not_before: float,
        deadline: float | None = None,
        task: str = "",
        kind: str | None = None,
    ) -> None:
        """Add a trim, or change when it is polled next.

        :param started_at: when it was submitted, or first seen
        :param interval: minimum seconds between two polls
        :param not_before: the earliest time of its next poll
        :param deadline: when it is polled in any case
        :param task: which waits for it
        :param kind: trims of one kind are expected to take about as long; it stays what it is at first
        """
        limit = math.inf if deadline is None else deadline
        self._budget.advance(started_at)
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = Entry(
                started_at, interval, not_before, kind=kind, deadline=limit, first_poll_at=not_before
            )
            self._budget.add(entry)
        else:
            self._budget.change_interval(entry, interval)
            self._count(entry, -1)
            entry.started_at = min(started_at, entry.started_at)
            entry.not_before, entry.deadline = not_before, limit
        entry.task = task
        self._count(entry, 1)
        self._enqueue(key, entry)

    def expedite(self, key: str, now: float) -> None:
        """Poll a trim that is in the queue at once, ahead of all but those that were expedited before."""
        if key in self._queue:
            entry = self._entries[key]
            entry.expedited_at = now
            self._enqueue(key, entry)

    def discard(self, key: str) -> None:
        """Forget a trim, if it is known."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._budget.remove(entry)
            self._count(entry, -1)
            self._remove(key)

    def record(self, key: str, now: float, *, finished: bool) -> None:
        """Record a poll that showed whether the trim was done; :meth:`upsert` puts it back into the queue."""
        entry = self._entries.get(key)
        if entry is not None and self._budget.calls is not None:
            self._settled_at = -math.inf
            entry.finished = finished
            age = max(0.0, now - entry.started_at)
            self._call_policy(lambda policy: policy.observe(entry, age, finished))
            entry.age = age

    def due_at(self, key: str) -> float | None:
        """Return when a trim is polled as things stand, or None where it is not known; the quota may delay it."""
        entry = self._entries.get(key)
        return None if entry is None else min(self._due_at(entry), max(entry.deadline, entry.not_before))

    def settle(self, now: float) -> bool:
        """Take a step towards being up to date: plan again, if enough has changed, and move trims to other times.

        The other methods take all steps that are left. With thousands of trims, an event loop takes them one by one, so
        that others have their turns.

        :returns: whether no step is left
        """
        if 0.0 <= now - self._settled_at < SETTLED_FOR:
            return True
        self._budget.advance(now)
        begins = not self._stale
        if begins and self._call_policy(lambda policy: policy.replan(self._entries.values(), self._budget)):
            self._begin_to_retime()
        self._retime(PORTION)
        queues = (self._queue, self._overdue)
        if not begins or self._stale or not all(queue.line_up(now, PORTION) for queue in queues):
            return False
        self._settled_at = now
        return True

    def next_due_at(self) -> float | None:
        """Return when :meth:`pop_due` has a trim as things stand, or None for never."""
        self._settle_all(self._budget.now)
        first = self._next()
        return None if math.isinf(first) else first

    def next_last_poll_at(self) -> float:
        """Return when :meth:`pop_due` has a trim whose last poll is due; infinite for never."""
        first = self._last_polls.peek()
        return math.inf if first is None else first[0]

    def pop_due(self, now: float, *, call: bool = True, last_polls_only: bool = False) -> str | None:
        """Take the trim that is polled now out of the queue, or return None.

        :param call: whether a call is made, with a permit; otherwise its waits only learn why not
        :param last_polls_only: leave all trims but those whose last poll is due
        """
        self._settle_all(now)
        if (self.next_last_poll_at() if last_polls_only else self._next()) > now:
            return None
        key = self._last_polls.first_due(now) if last_polls_only else self._choose(now)
        if key is None:
            return None
        self._remove(key)
        entry = self._entries[key]
        entry.polled_at, entry.expedited_at = now, math.inf
        if call:
            self._budget.spend(now)
        return key

    def _settle_all(self, now: float) -> None:
        while not self.settle(now):
            pass

    def _choose(self, now: float) -> str | None:
        """Return which trim is polled: one that is urgent, due (by turns) or next; every other time, an overdue one."""
        self._overdue_next = not self._overdue_next
        if self._overdue_next and len(self._sizes) > 1 and (key := self._overdue.pop_due(now)) is not None:
            return key
        first = self._queue.first()
        return (
            self._urgent.first_due(now)
            or self._queue.pop_due(now)
            or self._overdue.pop_due(now)
            or (None if first is None else first[1])
        )

    def _count(self, entry: Entry, change: int) -> None:
        """Count a trim of a task in or out."""
        size = self._sizes.pop(entry.task, 0) + change
        if size:
            self._sizes[entry.task] = size

    def _overdue_at(self, entry: Entry) -> float:
        """Return when a trim is overdue, by the tasks and trims that there are now."""
        budget = self._budget
        if not budget.calls:
            return math.inf
        round_ = len(self._sizes) * self._sizes[entry.task] / budget.calls
        after = max(MAX_ROUNDS * round_, MIN_OVERDUE_WINDOWS) * budget.window
        return max(entry.not_before, max(entry.polled_at, entry.first_poll_at) + after)

    def _next(self) -> float:
        urgent, first, overdue = self._urgent.peek(), self._queue.first(), self._overdue.first()
        next_urgent = math.inf if urgent is None else urgent[0]
        if first is None or overdue is None:
            return next_urgent
        due, key = first
        entry, budget = self._entries[key], self._budget
        at = min(self._call_policy(lambda policy: policy.next_at(entry, due, budget)), due + MAX_POLL_INTERVAL)
        return min(next_urgent, max(at, entry.not_before), overdue[0])

    def _enqueue(self, key: str, entry: Entry) -> None:
        self._settled_at = -math.inf
        self._queue.put(key, self._due_at(entry), entry.task)
        self._overdue.put(key, self._overdue_at(entry), entry.task)
        for queue, time in ((self._urgent, entry.urgent_at), (self._last_polls, entry.last_poll_at)):
            if math.isfinite(time):
                queue.put(key, time)
            else:
                queue.remove(key)

    def _remove(self, key: str) -> None:
        self._settled_at = -math.inf
        for queue in (self._queue, self._overdue, self._urgent, self._last_polls):
            queue.remove(key)

    def _due_at(self, entry: Entry) -> float:
        due = min(self._call_policy(lambda policy: policy.due_at(entry)), entry.not_before + MAX_POLL_INTERVAL)
        return max(due, entry.not_before)

    def _retime(self, most: float) -> None:
        """Move trims to the times at which they are due by the plan, until all or a number of them are done."""
        while self._stale and most > 0:
            key, most = self._stale.popleft(), most - 1
            if key in self._queue:
                entry = self._entries[key]
                self._queue.move(key, self._due_at(entry))
                if self._overdue_outdated:
                    self._overdue.move(key, self._overdue_at(entry))
        self._overdue_outdated &= bool(self._stale)

    def _begin_to_retime(self) -> None:
        self._stale = deque(self._queue)
        # The times at which they are overdue are right as they were, except under another quota.
        self._overdue_outdated |= self._overdue_version != self._budget.version
        self._overdue_version = self._budget.version

    def _call_policy(self, call: Callable[[PollingPolicy], T]) -> T:
        """Query the policy; if it fails, poll in turn from now on: no trim may be lost to a fault of a model."""
        try:
            answer = call(self._policy)
            if isinstance(answer, float) and math.isnan(answer):
                raise ValueError("the policy returned NaN")
            return answer
        except Exception:
            if isinstance(self._policy, RoundRobinPolicy):
                raise
            log.exception("The polling policy failed; polling the least recently polled trims first from now on")
            self._policy = RoundRobinPolicy()
            self._policy.replan(self._entries.values(), self._budget)
            self._begin_to_retime()
            self._retime(math.inf)
            return call(self._policy)
