# SPDX-License-Identifier: Apache-2.0
"""An operator's numbers are checked when the DAG is read, mapped or not, wherever they come from."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from airflow_provider_trim.operators.trim import TrimVideoInfoOperator, TrimVideoOperator
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from airflow_provider_trim.waiting.options import MAX_SECONDS, to_failure_limit, to_reusable, to_seconds
from tests.support.running import AIRFLOW_3_0, DAG, TaskGroup, task

CLIP = {"video_id": "V", "seek_start": 0, "duration": 1, "filename": "f"}
OPERATORS = {
    TrimTaskStatusSensor: ("poke_interval", {"trans_no": "T"}),
    TrimVideoInfoOperator: ("poll_interval", {"trans_no": "T"}),
    TrimVideoOperator: ("poll_interval", CLIP),
}
WRONG = ["10", math.nan, math.inf, -1, 10**12, True, [10], timedelta(seconds=-1), timedelta.max, "{{ params.x }}"]


@pytest.fixture(params=["arguments", "default_args", "dag", "group"])
def given(request: pytest.FixtureRequest) -> str:
    """Where arguments come from."""
    return str(request.param)


@pytest.fixture(params=["unmapped", "mapped"])
def make(request: pytest.FixtureRequest, given: str) -> Any:
    """Make a task as it stands in a DAG."""

    def make(kind: Any, required: dict[str, Any], **arguments: Any) -> Any:
        own = {"arguments": arguments, "default_args": {"default_args": arguments}}.get(given, {})
        with (
            DAG("options", schedule=None, default_args=arguments if given == "dag" else {}),
            TaskGroup("group", default_args=arguments if given == "group" else {}),
        ):
            if request.param == "unmapped":
                return kind(task_id="t", **required, **own)
            return kind.partial(task_id="t", **own).expand(**{name: [value] for name, value in required.items()})

    return make


@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", ["interval", "timeout", "first_poll_after"])
def test_a_wrong_duration_fails_the_import(kind: Any, name: str, make: Any) -> None:
    interval, required = OPERATORS[kind]
    name = interval if name == "interval" else name
    for value in WRONG:
        with pytest.raises(ValueError, match=rf"^{name} must be .*, not "):
            make(kind, required, **{name: value})


@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
def test_a_wrong_limit_fails_the_import(kind: Any, make: Any) -> None:
    for value in ("3", 0, -1, 1.5, True, math.inf):
        with pytest.raises(ValueError, match=r"^max_consecutive_failures must be an integer of at least 1, or None"):
            make(kind, OPERATORS[kind][1], max_consecutive_failures=value)


@pytest.mark.parametrize("kind", [TrimTaskStatusSensor, TrimVideoInfoOperator], ids=lambda kind: kind.__name__)
def test_a_wrong_policy_fails_the_import(kind: Any, make: Any) -> None:
    with pytest.raises(ValueError, match=r"^on_failure must be 'fail', 'collect' or 'ignore', not 'skip'"):
        make(kind, {"trans_no": "T"}, on_failure="skip")


FLAGS = {
    TrimTaskStatusSensor: ["deferrable", "start_from_trigger", "finish_in_triggerer"],
    TrimVideoInfoOperator: ["deferrable", "wait_for_completion"],
    TrimVideoOperator: ["deferrable", "wait_for_completion", "reuse_finished", "use_callback"],
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in FLAGS.items() for name in names])
def test_a_wrong_switch_fails_the_import(kind: Any, name: str, make: Any) -> None:
    """A text would count as True, whatever it says."""
    for value in ("false", "{{ params.x }}", None, 2):
        with pytest.raises(ValueError, match=rf"^{name} must be True or False, not "):
            make(kind, OPERATORS[kind][1], **{name: value})


@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
def test_what_is_right_is_taken(kind: Any, make: Any) -> None:
    interval, required = OPERATORS[kind]
    arguments = {interval: timedelta(seconds=7), "timeout": 60, "max_consecutive_failures": None}
    task = make(kind, required, **arguments)
    task = task.unmap(required) if hasattr(task, "unmap") else task
    assert (getattr(task, interval), task.timeout, task.max_consecutive_failures) == (7, 60, None)


@pytest.mark.skipif(AIRFLOW_3_0, reason="Airflow 3.0 passes all of them on to a mapped task, and then refuses it")
@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
def test_defaults_that_are_for_others_are_left_to_them(kind: Any) -> None:
    """An operator without the parameter does not see them, mapped or not."""
    interval, required = OPERATORS[kind]
    theirs = {"poke_interval" if interval == "poll_interval" else "poll_interval": "soon", "own": object()}
    with DAG("shared", schedule=None, default_args={**theirs, "timeout": 60}):
        kind(task_id="unmapped", **required)
        mapped = kind.partial(task_id="mapped", timeout=30).expand(**{name: [it] for name, it in required.items()})
    assert mapped.unmap(required).timeout == 30


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(0, 0), (2.5, 2.5), (timedelta(minutes=1), 60), (Decimal("0.5"), 0.5), (Fraction(1, 2), 0.5), (MAX_SECONDS,) * 2],
)
def test_durations(value: Any, seconds: float) -> None:
    assert to_seconds("timeout", value) == seconds
    assert type(to_seconds("timeout", value)) is float


BEYOND = [10**400, 10**5000, -(10**5000), Fraction(10**400), Decimal("sNaN"), Decimal("1e999")]
"""Numbers of which Python can't make a float, and some that it can't even write."""


@pytest.mark.parametrize("value", BEYOND, ids=["400 digits", "5000 digits", "negative", "fraction", "sNaN", "1e999"])
def test_a_number_beyond_all_floats_is_refused_by_name(value: Any) -> None:
    for name in ("poll_interval", "timeout", "first_poll_after", "max_consecutive_failures"):
        with pytest.raises(ValueError, match=rf"^{name} must be .{{,300}}$"):
            TrimVideoInfoOperator(task_id="t", trans_no="T", **{name: value})


def test_a_value_without_a_text_is_refused_by_name() -> None:
    class Silent:
        def __repr__(self) -> str:
            raise RuntimeError

    for name in ("poll_interval", "max_consecutive_failures", "deferrable", "on_failure", "execution_timeout"):
        with pytest.raises(ValueError, match=rf"^{name} must be .*, not a value of type Silent"):
            TrimVideoInfoOperator.partial(task_id="t", **{name: Silent()})


def test_a_limit_of_none_is_no_limit() -> None:
    assert (to_failure_limit(None), to_failure_limit(3)) == (None, 3)


def test_what_can_be_read_once_only_is_kept() -> None:
    """A sensor reads its argument at each poke, and a trigger's arguments are stored."""
    assert to_reusable(name for name in "ab") == ["a", "b"]
    assert to_reusable({"b", "a"}) == ["a", "b"]
    assert to_reusable("ab") == "ab"


