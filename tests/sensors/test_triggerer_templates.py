# SPDX-License-Identifier: Apache-2.0
"""Templates of a wait that starts in the triggerer: the DAG's import says what it can't render, and only that."""

from __future__ import annotations

import ast
import contextlib
import datetime
import inspect
import uuid
from typing import Any, get_args

import jinja2
import pytest

from airflow_provider_trim.sensors import triggerer_templates
from airflow_provider_trim.sensors.triggerer_templates import ARE_RENDERED
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from tests.support.running import DAG

pytestmark = pytest.mark.skipif(not ARE_RENDERED, reason="this Airflow renders no templates of such a wait")

GET_DAG = "get_dag, which hangs there"
OTHER_SETTINGS = "is rendered there with Jinja's default settings"


def sensor(trans_no: Any, inlets: Any = None, **of_the_dag: Any) -> Any:
    with DAG("templates", schedule=None, **of_the_dag):
        return TrimTaskStatusSensor(task_id="wait", trans_no=trans_no, start_from_trigger=True, inlets=inlets)


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ prev_data_interval_start_success }}", "prev_data_interval_start_success, which hangs there"),
        ("{{ prev_data_interval_end_success | ds }}", "prev_data_interval_end_success, which hangs there"),
        ("{% if ds %}{{ inlet_events[-1] }}{% endif %}", "inlet_events, which hangs there"),
        ("{{ task_state_store.get('x') }}", "task_state_store, which hangs there"),
        ("{{ asset_state_store[inlets[0]] }}", "asset_state_store, which is not known there"),
        ("{{ ti.get_previous_dagrun().run_id }}", "get_previous_dagrun, which hangs there"),
        ("{{ task_instance.get_task_breadcrumbs('d', 'r') | list }}", "get_task_breadcrumbs, which hangs there"),
        ("{{ ti.get_first_reschedule_date({}) }}", "get_first_reschedule_date, which hangs there"),
        ("{{ ti.get_dag('d') }}", GET_DAG),
        ("{{ ti['get_dag']('d') }}", GET_DAG),
        ("{{ (ti | attr('get_dag'))('d') }}", GET_DAG),
        ("{% set this = ti %}{{ this.get_dag('d') }}", GET_DAG),
        ("{% set ns = namespace(ti=ti) %}{{ ns.ti.get_dag('d') }}", GET_DAG),
        ("{{ (ti or task_instance).get_dag('d') }}", GET_DAG),
        ("{% include 'clip.txt' %}", "another template's file, which is not known there"),
    ],
)
def test_what_the_triggerer_cant_answer(template: str, words: str) -> None:
    with pytest.raises(ValueError, match=rf"^trans_no .* uses {words}; write deferrable=True instead"):
        sensor(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ti.xcom_pull('map_indexes') }}",
        "{# map_indexes #}{{ ti.xcom_pull('up') }}",
        "{{ ti.xcom_pull('a', map_indexes=-1) }}{{ ti.xcom_pull('b') }}",
        "{{ f(map_indexes=ti.xcom_pull('up')) }}",
        "{% set pull = ti.xcom_pull %}{{ pull('up', map_indexes=-1) }}",
        "{{ ti['xcom_pull']('up') }}",
    ],
)
def test_a_pull_without_map_indexes_of_its_own(template: str) -> None:
    with pytest.raises(ValueError, match=r"^trans_no .* hangs at an xcom_pull without map_indexes; write xcom_pull\("):
        sensor(template)


@pytest.mark.parametrize(
    ("template", "of_the_dag", "words"),
    [
        ("<< ds >>", {"variable_start_string": "<<", "variable_end_string": ">>"}, OTHER_SETTINGS),
        ("{{ ds }}", {"variable_start_string": "<<", "variable_end_string": ">>"}, OTHER_SETTINGS),
        ("% if ds\nT\n% endif", {"line_statement_prefix": "%"}, OTHER_SETTINGS),
        ("{{ ds }}", {"finalize": str}, OTHER_SETTINGS),
        ("{{ ds }}", {"autoescape": True}, OTHER_SETTINGS),
        ("{{ _('x') }}", {"extensions": ["jinja2.ext.i18n"]}, "uses _, which is not known there"),
    ],
)
def test_settings_of_the_dag(template: str, of_the_dag: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=rf"^trans_no .* {words}.*; write deferrable=True instead"):
        sensor(template, jinja_environment_kwargs=of_the_dag)


def test_an_extension_that_airflow_adds() -> None:
    with pytest.raises(ValueError, match=OTHER_SETTINGS):
        sensor("{% do params.l.pop() %}T")


def test_a_filter_of_the_dag_in_the_place_of_jinjas_own() -> None:
    with pytest.raises(ValueError, match=r"^trans_no .* uses trim, which is not known there"):
        sensor("{{ ds | trim }}", user_defined_filters={"trim": str})


@pytest.mark.parametrize(
    "template",
    [
        "clip-{{ ds_nodash }}",
        "xcom_pull {{ ds }}",
        "{# xcom_pull, inlet_events #}x{{ ds }}",
        "{{ 'prev_start_date_success' }}",
        "{{ params.xcom_pull }}-{{ params['get_dag'] }}-{{ dag_run.conf.inlet_events }}",
        "{{ ti.xcom_pull('up', map_indexes=-1)['get_dag'] }}",
        "{{ ti.task.get_dag().dag_id }}",
        "{% set inlet_events = ds %}{{ inlet_events }}",
        "{% set clip = ds %}{{ clip }}",
        "{{ (ti | attr('xcom_pull'))('up', map_indexes=-1) }}",
        "{{ ti.xcom_pull(**params.where) }}",
        "{% for n in range(2) %}{{ n }}{% endfor %}",
        "{{ ds | trim }}",
        "{% raw %}{{ inlet_events }}{% endraw %}",
    ],
)
def test_what_only_seems_to_be_one_of_these(template: str) -> None:
    task = sensor(template, user_defined_macros={"clip": str, "conf": str}, user_defined_filters={"conf": str})
    assert task.start_trigger_args.trigger_kwargs["trans_no"] == template


