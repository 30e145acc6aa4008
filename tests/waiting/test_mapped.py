# SPDX-License-Identifier: Apache-2.0
"""Literal arguments of ``expand()`` and ``expand_kwargs()`` are checked when the DAG is read, as unmapped ones are."""

from __future__ import annotations

import collections
import math
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_provider_trim.operators.trim import TrimVideoInfoOperator, TrimVideoOperator
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from tests.support.running import DAG, task

CLIP = {"video_id": "V", "seek_start": 0, "duration": 1, "filename": "f"}
KINDS: dict[Any, dict[str, Any]] = {
    TrimTaskStatusSensor: {"trans_no": "T"},
    TrimVideoInfoOperator: {"trans_no": "T"},
    TrimVideoOperator: CLIP,
}
WRONG = [
    ("timeout", "10"),
    ("timeout", -1),
    ("first_poll_after", math.nan),
    ("max_consecutive_failures", 0),
    ("max_consecutive_failures", "3"),
    ("deferrable", "false"),
    ("deferrable", None),
]
OWN_WRONG = [
    (TrimTaskStatusSensor, "poke_interval", None),
    (TrimTaskStatusSensor, "max_wait", "soon"),
    (TrimTaskStatusSensor, "on_failure", "skip"),
    (TrimTaskStatusSensor, "mode", "pok"),
    (TrimTaskStatusSensor, "start_from_trigger", "yes"),
    (TrimVideoInfoOperator, "poll_interval", None),
    (TrimVideoInfoOperator, "wait_for_completion", "no"),
    (TrimVideoOperator, "reuse_finished", None),
    *[(kind, name, value) for kind in KINDS for name, value in WRONG],
]


@pytest.fixture
def up() -> Iterator[Any]:
    """Another task's output, in a DAG that is being read."""
    with warnings.catch_warnings(), DAG("mapped", schedule=None):
        warnings.filterwarnings("error", message=".*was never mapped")

        @task
        def up() -> list[Any]:
            return []

        yield up()


@pytest.mark.parametrize(("kind", "name", "value"), OWN_WRONG)
def test_a_wrong_literal_fails_the_import(kind: Any, name: str, value: Any, up: Any) -> None:
    wrong = rf"^{name} must be .*{re.escape(repr(value))}"
    right = KINDS[kind]
    with pytest.raises(ValueError, match=rf"{wrong}.* \(expand\(\), {name}\[1\]\)$"):
        kind.partial(task_id="lists", **right).expand(**{name: [up, value]})
    with pytest.raises(ValueError, match=rf"{wrong}.* \(expand_kwargs\(\), element 1\)$"):
        kind.partial(task_id="dicts").expand_kwargs([right, {**right, name: value}, up])
    with pytest.raises(ValueError, match=wrong):
        kind.partial(task_id="partial", **{name: value})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_is_required_must_be_there(kind: Any, up: Any) -> None:
    name, *others = KINDS[kind]
    rest = {other: KINDS[kind][other] for other in others}
    for empty in (None, ""):
        with pytest.raises(ValueError, match=rf"^{name} is empty, and must be given \(expand\(\), {name}\[0\]\)"):
            kind.partial(task_id="t", **rest).expand(**{name: [empty]})
        with pytest.raises(ValueError, match=rf"^{name} is empty, and must be given \(expand_kwargs\(\), element 0\)"):
            kind.partial(task_id="t", **rest).expand_kwargs([{name: empty}])
    missing = rf"^{name} must be given, by partial\(\) or for each mapped task "
    with pytest.raises(ValueError, match=missing):
        kind.partial(task_id="t", **rest).expand(timeout=[5])
    with pytest.raises(ValueError, match=missing):
        kind.partial(task_id="t", **rest).expand_kwargs([{name: "T"}, {"timeout": 5}])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_other_tasks_return_is_checked_when_it_is_there(kind: Any, up: Any) -> None:
    name, *others = KINDS[kind]
    rest = {other: KINDS[kind][other] for other in others}
    kind.partial(task_id="lists", **rest).expand(**{name: up, "timeout": [up, None, 5]})
    kind.partial(task_id="output", **rest).expand_kwargs(up)
    dicts = kind.partial(task_id="dicts", **rest).expand_kwargs([{name: "T", "timeout": 5}, up])
    with pytest.raises(ValueError, match=r"^timeout must be a number of seconds or a timedelta, not '5'"):
        dicts.unmap({name: "T", "timeout": "5"})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_output_within_a_dict_is_never_resolved(kind: Any, up: Any) -> None:
    """Airflow gives the task the XComArg itself, which no operator can work with."""
    name, *others = KINDS[kind]
    rest = {other: KINDS[kind][other] for other in others}
    words = rf"^{name} is another task's output, .*; write expand\({name}=…\), or .* \(expand_kwargs\(\), element 1\)$"
    with pytest.raises(ValueError, match=words):
        kind.partial(task_id="t", **rest).expand_kwargs([{name: "T"}, {name: up}])