COLLECTIONS: dict[str, Callable[[list[Any]], Any]] = {
    "iterator": iter,
    "deque": collections.deque,
    "UserList": collections.UserList,
    "values": lambda parts: dict(enumerate(parts)).values(),
    "tuple": tuple,
}
"""Kinds of collections, made of a list."""


@pytest.mark.parametrize("kind", [TrimTaskStatusSensor, TrimVideoInfoOperator], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_what_is_in_a_collection_of_any_kind_is_seen(kind: Any, collection: str) -> None:
    """Airflow finds outputs and templates in a few kinds only; it would be a green task without its dependency."""
    with DAG("collections", schedule=None):
        output = TrimVideoOperator(task_id="submit", **CLIP).output
        given = COLLECTIONS[collection]
        wait = kind(task_id="wait", trans_no=given([output, "{{ ds }}"]))
        with pytest.raises(ValueError, match=r"^trans_no must be what the task 'submit' returns, not the task"):
            kind(task_id="wrong", trans_no=given([output.operator]))
    assert wait.upstream_task_ids == {"submit"}
    wait.trans_no = [part for part in wait.trans_no if part is not output]
    wait.render_template_fields({"ds": "2026-01-01"})
    assert wait.trans_no == ["2026-01-01"]


def test_a_mappings_own_order_is_kept() -> None:
    assert to_reusable({"b": 0, "a": 1}.keys()) == ["b", "a"]


@pytest.mark.parametrize("value", [b"T", bytearray(b"T"), memoryview(b"T"), {"a": "T"}, str, None, 7])
def test_what_is_no_collection_is_left_as_it_is(value: Any) -> None:
    assert to_reusable(value) is value


def test_the_sensors_longest_interval_is_checked_too() -> None:
    with pytest.raises(ValueError, match=r"^max_wait must be "):
        TrimTaskStatusSensor(task_id="t", trans_no="T", max_wait=math.nan)


@pytest.mark.parametrize("name", ["soft_fail", "never_fail", "silent_fail", "exponential_backoff"])
def test_a_switch_of_airflows_sensors_is_no_text(name: str, make: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{name} must be True or False, not 'false'; it can't be a template"):
        make(TrimTaskStatusSensor, {"trans_no": "T"}, **{name: "false"})
    make(TrimTaskStatusSensor, {"trans_no": "T"}, **{name: None})


@pytest.mark.parametrize("kind", OPERATORS, ids=lambda kind: kind.__name__)
def test_a_task_is_not_what_it_returns(kind: Any) -> None:
    name, *others = OPERATORS[kind][1]
    rest = {other: OPERATORS[kind][1][other] for other in others}
    with DAG("outputs", schedule=None):
        submit = TrimVideoOperator(task_id="submit", **CLIP)
        mapped = TrimVideoOperator.partial(task_id="mapped").expand_kwargs([CLIP])

        @task
        def up() -> str:
            return "T"

        right = kind(task_id="right", **{name: submit.output}, **rest)
        for place, value in enumerate((submit, mapped, [submit.output, submit])):
            with pytest.raises(ValueError, match=rf"^{name} must be what the task '\w+' returns.*; write its \.output"):
                kind(task_id=f"wrong_{place}", **{name: value}, **rest)
        with pytest.raises(ValueError, match=rf"^{name} must be what the task 'submit' returns"):
            kind.partial(task_id="wrong", **rest).expand(**{name: [submit]})
        with pytest.raises(ValueError, match=rf"^{name} must be what a @task function returns.*; call it"):
            kind(task_id="function", **{name: up}, **rest)
    assert right.upstream_task_ids == {"submit"}


def test_what_other_tasks_return_is_no_number() -> None:
    with DAG("numbers", schedule=None):
        output = TrimVideoOperator(task_id="submit", **CLIP).output
        for name in ("timeout", "deferrable", "max_consecutive_failures"):
            with pytest.raises(
                ValueError, match=rf"^{name} must be .*, not what is known only when the task runs; wri"
            ):
                TrimTaskStatusSensor(task_id=name, trans_no="T", **{name: output})


def test_multiple_outputs_of_what_has_no_keys(make: Any) -> None:
    make(TrimVideoInfoOperator, {"trans_no": "T"}, multiple_outputs=True)
    make(TrimVideoOperator, CLIP, multiple_outputs=True)
    with pytest.raises(ValueError, match=r"^multiple_outputs cannot be combined with a list of transNos"):
        make(TrimVideoInfoOperator, {"trans_no": ["T"]}, multiple_outputs=True)
    with pytest.raises(ValueError, match=r"^multiple_outputs cannot be combined with wait_for_completion=False"):
        make(TrimVideoOperator, CLIP, multiple_outputs=True, wait_for_completion=False)
