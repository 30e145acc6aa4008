# SPDX-License-Identifier: Apache-2.0
"""What authors combine with our classes: every cell of tests/airflow/combinations.py.

Those of a feature that can run are tasks of one DAG. By default two of them run for each feature, by turns; all of them
with ``--full``. What is refused is refused when the DAG is read, and costs nothing.
"""

from __future__ import annotations

import ast
import asyncio
import copy
import itertools
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pendulum
import pytest
from airflow.providers.common.compat.sdk import XCom

from airflow_provider_trim.emulator import HttpError, Submission, TrimEmulator
from airflow_provider_trim.triggers.finish_in_triggerer import push_and_succeed
from tests.airflow import combined_dag, xcom_backend
from tests.airflow.combinations import ABSENT, FEATURES, GIVEN_UP, LINES, REFUSED, Feature
from tests.airflow.scenarios import CALLED, COLUMNS, Cell, Shown
from tests.support.combinations_page import PAGE, with_table
from tests.support.distribution import DAG_GROUPS
from tests.support.emulators import set_connection
from tests.support.running import AIRFLOW_3, DAG, register
from tests.support.waits import TaskInstance

ROOT = Path(__file__).parents[2]
LINE = "3" if AIRFLOW_3 else "2.11"
START = pendulum.datetime(2026, 1, 1, tz="UTC")
BY_TURNS = 1
"""Columns that run for each feature without ``--full``."""


def runs(feature: Feature, column: str) -> bool:
    return feature.build is not None and feature.outcome(column, LINE) not in (REFUSED, ABSENT)


def cells() -> Iterator[Any]:
    turn = itertools.cycle(COLUMNS)
    for feature, group in zip(FEATURES, itertools.cycle(DAG_GROUPS)):
        running = [column for column in COLUMNS if runs(feature, column)]
        chosen = set(itertools.islice((column for column in turn if column in running), BY_TURNS)) if running else set()
        for column in running:
            marks = [pytest.mark.xdist_group(group)] + [pytest.mark.full] * (column not in chosen)
            yield pytest.param(feature, column, id=f"{feature.name}-{column}", marks=marks)


class Runs:
    """Runs each feature once, with all the columns that are asked for."""

    def __init__(self, emulator: TrimEmulator, selected: set[tuple[str, str]]) -> None:
        self.emulator = emulator
        self.selected = selected
        self.done: dict[str, tuple[Any, dict[str, tuple[Cell, Shown]]]] = {}
        self.failing: set[Any] = set()
        emulator.submission_outcome = self._outcome

    def _outcome(self, submission: Submission) -> Any:
        name = submission.parameters["filename"]
        if name in self.failing:
            self.failing.remove(name)
            return "fail"
        return "success"

    def of(self, feature: Feature) -> tuple[Any, dict[str, tuple[Cell, Shown]]]:
        if feature.name not in self.done:
            self.done[feature.name] = self.run(feature)
        return self.done[feature.name]

    def run(self, feature: Feature) -> tuple[Any, dict[str, tuple[Cell, Shown]]]:
        number = FEATURES.index(feature)
        expected = {}
        with DAG(
            f"combination_{number}", schedule=None, start_date=START, user_defined_macros={"clip_named": str}
        ) as dag:
            for column in COLUMNS:
                if (feature.name, column) in self.selected:
                    cell = Cell(COLUMNS[column], f"c{number}")
                    expected[column] = cell, feature.build(cell)
        for cell, _ in expected.values():
            for clip in cell.clips if not cell.submits else ():
                # No process comes back to a rescheduled task in dag.test().
                slow = {} if cell.column.name == "reschedule" else {"seconds": 0.1, "start_on_first_poll": True}
                self.emulator.add_trim(clip, **{"seconds": 0, **slow})
                if cell.fails_at_first:
                    self.emulator.misbehave(clip, HttpError(503))
            if cell.fails_at_first and cell.submits:
                self.failing |= set(cell.clips)
        register(dag)
        return dag.test(), expected


