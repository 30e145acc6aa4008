# SPDX-License-Identifier: Apache-2.0
"""Which trim is polled next, by injected time: the rules that always hold."""

from __future__ import annotations

import heapq
import itertools
import math
import pickle
import random
import statistics
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_trim.polling.account_durations import AccountDurations
from airflow_provider_trim.polling.plan import MAX_POLL_INTERVAL
from airflow_provider_trim.polling.policy import ExpectedDelayPolicy
from airflow_provider_trim.polling.round_robin import RoundRobinPolicy
from airflow_provider_trim.polling.schedule import Schedule
from airflow_provider_trim.ratelimit.limiter import RateLimiter
from airflow_provider_trim.ratelimit.window import WINDOW_MARGIN
from airflow_provider_trim.vod.settings import TrimSettings
from tests.support import schedule_simulation as simulation
from tests.support.clocks import Clock

NOW = 1_796_000_000.0


def put(schedule: Schedule, key: str, now: float, **facts: Any) -> None:
    schedule.upsert(key, **{"started_at": now, "interval": 10.0, "not_before": now, **facts})


def picked(schedule: Schedule, now: float) -> list[str]:
    """Take out all that are due."""
    keys = []
    while (key := schedule.pop_due(now)) is not None:
        keys.append(key)
    return keys


# --- with calls to spare ---


@pytest.mark.parametrize("calls", [None, 300])
def test_with_calls_to_spare_each_trim_is_polled_on_time(calls: int | None) -> None:
    schedule = Schedule(ExpectedDelayPolicy())
    schedule.set_quota(calls, 300.0)
    for key, time in (("c", 3), ("a", 1), ("b", 2)):
        put(schedule, key, NOW, not_before=NOW + time)
    assert len(schedule) == 3
    assert schedule.pop_due(NOW) is None
    assert schedule.next_due_at() == NOW + 1
    assert picked(schedule, NOW + 2.5) == ["a", "b"]
    assert schedule.next_due_at() == NOW + 3
    put(schedule, "a", NOW, not_before=NOW + 12.5)
    assert picked(schedule, NOW + 20) == ["c", "a"]
    assert schedule.next_due_at() is None


def test_picked_trim_is_not_picked_again_until_it_is_put_back() -> None:
    schedule = Schedule(ExpectedDelayPolicy())
    put(schedule, "a", NOW)
    assert picked(schedule, NOW) == ["a"]
    assert picked(schedule, NOW + 1000) == []
    put(schedule, "a", NOW, not_before=NOW + 1001)
    assert picked(schedule, NOW + 1001) == ["a"]


def test_trim_put_back_is_polled_at_the_new_time_only() -> None:
    schedule = Schedule(ExpectedDelayPolicy())
    put(schedule, "a", NOW)
    put(schedule, "a", NOW, not_before=NOW + 50)
    assert picked(schedule, NOW + 49) == []
    put(schedule, "a", NOW, not_before=NOW + 20)
    assert picked(schedule, NOW + 49) == ["a"]


def test_discarded_trim_is_polled_no_more() -> None:
    schedule = Schedule(ExpectedDelayPolicy())
    put(schedule, "a", NOW)
    schedule.discard("a")
    schedule.discard("never known")
    schedule.record("never known", NOW, finished=True)
    assert schedule.next_due_at() is None
    assert schedule.pop_due(NOW) is None
    assert len(schedule) == 0


# --- with fewer calls than trims want ---


def crowd(size: int, calls: int = 300, **facts: Any) -> Schedule:
    schedule = Schedule(ExpectedDelayPolicy())
    schedule.set_quota(calls, 300.0)
    for number in range(size):
        put(schedule, str(number), NOW, **facts)
    return schedule


def test_few_are_polled_while_nothing_is_known() -> None:
    """A thousand at once: some scouts tell when they are done, and the calls are kept for when they are."""
    schedule = crowd(1000)
    polled = 0
    while (due := schedule.next_due_at()) < NOW + 30:
        key = schedule.pop_due(due)
        schedule.record(key, due, finished=False)
        put(schedule, key, NOW, not_before=due + 10.0)
        polled += 1
    assert 0 < polled <= 30


def test_a_quota_that_becomes_known_later_counts() -> None:
    """The connection is loaded only when the first poll is due."""
    schedule = crowd(1000, calls=10**9)
    assert schedule.next_due_at() == NOW
    schedule.set_quota(300, 300.0)
    assert schedule.next_due_at() > NOW
    schedule.set_quota(None, 0.0)
    assert schedule.next_due_at() == NOW