def test_a_name_that_is_no_arguments(up: Any) -> None:
    """Airflow finds it when the task runs."""
    partial = TrimVideoOperator.partial(task_id="t", video_id="V")
    with pytest.raises(
        ValueError, match=r"^'file_name' is no argument of TrimVideoOperator; remove it, or write 'filename' "
    ):
        partial.expand_kwargs([up, {"seek_start": 0, "duration": 1, "file_name": "f"}])


def test_what_is_given_twice() -> None:
    given = {**CLIP, "timeout": 5}
    with pytest.raises(
        ValueError, match=r"^timeout is given by partial\(\) as well, or can't be mapped; remove it here \(expand_kw"
    ):
        TrimVideoOperator.partial(task_id="t", timeout=5).expand_kwargs([given])
    with DAG("twice", schedule=None):
        mapped = TrimVideoOperator.partial(task_id="t", timeout=9).expand_kwargs([given], strict=False)
        assert mapped.unmap(given).timeout == 5


def test_a_default_is_mapped_over() -> None:
    with DAG("defaults", schedule=None):
        partial = TrimTaskStatusSensor.partial(task_id="t", default_args={"timeout": 9, "on_failure": "collect"})
        unmapped = partial.expand(trans_no=["T"], timeout=[5]).unmap({"trans_no": "T", "timeout": 5})
    assert (unmapped.timeout, unmapped.on_failure) == (5, "collect")


def test_a_default_is_overridden_by_some() -> None:
    with DAG("some", schedule=None):
        partial = TrimTaskStatusSensor.partial(task_id="t", default_args={"timeout": 9, "on_failure": "collect"})
        mapped = partial.expand_kwargs([{"trans_no": "T", "timeout": 5}, {"trans_no": "U"}])
    first, second = (mapped.unmap(arguments) for arguments in mapped.expand_input.value)
    assert (first.timeout, first.on_failure) == (5, "collect")
    assert (second.timeout, second.on_failure) == (9, "collect")


def test_what_cannot_be_combined() -> None:
    partial = TrimTaskStatusSensor.partial(task_id="t", finish_in_triggerer=True)
    with pytest.raises(ValueError, match=r"^outlets cannot be combined with finish_in_triggerer"):
        partial.expand_kwargs([{"trans_no": "T", "outlets": ["x"]}], strict=False)
    partial = TrimTaskStatusSensor.partial(task_id="t", soft_fail=True)
    with pytest.raises(ValueError, match=r"^soft_fail cannot be combined with never_fail; remove one of them"):
        partial.expand(trans_no=["T"], never_fail=[True])


class _Naming(TrimTaskStatusSensor):
    """Makes its transNo of something else."""

    def __init__(self, *, clip: str, **kwargs: Any) -> None:
        super().__init__(trans_no=f"clip-{clip}", **kwargs)