@pytest.fixture(scope="module")
def dag_runs(request: pytest.FixtureRequest, airflow_db: None) -> Iterator[Runs]:
    selected = {
        (item.callspec.params["feature"].name, item.callspec.params["column"])
        for item in request.session.items
        if getattr(item, "originalname", "") == "test_what_works"
    }
    with TrimEmulator(duration=0.1) as emulator, pytest.MonkeyPatch.context() as patch:
        set_connection(patch, emulator, quota="off")
        yield Runs(emulator, selected)


@pytest.mark.parametrize(("feature", "column"), cells())
def test_what_works(dag_runs: Runs, feature: Feature, column: str) -> None:
    run, expected = dag_runs.of(feature)
    cell, shown = expected[column]
    called = shown.pop(CALLED, set())
    assert {task_id: shown_by(run, task_id) for task_id in shown} == shown
    assert called <= set(cell.called)


def shown_by(run: Any, task_id: str) -> Any:
    """Return what a task of a run shows, as scenarios say it."""
    instances = sorted((ti for ti in run.get_task_instances() if ti.task_id == task_id), key=lambda ti: ti.map_index)
    values = []
    for ti in instances:
        if ti.state != "success":
            values.append(str(ti.state))
        else:
            where = {"task_ids": task_id, "map_indexes": None if ti.map_index < 0 else ti.map_index}
            values.append(name_in(ti.xcom_pull(**where)))
    return values[0] if [ti.map_index for ti in instances] == [-1] else values


