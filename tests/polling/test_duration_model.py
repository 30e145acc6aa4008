# SPDX-License-Identifier: Apache-2.0
"""What is learned of how long trims take."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_trim.polling.duration_model import AGES, DurationModel
from airflow_provider_trim.polling.poll_ages import EarlyAges, PollAges, PollsMade


def median(model: DurationModel) -> float:
    return next(age for age in AGES if model.survival_at(age) <= 0.5)


def teach(model: DurationModel, duration: float, polls: int = 4, longest: float = 900.0) -> None:
    """Poll a trim a few times at random, as a scheduler would."""
    last = 0.0
    for age in sorted(random.uniform(0, longest) for _ in range(polls)):
        model.observe(last, age, finished=duration <= age)
        if duration <= age:
            return
        last = age


def test_prior_leaves_seconds_and_hours_possible() -> None:
    model = DurationModel()
    assert model.survival_at(0) == 1
    assert 0.90 < model.survival_at(4) < 0.99
    assert 0.02 < model.survival_at(3600) < 0.10


@pytest.mark.parametrize(("shortest", "longest"), [(10, 30), (230, 250), (500, 700)])
def test_estimate_adapts_to_observations(shortest: float, longest: float) -> None:
    """From polls that only say between which two of them a trim ended."""
    random.seed(7)
    model = DurationModel()
    for _ in range(300):
        teach(model, random.uniform(shortest, longest), polls=12, longest=3.0 * longest)
    model.recompute()
    assert shortest * 0.8 < median(model) < longest * 1.2
    assert model.survival_at(shortest / 2) > 0.9
    assert model.survival_at(longest * 2) < 0.1


def test_bimodal_distribution_is_learned() -> None:
    random.seed(7)
    model = DurationModel()
    for _ in range(400):
        teach(model, random.choice([60.0, 60.0, 420.0]), polls=15, longest=600)
        model.recompute()
    assert model.survival_at(40) > 0.95
    assert model.survival_at(150) == pytest.approx(1 / 3, abs=0.08)
    assert model.survival_at(300) == pytest.approx(1 / 3, abs=0.1)
    assert model.survival_at(600) < 0.1


def test_unfinished_trims_count_as_observations() -> None:
    model = DurationModel()
    for _ in range(100):
        model.observe(0.0, 300.0, finished=False)
    model.recompute()
    assert median(model) > 300


def test_nothing_counts_before_it_is_refreshed() -> None:
    model = DurationModel()
    before = median(model)
    for _ in range(100):
        model.observe(0.0, 300.0, finished=False)
    assert median(model) == before


def test_higher_price_delays_the_poll() -> None:
    model = DurationModel()
    cheap, dear = (PollAges(model, price, 300.0) for price in (1.0, 100.0))
    assert all(cheap.at(index) <= dear.at(index) for index in range(len(AGES)))
    assert cheap.at(0) < 60 < dear.at(0)


def test_a_poll_is_most_productive_where_the_chance_of_success_grows_no_faster_than_the_window_passes() -> None:
    model = DurationModel(median=120.0, sigma=0.8, weight=10.0)
    early = EarlyAges(model, PollAges(model, 1.0, 300.0), 300.0)
    for index, age in enumerate(AGES[:-1]):
        best = early.most_productive(index)
        gain = {t: 1.0 - model.survival_at(t) / model.survival_at(age) - (t - age) / 300.0 for t in AGES[index:]}
        assert gain[best] == pytest.approx(max(gain.values()))


@pytest.mark.parametrize("price", [0.1, 10.0, 1000.0])
def test_polls_made_are_those_of_a_walk_over_the_ages_of_polls(price: float) -> None:
    model = DurationModel(median=120.0, sigma=0.8, weight=10.0)
    polls, interval = PollAges(model, price, 300.0), 5.0
    age = expected = 0.0
    while age < 600.0:
        expected += model.survival_at(age)
        age = max(polls.after(age), age + interval)
    made = PollsMade(polls, model.survival, interval, 0.0, age)
    assert made.by(age) == pytest.approx(expected, rel=0.05)


def test_poll_is_due_when_the_expected_delay_reaches_the_limit_at_any_price() -> None:
    model = DurationModel()
    expected, age = 0.0, 0.0
    while expected < 30.0:
        age += 0.1
        expected += (1 - model.survival_at(age)) * 0.1
    assert PollAges(model, 1e9, 30.0).at(0) == pytest.approx(age, rel=0.05)


@given(
    polls=st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6), st.booleans()), max_size=60),
    price=st.floats(0.1, 1e4),
    limit=st.floats(1, 1e4),
)
def test_any_observations_leave_a_distribution(
    polls: list[tuple[float, float, bool]], price: float, limit: float
) -> None:
    model = DurationModel()
    for start, length, finished in polls:
        model.observe(start, start + length, finished)
    model.recompute()
    survival = [model.survival_at(age) for age in AGES]
    assert survival[0] == 1
    assert all(0 <= later <= earlier for earlier, later in itertools.pairwise(survival))
    polls = PollAges(model, price, limit)
    assert all(age <= polls.at(index) <= AGES[-1] for index, age in enumerate(AGES))
    made = PollsMade(polls, model.survival, 5.0, 0.0, AGES[-1])
    assert all(0 <= made.by(a) <= made.by(b) < math.inf for a, b in itertools.pairwise(AGES))


@given(polls=st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e5), st.booleans()), max_size=20))
@example([(0.0, 5e-324, True)])
def test_what_was_learned_can_be_passed_on(polls: list[tuple[float, float, bool]]) -> None:
    model, other = DurationModel(), DurationModel()
    for start, length, finished in polls:
        model.observe(start, start + length, finished)
        model.count_replaced(1, finished, 0)
    model.recompute()
    text = model.dump()
    assert len(text) < 8_000
    assert other.load(text)
    assert [other.survival_at(age) for age in AGES] == pytest.approx(
        [model.survival_at(age) for age in AGES], rel=0.05, abs=0.01
    )
    assert other.replaced == pytest.approx(model.replaced, rel=0.01)
    assert other.finished == pytest.approx(model.finished, rel=0.01)
