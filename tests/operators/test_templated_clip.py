# SPDX-License-Identifier: Apache-2.0
"""A clip whose parameters are templates is the same, rendered natively or to texts."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from airflow_provider_trim.compat import AirflowFailException
from airflow_provider_trim.emulator import TrimEmulator
from airflow_provider_trim.operators.trim import TrimVideoOperator
from tests.support.running import DAG
from tests.support.waits import TaskInstance

CLIP: dict[str, Any] = {"video_id": "V", "seek_start": 0, "duration": 5, "filename": "f"}
PARAMS = {"total": 100, "video": "4E10", "large": "1E400", "yes": "True"}


def submit(native: bool, **templates: str) -> None:
    with DAG("templated", schedule=None, render_template_as_native_obj=native) as dag:
        task = TrimVideoOperator(task_id="clip", wait_for_completion=False, **{**CLIP, **templates})
    context: Any = {"ti": TaskInstance(), "params": PARAMS, "macros": datetime}
    task.render_template_fields(context, dag.get_template_env())
    task.execute(context)


@pytest.mark.parametrize(
    ("template", "start"),
    [
        ("{{ params.total / 3 }}", 33),
        ("{{ 0.1 + 0.2 }}", 0),
        ("{{ 1 / 100000 }}", 0),
        ("{{ macros.timedelta(hours=25) }}", 90000),
        ("{{ macros.timedelta(seconds=5.5) }}", 5),
    ],
)
def test_a_computed_time(trim_default: TrimEmulator, template: str, start: int) -> None:
    """Both ways of rendering derive the same transNo, so the second finds the trim of the first."""
    for native in (False, True):
        submit(native, seek_start=template)
    (submission,) = trim_default.submissions
    assert submission.parameters["seekStart"] == start


@pytest.mark.parametrize("name", ["video_id", "filename"])
@pytest.mark.parametrize("param", ["video", "large", "yes"])
def test_a_text_that_native_rendering_changes_is_refused(trim_default: TrimEmulator, name: str, param: str) -> None:
    template = f"{{{{ params.{param} }}}}"
    with pytest.raises(AirflowFailException, match=rf"^{name}: must be a text, not (float|bool); native rendering"):
        submit(True, **{name: template})
    assert trim_default.call_count == 0
    submit(False, **{name: template})
    assert PARAMS[param] in trim_default.submissions[0].parameters.values()
