# SPDX-License-Identifier: Apache-2.0
"""Waits without workers: what can't work is said when the DAG is read, and times don't move with the triggerer."""

from __future__ import annotations

import datetime
import math
import time
from typing import Any

import pendulum
import pytest

from airflow_provider_trim.compat import AirflowFailException, BaseOperator
from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.polling.verdicts import Success, TimedOut
from airflow_provider_trim.sensors.triggerer_templates import ARE_RENDERED
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from airflow_provider_trim.triggers.payload import decode_event
from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger
from airflow_provider_trim.waiting.options import DEFERRAL_TIMEOUT_MARGIN
from airflow_provider_trim.waiting.trans_nos import TransNos
from tests.support.running import DAG, Asset, task, task_group
from tests.support.waits import TaskDeferred, TaskInstance, run_trigger

where_rendered = pytest.mark.skipif(not ARE_RENDERED, reason="this Airflow renders no templates of such a wait")
where_not_rendered = pytest.mark.skipif(ARE_RENDERED, reason="this Airflow renders templates of such a wait")


def sensor(**arguments: Any) -> TrimTaskStatusSensor:
    return TrimTaskStatusSensor(**{"task_id": "wait", "trans_no": "T", "start_from_trigger": True, **arguments})


@where_rendered
@pytest.mark.parametrize("trans_no", ["{{ ti.xcom_pull(task_ids='up') }}", ["T", "{{ ti.xcom_pull('up') }}"]])
def test_a_pull_that_would_hang(trans_no: Any) -> None:
    with pytest.raises(ValueError, match=r"^trans_no .* write xcom_pull\(task_ids=…, map_indexes=-1\)$"):
        sensor(trans_no=trans_no)
    assert sensor(trans_no="{{ ti.xcom_pull('up', map_indexes=-1) }}").deferrable


@where_not_rendered
@pytest.mark.parametrize("trans_no", ["{{ params.trans_no }}", "T{# a comment #}", "{% if ds %}T{% endif %}", "{{ ds"])
def test_a_template_that_would_not_be_rendered(trans_no: str) -> None:
    with pytest.raises(ValueError, match=r"write deferrable=True instead of start_from_trigger=True$"):
        sensor(trans_no=trans_no)


@where_not_rendered
def test_a_template_with_delimiters_of_the_dags_own_would_not_be_rendered() -> None:
    settings = {"variable_start_string": "<<", "variable_end_string": ">>"}
    with DAG("delimiters", schedule=None, jinja_environment_kwargs=settings):
        with pytest.raises(ValueError, match=r"^trans_no .* cannot be a template on Airflow "):
            sensor(trans_no="<< ds >>")
        assert sensor(task_id="text", trans_no="{{").start_trigger_args