@pytest.mark.parametrize("template", ["{{ ds", "{{ ds | nothing_of_that_name }}", "{% nothing %}"])
def test_what_is_no_template_is_left_to_airflow(template: str) -> None:
    assert sensor(template).start_trigger_args


@pytest.mark.parametrize("text", ["clip-1", "<< ds", "%"])
def test_a_text_where_the_dag_has_settings(text: str) -> None:
    settings = {"variable_start_string": "[[", "variable_end_string": "]]", "finalize": str}
    assert sensor(text, jinja_environment_kwargs=settings).start_trigger_args


def test_a_template_that_the_settings_do_not_change() -> None:
    assert sensor("{{ ds }}", jinja_environment_kwargs={"trim_blocks": True, "extensions": []}).start_trigger_args


def test_each_of_several_templates_is_judged() -> None:
    with pytest.raises(ValueError, match=r"^trans_no .* uses get_dag"):
        sensor(["T", "{{ ds }}", "{{ ti.get_dag('d') }}"])


def test_a_sensor_without_a_dag() -> None:
    assert TrimTaskStatusSensor(task_id="wait", trans_no="{{ ds }}", start_from_trigger=True).start_trigger_args


def test_nothing_is_parsed_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DAG file is parsed over and over."""
    parsed: list[str] = []
    parse = jinja2.Environment.parse
    monkeypatch.setattr(jinja2.Environment, "parse", lambda self, text: parsed.append(text) or parse(self, text))
    TrimTaskStatusSensor(task_id="in_a_worker", trans_no="{{ ti.xcom_pull(1) }}")
    TrimTaskStatusSensor.partial(task_id="mapped", start_from_trigger=True).expand(trans_no=["{{ ti.xcom_pull(2) }}"])
    task = sensor(["T", "{{ ds }} of this test"])
    assert task.start_trigger_args
    assert task.start_trigger_args
    assert parsed == ["{{ ds }} of this test"]


def _passed_on() -> set[str]:
    from airflow.jobs import triggerer_job_runner

    union, *_ = get_args(triggerer_job_runner.ToTriggerSupervisor)
    return {message.__name__ for message in get_args(union)}


@pytest.fixture
def in_the_triggerer(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[str]]:
    """The context of a template there, as Airflow makes it, and the messages that are sent for it."""
    from airflow.jobs.triggerer_job_runner import TriggerRunner

    if not hasattr(TriggerRunner, "create_runtime_ti"):
        pytest.skip("an earlier release, of which the triggerer renders nothing")
    from airflow.executors.workloads import TaskInstance
    from airflow.sdk import Asset
    from airflow.sdk.execution_time import task_runner
    from airflow.serialization.serialized_objects import DagSerialization

    sent: list[str] = []

    class Supervisor:
        def send(self, msg: Any) -> Any:
            sent.append(type(msg).__name__)
            raise LookupError

    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(), raising=False)
    task = sensor("{{ ds }}", inlets=[Asset("trim://videos")])
    ti = TaskInstance.model_construct(task_id="wait", dag_id="templates", run_id="run", try_number=1, id=uuid.uuid4())
    names = ("logical_date", "data_interval_start", "data_interval_end", "run_after", "start_date")
    moments = dict.fromkeys(names, datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    ids = {"dag_id": "templates", "run_id": "run", "run_type": "manual", "state": "running", "clear_number": 0}
    rest: dict[str, Any] = {"end_date": None, "conf": {}, "consumed_asset_events": [], "partition_key": None}
    encoded = DagSerialization.to_dict(task.dag)
    runtime = TriggerRunner.create_runtime_ti(ti, encoded, {**ids, **moments, **rest})
    return runtime.get_template_context(), sent


def test_every_name_that_hangs_or_is_missing_is_known(in_the_triggerer: tuple[Any, list[str]]) -> None:
    from airflow.sdk.definitions.context import Context

    context, sent = in_the_triggerer
    found = {name for name in Context.__annotations__ if name not in context}
    for name, value in context.items():
        sent.clear()
        with contextlib.suppress(LookupError):
            str(value)
        if set(sent) - _passed_on():
            found.add(name)
    assert {"asset_state_store", "prev_data_interval_end_success"} <= found
    assert found - ABSENT_IN_WORKERS <= triggerer_templates._NAMES.keys()


ABSENT_IN_WORKERS: set[str] = {"exception", "expanded_ti_count", "reason", "templates_dict", "test_mode", "try_number"}
"""What Airflow has in the context of callbacks, or nowhere, though it names it."""


def test_every_method_that_hangs_is_known() -> None:
    """By the messages that a task instance's public methods send, and those that the triggerer passes on."""
    task_runner = pytest.importorskip("airflow.sdk.execution_time.task_runner")
    if not hasattr(task_runner.RuntimeTaskInstance, "get_dag"):
        pytest.skip("an earlier release, which has some of them only")
    source = ast.parse(inspect.getsource(task_runner.RuntimeTaskInstance))
    hanging = set()
    for method in ast.walk(source):
        sent = {
            call.func.id
            for call in ast.walk(method)
            if isinstance(method, ast.FunctionDef) and isinstance(call, ast.Call) and isinstance(call.func, ast.Name)
        }
        if {name for name in sent if name.startswith("Get")} - _passed_on():
            hanging.add(method.name)  # type: ignore[attr-defined]
    assert hanging
    assert hanging <= triggerer_templates._METHODS.keys()