def test_last_poll_is_given_at_the_deadline_before_all_others() -> None:
    schedule = crowd(1000)
    put(schedule, "urgent", NOW, deadline=NOW + 1.0)
    assert schedule.next_due_at() == NOW + 1.0
    late = NOW + 1000.0
    assert schedule.pop_due(late) == "urgent"


def test_last_poll_is_not_delayed_by_those_due_before() -> None:
    schedule = crowd(1000)
    put(schedule, "urgent", NOW, deadline=NOW + 2000.0)
    assert schedule.pop_due(NOW + 1999.0) == "0"
    assert schedule.pop_due(NOW + 2000.0) == "urgent"


def test_deadline_that_passes_during_a_poll_is_followed_by_the_last_poll() -> None:
    schedule = Schedule(ExpectedDelayPolicy())
    put(schedule, "a", NOW, deadline=NOW + 30)
    assert picked(schedule, NOW + 29) == ["a"]
    assert schedule.next_due_at() is None
    put(schedule, "a", NOW, not_before=NOW + 39, deadline=NOW + 30)
    assert picked(schedule, NOW + 31) == ["a"]
    # If it is put once more after its last poll, it is no longer urgent.
    put(schedule, "a", NOW, not_before=NOW + 41, deadline=NOW + 30)
    assert schedule.next_due_at() == NOW + 41


def test_last_polls_alone_can_be_taken() -> None:
    """While the credentials are refused."""
    schedule = Schedule(ExpectedDelayPolicy())
    put(schedule, "endless", NOW)
    put(schedule, "expedited", NOW, deadline=NOW + 20)
    put(schedule, "late", NOW, deadline=NOW + 10)
    schedule.expedite("expedited", NOW)
    assert schedule.next_last_poll_at() == NOW + 10
    assert schedule.pop_due(NOW + 9, last_polls_only=True) is None
    assert schedule.pop_due(NOW + 10, last_polls_only=True) == "late"
    assert schedule.next_last_poll_at() == NOW + 20
    put(schedule, "late", NOW, not_before=NOW + 15, deadline=NOW + 10)  # to repeat its last poll
    assert schedule.next_last_poll_at() == NOW + 15
    schedule.discard("late")
    assert schedule.pop_due(NOW + 30, last_polls_only=True) == "expedited"
    assert schedule.next_last_poll_at() == math.inf
    assert picked(schedule, NOW + 30) == ["endless"]


def test_trims_that_came_and_went_leave_nothing_behind() -> None:
    schedule = Schedule(ExpectedDelayPolicy())
    for number in range(1000):
        put(schedule, str(number), NOW, deadline=NOW + 1e6)
        assert picked(schedule, NOW) == [str(number)]
        put(schedule, str(number), NOW, not_before=NOW + 1, deadline=NOW + 1e6)
        schedule.discard(str(number))
        schedule.next_due_at()
    assert len(pickle.dumps(schedule)) < 20_000


def test_trims_older_than_any_known_do_not_eat_the_quota() -> None:
    schedule = crowd(100, started_at=NOW - 1e6)
    last = dict.fromkeys(map(str, range(100)), NOW)
    pauses = []
    for second in range(1000):
        now = NOW + 1000.0 + second
        if (key := schedule.pop_due(now)) is not None:
            pauses.append(now - last[key])
            last[key] = now
            schedule.record(key, now, finished=False)
            put(schedule, key, NOW, started_at=NOW - 1e6, not_before=now + 10.0)
    assert len(pauses) >= 100
    assert min(pauses) > 50


def test_polls_adapt_to_observed_durations() -> None:
    """Where trims take ten minutes, it soon stops asking after one."""
    schedule = crowd(1000)
    before = schedule.due_at("999")
    for number in range(200):
        schedule.record(str(number), NOW + 600, finished=False)
        schedule.discard(str(number))
    schedule.next_due_at()
    assert schedule.due_at("999") > before


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("size", "median", "most"), [(10, 6.0, 4.0), (40, 12.0, 5.0), (100, 12.0, 8.0), (40, 1800.0, 22.5)]
)
def test_burst_of_any_scale_is_found_about_as_soon_as_by_the_best_fixed_poll(
    size: int, median: float, most: float
) -> None:
    """All at once, in a process that has seen none. The bounds are those of the best fixed polls, and a little."""
    means = []
    for seed in range(3):
        chance = random.Random(seed)
        durations = [median * chance.lognormvariate(0.0, 0.6 if median < 1000 else 0.5) for _ in range(size)]
        means.append(statistics.mean(simulation.simulate([0.0] * size, durations, simulation.Quota(300))))
    assert statistics.mean(means) <= most