def test_another_tasks_output() -> None:
    @task
    def up() -> str:
        return "T"

    instead = r"map_indexes=-1\)" if ARE_RENDERED else "deferrable=True"
    with DAG("output", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")):
        output = up()
        with pytest.raises(ValueError, match=rf"^trans_no .* cannot be another task's output: .*{instead}"):
            sensor(trans_no=output)
        with pytest.raises(ValueError, match=r"^trans_no"):
            sensor(task_id="another", trans_no=["T", output])


class WithPostExecute(TrimTaskStatusSensor):
    def post_execute(self, context: Any, result: Any = None) -> None:
        pass


class WithPreExecute(TrimTaskStatusSensor):
    def pre_execute(self, context: Any) -> None:
        pass


class WithExecuteComplete(TrimTaskStatusSensor):
    def execute_complete(self, context: Any, event: Any = None, trans_no: Any = None) -> Any:
        return None


class WithExecute(TrimTaskStatusSensor):
    def execute(self, context: Any) -> Any:
        return None


class WithTemplateField(TrimTaskStatusSensor):
    template_fields = (*TrimTaskStatusSensor.template_fields, "own")

    def __init__(self, *, own: Any, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.own = own


ONLY_A_WORKER: list[dict[str, Any]] = [
    {"outlets": [Asset("trim://clips")]},
    {"on_success_callback": print},
    {"do_xcom_push": False},
    {"multiple_outputs": True},
    {"post_execute": print},
]
names_of = "".join


@pytest.mark.parametrize("asked_for", ONLY_A_WORKER, ids=names_of)
def test_what_only_a_worker_does_at_the_end(asked_for: dict[str, Any]) -> None:
    """It would silently be left out, and a task downstream get None, all green."""
    (name,) = asked_for
    refused = pytest.raises(ValueError, match=rf"^{name}(=False)? cannot be combined with finish_in_triggerer")
    with refused:
        sensor(finish_in_triggerer=True, **asked_for)
    with refused:
        sensor(start_from_trigger=False, finish_in_triggerer=True, **asked_for)
    with refused:
        TrimTaskStatusSensor.partial(task_id="wait", finish_in_triggerer=True, **asked_for)
    assert sensor(**asked_for).start_trigger_args


def test_a_hook_of_a_subclass_is_seen() -> None:
    with pytest.raises(ValueError, match=r"^post_execute cannot be combined"):
        WithPostExecute(task_id="wait", trans_no="T", finish_in_triggerer=True)
    with pytest.raises(ValueError, match=r"^pre_execute cannot be combined"):
        WithPreExecute(task_id="wait", trans_no="T", finish_in_triggerer=True, start_from_trigger=True)
    with pytest.raises(ValueError, match=r"^execute_complete cannot be combined with finish_in_triggerer"):
        WithExecuteComplete.partial(task_id="wait", finish_in_triggerer=True)
    with pytest.raises(ValueError, match=r"^execute cannot be combined with start_from_trigger"):
        WithExecute(task_id="wait", trans_no="T", start_from_trigger=True)
    WithExecute.partial(task_id="wait", start_from_trigger=True).expand(trans_no=["T"]).unmap({"trans_no": "T"})
    assert WithPreExecute(task_id="wait", trans_no="T", start_from_trigger=True).start_trigger_args


@pytest.mark.parametrize("asked_for", [{"pre_execute": print}, {"on_execute_callback": print}], ids=names_of)
def test_what_a_worker_does_at_the_beginning(asked_for: dict[str, Any]) -> None:
    (name,) = asked_for
    both = "start_from_trigger and finish_in_triggerer"
    with pytest.raises(ValueError, match=rf"^{name} cannot be combined with {both}"):
        sensor(finish_in_triggerer=True, **asked_for)
    assert sensor(start_from_trigger=False, finish_in_triggerer=True, **asked_for).finish_in_triggerer
    assert sensor(**asked_for).start_trigger_args


@pytest.mark.parametrize(
    "limit", [{"pool": "clips"}, {"max_active_tis_per_dag": 3}, {"max_active_tis_per_dagrun": 3}], ids=names_of
)
def test_a_limit_that_airflow_would_ignore(limit: dict[str, Any]) -> None:
    (name,) = limit
    with pytest.raises(ValueError, match=rf"^{name} cannot be combined with start_from_trigger: .*deferrable=True"):
        sensor(**limit)
    assert sensor(start_from_trigger=False, **limit).deferrable is False
    TrimTaskStatusSensor.partial(task_id="wait", start_from_trigger=True, **limit).expand(trans_no=["T"])


@where_rendered
@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{ prev_start_date_success }}", "prev_start_date_success"),
        ("{% if prev_end_date_success %}T{% endif %}", "prev_end_date_success"),
        ("{{ triggering_asset_events }}", "triggering_asset_events"),
        ("{{ ti.get_previous_ti().run_id }}", "get_previous_ti"),
        ("{{ clip_of(ds) }}", "clip_of"),
        ("{{ ds | clip }}", "clip"),
    ],
)
def test_what_the_triggerer_cant_render(template: str, name: str) -> None:
    with (
        DAG("templates", schedule=None, user_defined_macros={"clip_of": str}, user_defined_filters={"clip": str}),
        pytest.raises(ValueError, match=rf"^trans_no .* uses {name}, which .* deferrable=True instead"),
    ):
        sensor(trans_no=template)