def test_a_subclass_that_gives_an_argument_itself() -> None:
    with DAG("subclass", schedule=None):
        mapped = _Naming.partial(task_id="t").expand_kwargs([{"clip": "1"}])
        assert mapped.unmap({"clip": "1"}).trans_no == "clip-1"
    with pytest.raises(ValueError, match=r"^clip must be given"):
        _Naming.partial(task_id="t").expand(timeout=[5])


class _Reading(TrimTaskStatusSensor):
    """Knows by itself what its arguments may be."""

    def __init__(self, *, bucket: str | None, timeout: str, **kwargs: Any) -> None:
        super().__init__(timeout=float(timeout.removesuffix("s")), **kwargs)
        self.bucket = bucket


def test_a_subclass_decides_what_its_own_parameters_may_be() -> None:
    given = {"trans_no": "T", "bucket": None, "timeout": "9s"}
    with DAG("own", schedule=None):
        assert _Reading.partial(task_id="a").expand_kwargs([given]).unmap(given).timeout == 9
        partial = _Reading.partial(task_id="b", bucket=None, timeout="9s")
        assert partial.expand(trans_no=["T"]).unmap({"trans_no": "T"}).bucket is None
    with pytest.raises(ValueError, match=r"^bucket must be given"):
        _Reading.partial(task_id="c", timeout="9s").expand(trans_no=["T"])


def test_airflows_own_limit_is_checked_too() -> None:
    with pytest.raises(ValueError, match=r"^execution_timeout must be a timedelta, not 30$"):
        TrimVideoInfoOperator.partial(task_id="t", execution_timeout=30)


def _once() -> Iterator[str]:
    """Return what can be read once only."""
    return (name for name in ("clip-1", "clip-2"))


@pytest.mark.parametrize("kind", [TrimTaskStatusSensor, TrimVideoInfoOperator], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("given", ["partial()", "default_args", "expand()", "expand_kwargs()"])
def test_what_can_be_read_once_only_is_there_for_all(kind: Any, given: str) -> None:
    """Else the first task would take all of it, and the others be green with nothing."""
    with DAG("once", schedule=None):
        if given == "partial()":
            mapped = kind.partial(task_id="t", trans_no=_once()).expand(timeout=[5, 6])
        elif given == "default_args":
            mapped = kind.partial(task_id="t", default_args={"trans_no": _once()}).expand(timeout=[5, 6])
        elif given == "expand()":
            mapped = kind.partial(task_id="t").expand(trans_no=["T", _once()])
        else:
            mapped = kind.partial(task_id="t").expand_kwargs([{"trans_no": _once()}])
    if given.startswith("expand"):
        shown = mapped.expand_input.value
        assert shown == ([{"trans_no": _clips()}] if "kwargs" in given else {"trans_no": ["T", _clips()]})
    else:
        tasks = [mapped.unmap({"timeout": timeout}) for timeout in (5, 6)]
        assert [task.trans_no for task in tasks] == [_clips(), _clips()]


def _clips() -> list[str]:
    return ["clip-1", "clip-2"]


def test_a_collection_of_outputs_is_seen(up: Any) -> None:
    mapped = TrimTaskStatusSensor.partial(task_id="t", trans_no={"a": up}.values()).expand(timeout=[5])
    assert mapped.upstream_task_ids == {"up"}
    mapped = TrimTaskStatusSensor.partial(task_id="u").expand(trans_no=collections.deque(["T", up]))
    assert mapped.upstream_task_ids == {"up"}


def test_multiple_outputs_of_a_collection_in_expand() -> None:
    partial = TrimTaskStatusSensor.partial(task_id="t", multiple_outputs=True)
    with pytest.raises(ValueError, match=r"^multiple_outputs cannot be combined with a list .* \(expand\(\), trans_no"):
        partial.expand(trans_no=["T", _once()])