@pytest.mark.parametrize(("count", "seconds"), [(15, 60.0), (10, 90.0)])
def test_the_last_trims_of_a_burst_do_not_run_out_of_calls(count: int, seconds: float) -> None:
    """There are few enough of them for the quota, but not for what the others have left of it."""
    chance = random.Random(1)
    durations = [seconds * chance.uniform(0.8, 1.2) for _ in range(count)]
    durations += [250.0 * chance.uniform(0.9, 1.1) for _ in range(5)]
    assert max(simulation.simulate([0.0] * len(durations), durations, simulation.Quota(300))) < 25.0


@pytest.mark.no_cover
def test_steady_load_that_takes_the_whole_quota_leaves_no_call_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five trims of about two minutes, as fast as ten calls in five minutes can find them."""
    calls: list[float] = []

    class CountingWindow(simulation.Window):
        def take(self, now: float) -> None:
            calls.append(now)
            super().take(now)

    monkeypatch.setattr(simulation, "Window", CountingWindow)
    seeds = 5
    for seed in range(seeds):
        chance, trims = random.Random(seed), []
        for _ in range(5):
            begin = chance.uniform(0.0, 120.0)
            while begin < 5400.0:
                trims.append((begin, 120.0 * chance.lognormvariate(0.0, 0.8)))
                begin += trims[-1][1]
        begins, durations = zip(*sorted(trims), strict=True)
        simulation.simulate(begins, durations, simulation.Quota(10))
    assert sum(1800.0 < call < 5400.0 for call in calls) >= 0.98 * 10 * 12 * seeds


def test_burst_of_short_trims_of_one_task_does_not_wait_for_the_long_ones_of_another() -> None:
    """40 of 12 s during a steady 40 of 10 min; where tasks are not distinguished, a minute goes by."""
    chance = random.Random(1)
    trims = [(900.0 + chance.uniform(0.0, 20.0), 12.0 * chance.lognormvariate(0.0, 0.6), "short") for _ in range(40)]
    for _ in range(40):
        begin = chance.uniform(0.0, 60.0)
        while begin < 1200.0:
            trims.append((begin, 600.0 * chance.lognormvariate(0.0, 0.6), "long"))
            begin += trims[-1][1]
    begins, durations, kinds = zip(*sorted(trims), strict=True)
    delays = simulation.simulate(begins, durations, simulation.Quota(300), kinds=kinds)
    assert statistics.mean(delay for delay, kind in zip(delays, kinds, strict=True) if kind == "short") < 30.0


def test_durations_that_are_known_later_do_not_make_a_burst_a_steady_load() -> None:
    """A poller knows its account when it has loaded its connection, which is after the burst has come."""
    durations = AccountDurations()
    schedule = Schedule(ExpectedDelayPolicy())
    schedule.set_quota(300, 300.0)
    for number in range(40):
        put(schedule, str(number), NOW, interval=5.0)
    assert schedule.next_due_at() is not None
    schedule.use(durations)
    key = schedule.pop_due(NOW + 30.0)
    assert key is not None
    schedule.record(key, NOW + 30.0, finished=True)
    schedule.discard(key)
    assert schedule.next_due_at() is not None
    assert durations.all.finished == 1.0
    assert durations.all.replaced < 0.1


def test_finished_trim_that_waits_for_its_verdict_has_not_been_replaced() -> None:
    """The schedule is asked what is next between the response that shows it and the end of its wait."""
    durations = AccountDurations()
    schedule = Schedule(ExpectedDelayPolicy(durations))
    schedule.set_quota(300, 300.0)
    for number in range(40):
        put(schedule, str(number), NOW, interval=5.0)
    schedule.next_due_at()
    for number in range(3):
        schedule.record(str(number), NOW + 6, finished=True)
        schedule.next_due_at()
        schedule.discard(str(number))
        schedule.next_due_at()
    assert durations.all.finished > 2.5
    assert durations.all.replaced < 0.1


def test_as_many_kinds_as_trims_are_planned() -> None:
    schedule = Schedule(ExpectedDelayPolicy())
    schedule.set_quota(30, 300.0)
    for number in range(60):
        put(schedule, str(number), NOW, kind=f"task {number}")
    now, found = NOW, 0
    while len(schedule):
        now = max(now + 1.0, schedule.next_due_at())
        key = schedule.pop_due(now)
        schedule.record(key, now, finished=True)
        schedule.discard(key)
        found += 1
    assert found == 60


@pytest.mark.parametrize("horizon", [3600.0, pytest.param(9000.0, marks=pytest.mark.full)])
def test_the_price_does_not_follow_each_trim(horizon: float) -> None:
    """150 trims at a time that all take about four minutes: the few that are nearly done ask for most of the calls."""
    generator = random.Random(1)
    trims = []
    for _ in range(150):
        begin = generator.uniform(0.0, 240.0)
        while begin < horizon:
            duration = 240.0 * generator.lognormvariate(0.0, 0.05)
            trims.append((begin, duration))
            begin += duration
    begins, durations = zip(*sorted(trims), strict=True)
    delays = simulation.simulate(begins, durations, simulation.Quota(300))
    # No policy that knows the distribution is below 8.4 s; a price that follows each trim comes to 14 s or more.
    assert statistics.mean(delays[len(delays) // 2 :]) < 13.0


_STRETCH = st.floats(0.0, 2000.0)


@settings(max_examples=settings.default.max_examples // 2)
@given(
    trims=st.lists(
        st.tuples(_STRETCH, st.floats(0.5, 60.0), st.floats(1.0, 1500.0), st.none() | st.floats(1.0, 3000.0), _STRETCH),
        min_size=1,
        max_size=60,
    ),
    calls=st.integers(1, 60),
)
def test_invariants_hold_under_any_load(trims: list[Any], calls: int) -> None:
    """Intervals and first polls are kept, last polls are made, no trim is forgotten, no trim starves."""
    schedule, window = Schedule(ExpectedDelayPolicy()), 300.0
    schedule.set_quota(calls, window)
    begins = sorted((begin, number) for number, (begin, *_) in enumerate(trims))
    polls: dict[int, list[float]] = {number: [] for number in range(len(trims))}
    times: list[float] = []
    now, finished = 0.0, set()
    while len(finished) < len(trims):
        due = schedule.next_due_at()
        free = times[-calls] + window if len(times) >= calls else 0.0
        poll = math.inf if due is None else max(due, free, now)
        if begins and begins[0][0] <= poll:
            now, number = heapq.heappop(begins)
            begin, interval, _, time_limit, first = trims[number]
            deadline = None if time_limit is None else begin + time_limit
            schedule.upsert(
                str(number), started_at=begin, interval=interval, not_before=begin + first, deadline=deadline
            )
            continue
        assert math.isfinite(poll), "a trim waits, and none is due"
        now = poll
        key = schedule.pop_due(now)
        if key is None:
            continue
        number = int(key)
        begin, interval, duration, time_limit, first = trims[number]
        last_poll = time_limit is not None and now >= begin + time_limit
        assert now >= begin + first or last_poll
        assert not polls[number] or now >= polls[number][-1] + interval - 1e-6 or last_poll
        polls[number].append(now)
        times.append(now)
        done = now >= begin + duration or last_poll
        schedule.record(key, now, finished=done)
        if done:
            finished.add(number)
            schedule.discard(key)
        else:
            deadline = None if time_limit is None else begin + time_limit
            schedule.upsert(key, started_at=begin, interval=interval, not_before=now + interval, deadline=deadline)
    assert len(schedule) == 0
    rounds = (len(trims) + 1) * window / calls
    for number, seen in polls.items():
        begin, interval, duration, time_limit, first = trims[number]
        end = begin + (duration if time_limit is None else min(duration, time_limit))
        # At most an hour without a poll, plus a turn for all others.
        assert seen[-1] <= max(end, begin + first) + MAX_POLL_INTERVAL + interval + rounds + window
        if time_limit is not None:
            assert seen[-1] <= begin + time_limit + rounds + window


@settings(max_examples=settings.default.max_examples // 3)
@given(seed=st.integers(0, 2**32), calls=st.integers(1, 40), seconds=st.integers(5, 300), size=st.integers(1, 120))
def test_the_quota_holds_at_the_service(seed: int, calls: int, seconds: int, size: int) -> None:
    """Schedule and limiter together, with random arrivals, and calls that take up to the margin to arrive."""
    chance = random.Random(seed)
    connection = TrimSettings.from_connection(login=str(seed), extra={"quota": f"{calls}/{seconds} second"})
    schedule = Schedule(ExpectedDelayPolicy())
    schedule.set_quota(calls, float(seconds))
    for number in range(size):
        put(schedule, str(number), NOW + chance.uniform(0, seconds), interval=chance.uniform(0.5, 5.0))
    arrivals = []
    clock = Clock(NOW)
    limiter = RateLimiter(connection, clock=clock)
    while clock.now < NOW + 4 * seconds and (due := schedule.next_due_at()) is not None:
        clock.now = max(clock.now, due)
        if pause := limiter.acquire():
            clock.now += pause
            continue
        key = schedule.pop_due(clock.now)
        arrivals.append(clock.now + chance.uniform(0, WINDOW_MARGIN))
        schedule.record(key, clock.now, finished=chance.random() < 0.05)
        schedule.upsert(key, started_at=NOW, interval=1.0, not_before=clock.now + 1.0)
    arrivals.sort()
    for first, over in zip(arrivals, arrivals[calls:], strict=False):
        assert over - first >= seconds


# --- said to be done ---


@pytest.mark.parametrize("calls", [None, 300, 3])
def test_hinted_trim_is_polled_at_once_and_first(calls: int | None) -> None:
    """Ahead of those that wait for their turn under a scarce quota, and of its own time."""
    schedule = Schedule(ExpectedDelayPolicy())
    schedule.set_quota(calls, 300.0)
    for number in range(500):
        put(schedule, f"t{number}", NOW, started_at=NOW - 600)
    put(schedule, "done", NOW, not_before=NOW + 3600, deadline=NOW + 7200)
    schedule.expedite("done", NOW)
    assert schedule.next_due_at() == NOW
    assert schedule.pop_due(NOW) == "done"
    assert schedule.pop_due(NOW) != "done"


def test_hinted_trim_stays_first_when_another_waiter_joins() -> None:
    schedule = Schedule(ExpectedDelayPolicy())
    put(schedule, "done", NOW, not_before=NOW + 3600)
    schedule.expedite("done", NOW)
    put(schedule, "done", NOW, not_before=NOW + 1800)
    assert picked(schedule, NOW) == ["done"]
    put(schedule, "done", NOW, not_before=NOW + 10, deadline=NOW + 20)
    assert picked(schedule, NOW) == []
    assert schedule.next_due_at() == NOW + 10


def test_hint_about_a_trim_that_is_polled_or_unknown_is_ignored() -> None:
    schedule = Schedule(ExpectedDelayPolicy())
    put(schedule, "asked", NOW)
    assert picked(schedule, NOW) == ["asked"]
    schedule.expedite("asked", NOW)
    schedule.expedite("unknown", NOW)
    assert picked(schedule, NOW + 100) == []


def test_a_plan_is_checked_once_for_a_poll_and_again_when_something_has_changed() -> None:
    class CountingPolicy(RoundRobinPolicy):
        checks = 0

        def replan(self, trims: Any, budget: Any) -> bool:
            CountingPolicy.checks += 1
            return super().replan(trims, budget)

    def checked(now: float) -> int:
        before = CountingPolicy.checks
        schedule.settle(now)
        schedule.next_due_at()
        schedule.settle(now)
        return CountingPolicy.checks - before

    schedule = Schedule(CountingPolicy())
    schedule.set_quota(10, 300.0)
    for key in ("a", "b"):
        put(schedule, key, NOW)
    assert checked(NOW) > 0
    assert checked(NOW) == checked(NOW + 0.0005) == 0
    for change in (
        lambda: schedule.set_quota(20, 300.0),
        lambda: schedule.use(AccountDurations()),
        lambda: put(schedule, "c", NOW),
        lambda: schedule.expedite("c", NOW),
        lambda: schedule.record("c", NOW, finished=False),
        lambda: schedule.discard("c"),
        lambda: schedule.pop_due(NOW),
    ):
        change()
        assert checked(NOW) > 0
    assert checked(NOW + 1.0) > 0


def test_trim_that_is_due_and_cannot_be_polled_costs_no_call() -> None:
    """While the connection can't be loaded, say: the calls are still there after that."""
    schedule = Schedule(RoundRobinPolicy())
    schedule.set_quota(10, 300.0)
    for number in range(50):
        put(schedule, str(number), NOW)
    times = []
    for second in range(0, 3000, 10):
        key = schedule.pop_due(NOW + second, call=False)
        assert key is not None
        put(schedule, key, NOW, not_before=NOW)
    assert schedule.next_due_at() == NOW
    for number in range(3):
        times.append(schedule.next_due_at())
        assert schedule.pop_due(NOW + 3000 + 30 * number) is not None
    assert times == [NOW, NOW + 3030, NOW + 3060]


