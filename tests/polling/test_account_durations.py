# SPDX-License-Identifier: Apache-2.0
"""What is learned of an account's trims, of all and of each kind."""

from __future__ import annotations

import json

import pytest

from airflow_provider_trim.polling.account_durations import MAX_DUMP, MAX_KINDS, AccountDurations
from airflow_provider_trim.ratelimit.shared_knowledge import MAX_TEXT


def teach(durations: AccountDurations, kind: str | None, seconds: float, trims: int = 30) -> None:
    models = {id(model): model for model in (durations.of(kind), durations.all)}
    for model in models.values():
        for _ in range(trims):
            model.observe(0.0, seconds * 0.95, finished=False)
            model.observe(seconds * 0.95, seconds, finished=True)
            model.count_replaced(0, 1, 0)
            model.recompute()


def survival(durations: AccountDurations, kind: str | None, age: float) -> float:
    model = durations.of(kind)
    model.recompute()
    return model.survival_at(age)


def test_kinds_are_distinguished() -> None:
    durations = AccountDurations()
    teach(durations, "short", 10.0)
    teach(durations, "long", 600.0)
    assert survival(durations, "short", 20.0) < 0.1
    assert survival(durations, "long", 500.0) > 0.9
    assert 0.3 < survival(durations, None, 100.0) < 0.7


def test_a_kind_that_is_new_is_expected_to_be_like_the_others() -> None:
    durations = AccountDurations()
    before = survival(durations, "new", 30.0)
    teach(durations, "known", 10.0)
    assert survival(durations, "another new one", 30.0) < before - 0.2


def test_a_few_polls_tell_that_a_kind_is_unlike_the_others() -> None:
    """The first trim of it is done after 5 s, where all others took 600 s: the next are soon worth a poll."""
    durations = AccountDurations()
    teach(durations, "known", 600.0)
    before = survival(durations, "new", 60.0)
    durations.of("new").observe(0.0, 5.0, finished=True)
    assert survival(durations, "new", 60.0) < before - 0.2


def test_what_is_known_of_kinds_can_be_passed_on() -> None:
    durations, other = AccountDurations(), AccountDurations()
    teach(durations, "short", 10.0)
    teach(durations, "long", 600.0)
    teach(other, "short", 20.0, trims=49)
    text = durations.dump()
    assert other.load(text)
    assert survival(other, "long", 500.0) > 0.9
    assert survival(other, "short", 15.0) > 0.9, "it has seen more of these itself"
    assert json.loads(text).keys() == {"all", "kinds"}


def test_kinds_are_bounded_and_the_most_recent_ones_are_kept() -> None:
    durations, other = AccountDurations(), AccountDurations()
    for number in range(3 * MAX_KINDS):
        teach(durations, f"{number}-{'x' * 300}", 10.0 + number, trims=1)
    text = durations.dump()
    assert 5_000 < len(text) <= MAX_DUMP < MAX_TEXT
    kinds = list(json.loads(text)["kinds"])
    assert 5 < len(kinds) <= MAX_KINDS
    assert kinds[0].startswith(f"{3 * MAX_KINDS - 1}-")
    assert other.load(text)


def test_a_kind_of_any_name_is_accepted() -> None:
    durations = AccountDurations()
    assert durations.of("x" * 10_000) is durations.all
    teach(durations, "Grüße 🎬 \ud800", 10.0)
    assert AccountDurations().load(durations.dump())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"all": 7, "kinds": {}}',
        '{"all": [1, 2], "kinds": {}}',
        '{"all": [0, 0, 0], "kinds": 7}',
        '{"all": [0, 0, 0], "kinds": {"a": [1, "x"]}}',
        '{"all": [500, 0, 0, 1, 1], "kinds": {}}',
        '{"all": [0, 0, 0, NaN, 1], "kinds": {}}',
        '{"all": [0, 0, Infinity], "kinds": {}}',
    ],
)
def test_what_is_no_knowledge_changes_nothing(text: str) -> None:
    durations = AccountDurations()
    teach(durations, "a", 10.0)
    before = durations.dump()
    assert not durations.load(text)
    assert durations.dump() == before
