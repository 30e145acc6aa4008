# SPDX-License-Identifier: Apache-2.0
"""Every template that a page or an example shows, rendered natively and not, over all that a run may give it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import jinja2
import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.operators.trim import TrimVideoInfoOperator, TrimVideoOperator
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor
from tests.support.pages import PAGES, ROOT, blocks
from tests.support.waits import TaskInstance

KINDS = {kind.__name__: kind for kind in (TrimTaskStatusSensor, TrimVideoInfoOperator, TrimVideoOperator)}
CLIP = {"video_id": "V", "seek_start": 0, "duration": 1, "filename": "f", "wait_for_completion": False}


def templates() -> Iterator[tuple[str, str, str]]:
    """Return class, parameter and template of each that is shown."""
    texts = [block.text for page in PAGES for block in blocks(page) if block.language == "python"]
    files = [*(ROOT / "example_dags").glob("*.py"), *(ROOT / "docs").rglob("*.py")]
    for text in [*texts, *(file.read_text(encoding="utf-8") for file in files)]:
        for call in ast.walk(ast.parse(text)):
            named = ast.unparse(call.func).split(".")[0] if isinstance(call, ast.Call) else ""
            for keyword in call.keywords if isinstance(call, ast.Call) and named in KINDS else ():
                value = keyword.value
                if keyword.arg and isinstance(value, ast.Constant) and "{{" in str(value.value):
                    yield named, keyword.arg, str(value.value)


SHOWN = sorted(set(templates()))


class Instance(TaskInstance):
    """One whose every upstream task has returned the same."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value

    def xcom_pull(self, *_: Any, **__: Any) -> Any:
        return self.value


def rendered(kind: str, parameter: str, template: str, value: Any, native: bool) -> tuple[Any, Any]:
    """Return a task as it is when it begins to run, and its context."""
    required = CLIP if kind == "TrimVideoOperator" else {"trans_no": "T"}
    arguments: dict[str, Any] = {**required, parameter: template}
    ti = Instance(value)
    context: Any = {"ti": ti, "params": {"trans_no": value, "video_id": value}}
    return rendered_over(context, kind, arguments, render_template_as_native_obj=native), {"ti": ti}


def rendered_over(context: Any, kind: str, arguments: dict[str, Any], **of_the_dag: Any) -> Any:
    with DAG("templates", schedule=None, **of_the_dag) as dag:
        task = KINDS[kind](task_id="t", **arguments)
    task.render_template_fields(context, dag.get_template_env())
    return task


def test_some_are_shown() -> None:
    assert {kind for kind, _, _ in SHOWN} == set(KINDS)
    assert any("xcom_pull" in template for _, _, template in SHOWN)


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("value", ["clip-1", "123", 123, "007", "[x]", "True story"], ids=repr)
@pytest.mark.parametrize(("kind", "parameter", "template"), SHOWN)
def test_every_template(
    trim_default: TrimEmulator, kind: str, parameter: str, template: str, value: Any, native: bool
) -> None:
    trim_default.add_trim(str(value), seconds=0)
    task, context = rendered(kind, parameter, template, value, native)
    result = task.execute(context)
    if kind == "TrimVideoOperator":
        assert trim_default.submissions[0].parameters["videoId"] == str(value)
    else:
        assert result == trim_default.video_info(str(value))


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("value", [["a", "b"], ["1", "2"], [1, 2], [], ("a", "b")], ids=repr)
@pytest.mark.parametrize(("kind", "parameter", "template"), [one for one in SHOWN if one[1] == "trans_no"])
def test_every_template_over_a_list(
    trim_default: TrimEmulator, kind: str, parameter: str, template: str, value: Any, native: bool
) -> None:
    for name in value:
        trim_default.add_trim(str(name), seconds=0)
    task, context = rendered(kind, parameter, template, value, native)
    task.deferrable = False
    assert task.execute(context) == [trim_default.video_info(str(name)) for name in value]


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("value", [None, ""], ids=repr)
@pytest.mark.parametrize(("kind", "parameter", "template"), SHOWN)
def test_every_template_over_nothing(
    trim_default: TrimEmulator, kind: str, parameter: str, template: str, value: Any, native: bool
) -> None:
    """The parameter is named, and nothing is called or paid for."""
    task, context = rendered(kind, parameter, template, value, native)
    with pytest.raises(
        AirflowFailException, match=rf"^{parameter}:? is (empty|the text 'None', as a template renders)"
    ):
        task.execute(context)
    assert trim_default.call_count == 0
    assert not trim_default.submissions


@pytest.mark.parametrize("undefined", [jinja2.Undefined, jinja2.StrictUndefined])
@pytest.mark.parametrize("kind", KINDS)
def test_a_name_that_is_not_there(trim_default: TrimEmulator, kind: str, undefined: type[jinja2.Undefined]) -> None:
    """To native rendering it is an object of Jinja's: refused where a value is required, or else not given."""
    given: dict[str, Any] = CLIP if kind == "TrimVideoOperator" else {"trans_no": "T"}
    dag: dict[str, Any] = {"render_template_as_native_obj": True, "template_undefined": undefined}
    for required in (next(iter(given)), "trim_conn_id"):
        arguments = {**given, required: "{{ params.nope }}"}
        task = rendered_over({"params": {}}, kind, arguments, **dag)
        with pytest.raises(AirflowFailException, match=rf"^{required}:? is undefined \('nope'\); check what the templ"):
            task.execute({"ti": TaskInstance()})
    assert trim_default.call_count == 0


def test_an_optional_name_that_is_not_there(trim_default: TrimEmulator) -> None:
    optional = {"suffix", "notify_url", "resolution", "frame_rate", "enable_video_transcode", "trans_no"}
    arguments = {**CLIP, **dict.fromkeys(optional, "{{ params.nope }}")}
    task = rendered_over({"params": {}}, "TrimVideoOperator", arguments, render_template_as_native_obj=True)
    task.execute({"ti": TaskInstance()})
    (submission,) = trim_default.submissions
    assert submission.parameters.keys() == {"videoId", "seekStart", "duration", "filename", "transNo"}