# --- a policy that fails ---


class FaultyPolicy(ExpectedDelayPolicy):
    """A policy of which one response is wrong, or an exception.

    :param method: that gives it
    """

    def __init__(self, method: str, response: float | Exception) -> None:
        super().__init__()
        self.asked = 0

        def fail(*_: Any) -> float:
            self.asked += 1
            if isinstance(response, Exception):
                raise response
            return response

        setattr(self, method, fail)


METHODS = ["replan", "due_at", "next_at"]


@pytest.mark.parametrize("calls", [None, 30])
@pytest.mark.parametrize("response", [LookupError("a bug"), math.nan], ids=["raises", "nan"])
@pytest.mark.parametrize("method", METHODS)
def test_policy_that_fails_is_replaced_by_round_robin(
    method: str, response: float | Exception, calls: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked once, and no trim is lost."""
    policy, size = FaultyPolicy(method, response), 100
    schedule = Schedule(policy)
    schedule.set_quota(calls, 300.0)
    for number in range(size):
        put(schedule, str(number), NOW)
    polled = [key for second in range(3000) if (key := schedule.pop_due(NOW + second)) is not None]
    polled += picked(schedule, NOW + 3000)
    assert sorted(polled, key=int) == [str(number) for number in range(size)]
    assert policy.asked == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_policy_that_fails_to_learn_is_replaced_as_well() -> None:
    policy = FaultyPolicy("observe", LookupError("a bug"))
    schedule = Schedule(policy)
    schedule.set_quota(300, 300.0)
    put(schedule, "a", NOW)
    assert schedule.pop_due(NOW) == "a"
    for _ in range(3):
        schedule.record("a", NOW, finished=False)
    put(schedule, "a", NOW, not_before=NOW + 10)
    assert picked(schedule, NOW + 10) == ["a"]
    assert policy.asked == 1


@pytest.mark.parametrize("response", [-math.inf, math.inf, 0.0, 1e300])
@pytest.mark.parametrize("method", METHODS[1:])
def test_nonsense_of_a_policy_breaks_no_interval_and_loses_no_trim(method: str, response: float) -> None:
    schedule = Schedule(FaultyPolicy(method, response))
    schedule.set_quota(30, 300.0)
    last = dict.fromkeys(map(str, range(20)), -math.inf)
    for key in last:
        put(schedule, key, NOW)
    now, polls = NOW, 0
    while polls < 300:
        due = schedule.next_due_at()
        assert due is not None
        now = max(now, due)
        key = schedule.pop_due(now)
        assert key is not None
        assert now >= last[key] + 10.0
        last[key], polls = now, polls + 1
        put(schedule, key, NOW, not_before=now + 10.0)
    assert min(last.values()) > -math.inf
    assert now <= NOW + 300 * MAX_POLL_INTERVAL


def test_round_robin_polls_the_least_recently_polled_first_at_an_even_pace() -> None:
    """The reference that the other policy is compared with."""
    schedule = Schedule(RoundRobinPolicy())
    schedule.set_quota(300, 300.0)
    for number in range(100):
        put(schedule, str(number), NOW, interval=0.1)
    now, order, times = NOW, [], []
    for _ in range(300):
        due = schedule.next_due_at()
        assert due is not None
        now = max(now, due)
        key = schedule.pop_due(now)
        assert key is not None
        order.append(int(key))
        times.append(now)
        put(schedule, key, NOW, interval=0.1, not_before=now + 0.1)
    assert order == [*range(100)] * 3
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == pytest.approx([1.0] * 299)


def test_round_robin_polls_at_the_interval_where_calls_are_to_spare() -> None:
    schedule = Schedule(RoundRobinPolicy())
    schedule.set_quota(300, 300.0)
    put(schedule, "a", NOW, not_before=NOW + 10)
    assert schedule.next_due_at() == NOW + 10