def name_in(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [name_in(part) for part in value]
    return value["videoName"] if isinstance(value, dict) and "videoName" in value else value


def refused_cells() -> list[Any]:
    found = []
    for feature, column in itertools.product(FEATURES, COLUMNS):
        if feature.outcome(column, LINE) == REFUSED:
            words = feature.words(column, LINE)
            found.append(pytest.param(feature, column, words, id=f"{feature.name}-{column}"))
    return found


@pytest.mark.parametrize(("feature", "column", "words"), refused_cells())
def test_what_is_refused(feature: Feature, column: str, words: str) -> None:
    cell = Cell(COLUMNS[column], "refused")
    with (
        DAG("refused", schedule=None, start_date=START, user_defined_macros={"clip_named": str}),
        pytest.raises(ValueError, match=words),
    ):
        feature.build(cell)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_every_cell_is_shown(feature: Feature) -> None:
    """By a scenario, or by tests that are there."""
    outcomes = {feature.outcome(column, line) for column in COLUMNS for line in LINES}
    assert feature.build or feature.tests
    assert GIVEN_UP not in outcomes or (feature.tests and feature.note), "what is given up is shown, and said"
    assert REFUSED not in outcomes or feature.build
    for node in feature.tests:
        path, _, name = node.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        names = {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in names, node


# --- what no DAG can be built for ---

COMMANDS = [
    pytest.param(column, marks=[pytest.mark.full] * (column not in ("poke", "both", "video-deferrable")))
    for column in COLUMNS
]


@pytest.fixture
def combined(trim_default: TrimEmulator, airflow_db: None) -> tuple[Any, dict[str, Cell]]:
    """The DAG with a task of each column, whose trims are there."""
    trim_default.duration = 0.1
    dag, cells = combined_dag.combined()
    for cell in cells.values():
        for clip in cell.clips:
            seconds = 0 if cell.column.name == "reschedule" else 0.1
            trim_default.add_trim(clip, seconds=seconds, start_on_first_poll=seconds > 0)
    register(dag)
    return dag, cells


def parsed(*arguments: str) -> Any:
    from airflow.cli import cli_parser

    return cli_parser.get_parser().parse_args(arguments)


@pytest.mark.parametrize("column", COMMANDS)
def test_tasks_test(combined: Any, trim_default: TrimEmulator, column: str) -> None:
    """The command waits in its own process, whatever the mode."""
    from airflow.cli.commands import task_command

    dag, cell = combined[0], combined[1][column]
    task_command.task_test(parsed("tasks", "test", "combined", f"{column}_wait", "2026-01-01"), dag=dag)
    if cell.submits:
        assert [submission.parameters["filename"] for submission in trim_default.submissions] == cell.clips
    else:
        assert trim_default.calls_for(cell.clips[0])


@pytest.mark.parametrize("column", COMMANDS)
def test_tasks_render(combined: Any, capsys: pytest.CaptureFixture[str], column: str) -> None:
    from airflow.cli.commands import task_command

    dag, cell = combined[0], combined[1][column]
    task_command.task_render(parsed("tasks", "render", "combined", f"{column}_wait", "2026-01-01"), dag=dag)
    assert f"property: {cell.field}" in (shown := capsys.readouterr().out)
    assert cell.clips[0] in shown


def test_dags_test(combined: Any, trim_default: TrimEmulator) -> None:
    """Twice for one date, under one run id on Airflow 2.11: the trims are found, and paid for once."""
    from airflow.cli.commands import dag_command

    kept = ("video_wait", "both_wait", "info-deferrable_wait")
    dag = combined[0].partial_subset(kept, include_downstream=False, include_upstream=False)
    for _ in range(2):
        dag_command.dag_test(parsed("dags", "test", "combined", "2026-01-02"), dag=dag)
    names = {submission.trans_no for submission in trim_default.submissions}
    assert len(trim_default.submissions) == len(names)


@pytest.fixture(scope="module")
def other_process() -> dict[str, Any]:
    """What a process of another hash seed and another ``default_deferrable`` makes of the same DAG."""
    changed = {"PYTHONHASHSEED": "1", "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True"}
    command = [sys.executable, "-m", "tests.airflow.combined_dag"]
    done = subprocess.run(
        command, env={**os.environ, **changed}, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_serialized_alike_by_any_process(other_process: dict[str, Any]) -> None:
    """Otherwise Airflow would store a new version of the DAG at each parse."""
    assert other_process["dag"] == combined_dag.serialized(combined_dag.combined()[0])


def test_default_deferrable(other_process: dict[str, Any]) -> None:
    assert (combined_dag.deferrable(), other_process["deferrable"]) == ([False] * 3, [True] * 3)


@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda task: pickle.loads(pickle.dumps(task))], ids=["copy", "pickle"]
)
def test_copies(copied: Any, column: str) -> None:
    """Executors pickle tasks, ``dag.partial_subset()`` copies them."""
    dag, _ = combined_dag.combined()
    again = copied(dag).get_task(f"{column}_wait")
    task = dag.get_task(f"{column}_wait")
    assert type(again) is type(task)
    assert {name: getattr(again, name) for name in task.template_fields} == {
        name: getattr(task, name) for name in task.template_fields
    }
    assert again.start_trigger_args == task.start_trigger_args


@pytest.mark.full
def test_an_xcom_backend_of_ones_own(airflow_db: None) -> None:
    """In a process that has it from the beginning, by every mode."""
    environment = {**os.environ, "AIRFLOW__CORE__XCOM_BACKEND": xcom_backend.PATH}
    command = [sys.executable, "-m", "tests.airflow.xcom_backend"]
    done = subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    shown = json.loads(done.stdout.splitlines()[-1])
    # Outside of a task, Airflow 3 shows what is stored.
    stored = {name: {"kept": value} if AIRFLOW_3 else value for name, value in shown["expected"].items()}
    assert shown["found"] == stored
    assert len(stored) == len(COLUMNS)


class OwnXCom(XCom):
    """Keeps what it is given."""

    pushed: ClassVar[dict[str, Any]] = {}

    @classmethod
    def set(cls, key: str, value: Any, **where: Any) -> None:
        cls.pushed[key] = value


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 2.11 pushes what the event says, through the backend")
def test_the_triggerer_pushes_through_the_backend(trim_default: TrimEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    trim_default.add_trim("T", seconds=0)
    monkeypatch.setattr("airflow.sdk.execution_time.xcom.XCom", OwnXCom)
    asyncio.run(push_and_succeed(TaskInstance(), {"return_value": trim_default.video_info("T")}))
    assert OwnXCom.pushed == {"return_value": trim_default.video_info("T")}


def test_the_page_has_this_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page, "python -m tests.support.combinations_page"