@pytest.mark.parametrize("trans_no", [None, 1.5, True, {"a": 1}, pytest.param(object(), id="object"), ["T", None]])
def test_what_is_no_text(trans_no: Any) -> None:
    with pytest.raises(ValueError, match=r"^trans_no .* must be a string or a list of strings, not .*deferrable=True"):
        sensor(trans_no=trans_no)


def test_a_mapped_task_groups_argument() -> None:
    with DAG("group", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")):

        @task_group
        def waits(trans_no: Any) -> None:
            with pytest.raises(ValueError, match=r"^trans_no .* must be a string .*deferrable=True instead"):
                sensor(task_id="refused", trans_no=trans_no)
            TrimTaskStatusSensor(task_id="wait", trans_no=trans_no)

        waits.expand(trans_no=["T", "U"])


def test_several_in_any_kind_of_collection() -> None:
    for several in (["a", "b"], ("a", "b"), {"b", "a"}, (name for name in "ab")):
        arguments = sensor(trans_no=several).start_trigger_args
        assert list((arguments.trigger_kwargs or {})["trans_no"]) == ["a", "b"]


def test_a_subclass_with_a_template_field_of_its_own() -> None:
    """It is not there yet when the sensor checks its own, and no concern of the trigger."""
    assert WithTemplateField(task_id="wait", trans_no="T", own=object(), start_from_trigger=True).start_trigger_args


def test_what_is_set_later_counts() -> None:
    """By the DAG file, or by a cluster policy. What can't work fails the DAG's serialization."""
    task = sensor(timeout=3600)
    task.trans_no, task.timeout = "U", 60
    arguments = task.start_trigger_args
    assert arguments is not None
    assert ((arguments.trigger_kwargs or {})["trans_no"], (arguments.trigger_kwargs or {})["timeout"]) == ("U", 60)
    task.pool = "clips"
    with pytest.raises(ValueError, match=r"^pool cannot be combined with start_from_trigger"):
        _ = task.start_trigger_args


@pytest.mark.parametrize("start", [True, False], ids=["starts there", "starts in a worker"])
def test_a_worker_ends_what_is_given_a_callback_later(trim_default: TrimEmulator, start: bool) -> None:
    """As cluster policies do; it would silently never be called."""
    trim_default.add_trim("T", seconds=math.inf)
    task = sensor(start_from_trigger=start, finish_in_triggerer=True)
    task.on_success_callback = [print]
    if start:
        assert (task.start_trigger_args.trigger_kwargs or {})["finish"] is False
    with pytest.raises(TaskDeferred) as deferred:
        task.execute({"ti": TaskInstance()})
    assert deferred.value.trigger.serialize()[1]["finish"] is False


def test_what_is_mapped_begins_in_a_worker_with_resolved_arguments() -> None:
    @task
    def up() -> str:
        return "trim_default"

    with DAG("mapped", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC")):
        mapped = TrimTaskStatusSensor.partial(task_id="wait", start_from_trigger=True, trim_conn_id=up()).expand(
            trans_no=["T"]
        )
        unmapped = mapped.unmap({"trans_no": "T"})
    assert unmapped.trans_no == "T"
    assert not unmapped.start_trigger_args


def test_a_result_that_only_a_worker_may_push_is_left_to_one(
    trim_default: TrimEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its length would go with it, and Airflow refuses more than ``max_map_length``, mapped over or not."""
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2")
    trans_nos = ["a", "b", "c"]
    for trans_no in trans_nos:
        trim_default.add_trim(trans_no, seconds=0)
    event = run_trigger(TrimTaskStatusTrigger(trans_nos, finish=True))
    read, verdicts = decode_event(event)
    assert list(read) == trans_nos
    assert [type(verdict) for verdict in verdicts] == [Success] * 3


def test_mapped_tasks_begin_in_a_worker() -> None:
    """Airflow hands all of them the class's arguments, and does so silently."""
    assert TrimTaskStatusSensor.start_trigger_args is None
    assert not TrimTaskStatusSensor.start_from_trigger


def test_the_name_that_breaks_dags_with_listeners_is_not_used() -> None:
    """OpenLineage refuses DAGs with a task whose ``end_from_trigger`` is true (Airflow 3.3.2)."""
    assert not hasattr(sensor(finish_in_triggerer=True), "end_from_trigger")


@pytest.mark.parametrize("execution_timeout", [None, datetime.timedelta(seconds=100)])
def test_when_the_wait_began(execution_timeout: datetime.timedelta | None) -> None:
    """By Airflow's own limit of the deferral, whatever triggerer asks and whenever."""
    arguments = sensor(timeout=3600, execution_timeout=execution_timeout).start_trigger_args
    assert arguments is not None
    assert arguments.timeout == (execution_timeout or datetime.timedelta(seconds=3600 + DEFERRAL_TIMEOUT_MARGIN))
    trigger: Any = TrimTaskStatusTrigger(**(arguments.trigger_kwargs or {}))
    began = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
    trigger.timeout_after = began + arguments.timeout
    assert trigger._effective_start() == began.timestamp()
    trigger.timeout_after = trigger.timeout_after.replace(tzinfo=None)
    assert trigger._effective_start() == began.timestamp()


async def test_the_timeout_of_a_wait_that_began_long_ago(trim_default: TrimEmulator) -> None:
    trim_default.add_trim("T", seconds=3600)
    arguments = sensor(timeout=60).start_trigger_args
    assert arguments is not None
    trigger: Any = TrimTaskStatusTrigger(**(arguments.trigger_kwargs or {}))
    trigger.timeout_after = datetime.datetime.fromtimestamp(time.time() - 100, datetime.UTC) + arguments.timeout
    (event,) = [event async for event in trigger.run()]
    assert decode_event(event.payload) == (TransNos(("T",)), [TimedOut()])
    assert trim_default.call_count == 1


@pytest.mark.parametrize("trans_no", [None, "", "None", 7.5, "x" * 33])
async def test_a_template_that_renders_to_nonsense(trim_default: TrimEmulator, trans_no: Any) -> None:
    trigger = TrimTaskStatusTrigger(trans_no, timeout=60, deferral_timeout=660)
    (event,) = [event async for event in trigger.run()]
    with pytest.raises(AirflowFailException, match=r"^trans_no "):
        sensor(start_from_trigger=False).execute_complete({}, event.payload)
    assert trim_default.call_count == 0


@pytest.mark.parametrize("rendered", ["another", ["another"], ["T", "U", "V"], None, ""])
def test_the_worker_takes_from_the_event_what_it_is_about(trim_default: TrimEmulator, rendered: Any) -> None:
    """It may render ``trans_no`` to something else than the triggerer has: a Variable has changed, say."""
    trim_default.add_trim("T", seconds=0)
    context = {"ti": TaskInstance()}
    worker = sensor(trans_no="{{ var.value.trans_no }}" if ARE_RENDERED else "T")
    worker.trans_no = rendered
    event = run_trigger(TrimTaskStatusTrigger("T"))
    assert worker.execute_complete(context, event) == trim_default.video_info("T")
    event = run_trigger(TrimTaskStatusTrigger(["T", "T"]))
    assert worker.execute_complete(context, event) == [trim_default.video_info("T")] * 2


def test_without_a_task_instance_a_worker_finishes(trim_default: TrimEmulator) -> None:
    """``dag.test()`` runs triggers without one."""
    trim_default.add_trim("T", seconds=0)
    event = run_trigger(TrimTaskStatusTrigger("T", finish=True))
    assert sensor().execute_complete({"ti": TaskInstance()}, event) == trim_default.video_info("T")


def test_it_is_an_operator_like_any_other() -> None:
    assert isinstance(sensor(), BaseOperator)
    assert not sensor(start_from_trigger=False).start_from_trigger
