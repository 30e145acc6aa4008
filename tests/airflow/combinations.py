# SPDX-License-Identifier: Apache-2.0
"""The table: what authors combine with our classes, and what comes of it in each mode and line of Airflow.

The tests run it (tests/airflow/test_combinations.py), and the documentation shows it (docs/combinations.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from airflow.providers.common.compat.sdk import Asset

from tests.airflow import scenarios
from tests.airflow.scenarios import COLUMNS, Scenario, hooks, plain

LINES = ("3", "2.11")
"""Of Airflow. What differs between the minor releases of 3 is said in a note."""

SENSOR = ("poke", "reschedule", "deferrable", "start", "finish", "both")
INFO = ("info", "info-deferrable")
VIDEO = ("video", "video-deferrable")
STARTS = ("start", "both")
FINISHES = ("finish", "both")

WORKS = "works"
REFUSED = "refused"
GIVEN_UP = "given up"
ABSENT = "–"
"""The class has no such parameter."""


@dataclass(frozen=True)
class Feature:
    """What is combined with a task of ours: a row.

    :param name: as the page has it, in Markdown
    :param build: adds it to a DAG
    :param refused: by column, words of the error when the DAG is read
    :param given_up: columns in which something does not happen, which the note names
    :param absent: columns that lack it
    :param on_2: what is otherwise on Airflow 2.11, by column: the outcome, or the words with which it is refused
    :param note: what to write instead, what is given up
    :param tests: node ids of tests that show what ``build`` does not, and what is given up
    """

    name: str
    build: Scenario | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    given_up: Sequence[str] = ()
    absent: Sequence[str] = ()
    on_2: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    tests: Sequence[str] = ()

    def outcome(self, column: str, line: str) -> str:
        """Return one of the four, for a cell."""
        if line == "2.11" and column in self.on_2:
            return self.on_2[column] if self.on_2[column] in (WORKS, GIVEN_UP, ABSENT) else REFUSED
        if column in self.refused:
            return REFUSED
        if column in self.given_up:
            return GIVEN_UP
        return ABSENT if column in self.absent else WORKS

    def words(self, column: str, line: str) -> str:
        """Return what the error of a cell that is refused must say."""
        return self.on_2[column] if line == "2.11" and column in self.on_2 else self.refused[column]


def in_(columns: Sequence[str], words: str) -> dict[str, str]:
    return dict.fromkeys(columns, words)


def finishing(name: str) -> dict[str, str]:
    return in_(FINISHES, rf"^{name} cannot be combined with finish_in_triggerer: .* Remove one of them$")


def limit(name: str) -> dict[str, str]:
    return in_(STARTS, rf"^{name} cannot be combined with start_from_trigger: .* write deferrable=True")


_HERE = "tests/airflow"
_LIVE = "tests/live/test_without_workers.py"
_NOT_RENDERED = in_(STARTS, r"^trans_no .* cannot be a template on Airflow 2.11, .* write deferrable=True")
_UNRESOLVED = in_(STARTS, r"^trans_no .* cannot be another task's output: .* write (deferrable=True|\"{{ ti.xcom_pull)")
_NO_TEXT = in_(STARTS, r"^trans_no .* must be a string or a list of strings, not .* write deferrable=True")
_MAPPED = "Mapped tasks begin in a worker, whatever `start_from_trigger` says."

RESULTS = [
    Feature("`.output` as another task's argument", scenarios.output),
    Feature(
        '`.output["trans_no"]`, an XCom under a key',
        scenarios.key_of_output,
        absent=SENSOR,
        note="The operators push `trans_no`, `trim_task_id` and `video_id`; the sensor pushes `videoInfo` alone.",
    ),
    Feature(
        '`multiple_outputs=True`, `.output["videoName"]`', scenarios.multiple_outputs, finishing("multiple_outputs")
    ),
    Feature(
        "`.output.map(…)`, mapped over",
        scenarios.map_over_output,
        on_2=in_(FINISHES, GIVEN_UP),
        note="Of a list, or of mapped tasks. Airflow 2.11 maps nothing over a list that the triggerer pushed.",
        tests=[f"{_LIVE}::test_a_list_is_mapped_over"],
    ),
    Feature(
        "`.output.zip(…)`",
        scenarios.zip_outputs,
        on_2=in_(FINISHES, GIVEN_UP),
        note="As above.",
        tests=[f"{_LIVE}::test_a_list_is_mapped_over"],
    ),
    Feature(
        "`.output.concat(…)`",
        scenarios.concat_outputs,
        on_2=in_(FINISHES, GIVEN_UP),
        note="As above.",
        tests=[f"{_LIVE}::test_a_list_is_mapped_over"],
    ),
    Feature(
        "a task mapped over its `.output`",
        scenarios.expand_task_over_output,
        on_2=in_(FINISHES, GIVEN_UP),
        note="As above.",
        tests=[f"{_LIVE}::test_a_list_is_mapped_over"],
    ),
    Feature("`do_xcom_push=False`", scenarios.nothing_pushed, finishing("do_xcom_push=False")),
    Feature(
        "a custom XCom backend",
        tests=[
            f"{_HERE}/test_combinations.py::test_an_xcom_backend_of_ones_own",
            f"{_HERE}/test_combinations.py::test_the_triggerer_pushes_through_the_backend",
        ],
        note="A task that ends in the triggerer pushes through it, too.",
    ),
]

ARGUMENTS = [
    Feature(
        "another task's `.output` as `trans_no` or `filename`",
        scenarios.argument_from_output,
        _UNRESOLVED,
        note="Write `\"{{ ti.xcom_pull(task_ids='up', map_indexes=-1) }}\"` and `up >> wait`, on Airflow 3.",
    ),
    Feature(
        "`{{ ti.xcom_pull(task_ids=…) }}`",
        scenarios.argument_by_template("task_ids='%s'"),
        in_(STARTS, r"^trans_no .* write xcom_pull\(task_ids=…, map_indexes=-1\)"),
        on_2=_NOT_RENDERED,
        note="It would hang in the triggerer.",
    ),
    Feature(
        "`{{ ti.xcom_pull(task_ids=…, map_indexes=-1) }}`",
        scenarios.argument_by_template("task_ids='%s', map_indexes=-1"),
        on_2=_NOT_RENDERED,
    ),
    Feature(
        "the same of a list, without native rendering",
        scenarios.list_by_template,
        absent=VIDEO,
        on_2=_NOT_RENDERED,
        note="The text of a list is read as the list. `TrimVideoOperator` submits one trim.",
    ),
    Feature(
        "`TrimVideoOperator(wait_for_completion=False).output` as `trans_no`",
        scenarios.submitted_by_another,
        _UNRESOLVED,
        absent=VIDEO,
        note="As for any task's output.",
    ),
    Feature("a callable as `trans_no` or `filename`", scenarios.callable_argument, _NO_TEXT),
    Feature(
        "another task's `.output` as `trim_conn_id`",
        scenarios.connection_from_output,
        in_(STARTS, r"^trim_conn_id .* cannot be another task's output: "),
    ),
    Feature(
        "other tasks' outputs in a list",
        scenarios.outputs_in_a_list,
        _UNRESOLVED,
        absent=VIDEO,
        note="Or in another collection, or an iterator: it is made a list. A dict is refused when the task runs.",
        tests=["tests/waiting/test_options.py::test_what_is_in_a_collection_of_any_kind_is_seen"],
    ),
    Feature("`timedelta` and pendulum durations as intervals, limits and times", scenarios.durations),
    Feature(
        "a template as a number",
        scenarios.number_by_template,
        in_(tuple(COLUMNS), r"^timeout must be a number of seconds or a timedelta, not '{{ params.timeout }}'"),
        note="Intervals, limits and switches are not templated.",
    ),
    Feature(
        'a text as a switch: `deferrable="false"`',
        scenarios.switch_as_text,
        in_(tuple(COLUMNS), r"^deferrable must be True or False, not 'false'; it can't be a template"),
        note="It would count as true.",
    ),
    Feature(
        "the DAG's `user_defined_macros`, filters",
        scenarios.macros,
        in_(STARTS, r"^trans_no .* uses clip_named, which is not known there; write deferrable=True"),
        on_2=_NOT_RENDERED,
        note="So are its `jinja_environment_kwargs`, and [what hangs in the triggerer](without-workers.md).",
        tests=["tests/sensors/test_triggerer_templates.py::test_what_the_triggerer_cant_answer"],
    ),
    Feature(
        "templates over params, Variables, None",
        scenarios.parameter,
        on_2=_NOT_RENDERED,
        tests=[f"{_HERE}/test_templates.py::test_every_template"],
    ),
    Feature(
        "`render_template_as_native_obj`",
        scenarios.parameter,
        given_up=STARTS,
        on_2=_NOT_RENDERED,
        note="The triggerer renders texts, which are read as they are meant: digits, lists, None. What a template does "
        "not find is refused, or not given, as None is. To native rendering, `2026_11_28` and `0x1F` are integers, "
        "which can't be noticed: as `trans_no`, `video_id` or `filename`, quote them in the template. What becomes "
        "another number or a boolean is refused there.",
        tests=[
            f"{_HERE}/test_templates.py::test_every_template",
            f"{_HERE}/test_templates.py::test_a_name_that_is_not_there",
            "tests/waiting/test_rendered.py::test_several",
        ],
    ),
]

MAPPING = [
    Feature("`.partial().expand()` over another task's output", scenarios.expand, note=_MAPPED),
    Feature("`.partial().expand()` over literal values", scenarios.expand_literally, note=_MAPPED),
    Feature("`.partial().expand_kwargs()`", scenarios.expand_kwargs, note=_MAPPED),
    Feature("`.expand()` over two parameters", scenarios.expand_over_two, note=_MAPPED),
    Feature("`.expand()` over lists of transNos", scenarios.expand_over_lists, absent=VIDEO, note=_MAPPED),
    Feature("`.expand()` over an empty list", scenarios.expand_over_nothing, note="Airflow skips the task."),
    Feature("mapped clips, waited for as one list", scenarios.mapped_clips_as_a_list, _UNRESOLVED, absent=VIDEO),
    Feature(
        "videos that come out, mapped into clips of them",
        scenarios.result_as_clips,
        on_2=in_(FINISHES, GIVEN_UP),
        note="Airflow 2.11 maps nothing over a list that the triggerer pushed.",
        tests=[f"{_LIVE}::test_a_list_is_mapped_over"],
    ),
    Feature(
        '`on_failure="ignore"`, mapped over',
        scenarios.ignored_failure,
        absent=VIDEO,
        note="None stands in the place of what failed. A list with a failed trim ends in a worker.",
    ),
    Feature("a mapped task group, its argument", scenarios.mapped_group, _NO_TEXT),
    Feature("`map_index_template`", scenarios.map_index_template, note=_MAPPED),
]

SHAPES = [
    Feature("a task group", scenarios.group),
    Feature("between setup and teardown", scenarios.between_setup_and_teardown),
    Feature("`.as_setup()`, `.as_teardown()`", scenarios.as_setup_and_as_teardown),
    Feature("`@task.branch`", scenarios.branching),
    Feature("trigger rules, before and after", scenarios.trigger_rules),
    Feature("`chain()`, `>>`, `<<`", scenarios.chained),
]

AUTHORS = [
    Feature("a subclass with template fields and defaults of its own", scenarios.subclass_with_fields),
    Feature(
        "a subclass that overrides `execute` and `execute_complete`",
        scenarios.subclass_with_methods,
        {
            "start": r"^execute cannot be combined with start_from_trigger: no worker runs at the beginning",
            **in_(
                FINISHES, r"^execute_complete cannot be combined with finish_in_triggerer: no worker runs at the end"
            ),
        },
        note="Override both: a task that was deferred resumes in `execute_complete`.",
    ),
    Feature(
        "`pre_execute`", hooks("pre_execute"), {"both": r"^pre_execute cannot be combined with .*no worker runs at all"}
    ),
    Feature("`post_execute`", hooks("post_execute"), finishing("post_execute")),
    Feature(
        "`on_execute_callback`",
        hooks("on_execute_callback"),
        {"both": r"^on_execute_callback cannot be combined with .*no worker runs at all"},
    ),
    Feature("`on_success_callback`", hooks("on_success_callback"), finishing("on_success_callback")),
    Feature("`on_failure_callback`", scenarios.failing_hooks, note="A failure is always raised in a worker."),
    Feature(
        "arguments that a cluster policy or the DAG file sets after the task was made",
        tests=["tests/sensors/test_start_from_trigger.py::test_what_is_set_later_counts"],
        note="What can't work is an error when the DAG is serialized.",
    ),
]

OPTIONS = [
    Feature(
        "`default_args` shared by all three classes",
        scenarios.default_args,
        note="Airflow 3.0 refuses to map a task if some of them are for others.",
    ),
    Feature("`[operators] default_deferrable`", tests=[f"{_HERE}/test_combinations.py::test_default_deferrable"]),
    Feature("`retries` with backoff, `on_retry_callback`", scenarios.retries),
    Feature(
        "`execution_timeout`",
        tests=[
            "tests/waiting/test_execution_timeout.py::test_it_ends_the_wait",
            f"{_LIVE}::test_pools_and_an_execution_timeout",
        ],
        note="It bounds the whole wait in every mode; retries apply.",
    ),
    Feature(
        "`soft_fail`, `never_fail`",
        tests=[
            "tests/airflow/test_verdicts.py::test_soft_fail_makes_a_final_response_a_skip",
            f"{_LIVE}::test_failure_is_raised_in_a_worker",
        ],
        absent=(*INFO, *VIDEO),
    ),
    Feature(
        "`exponential_backoff`, `max_wait`",
        tests=["tests/waiting/test_deferral.py::test_base_class_settings_reach_the_trigger"],
        absent=(*INFO, *VIDEO),
    ),
    Feature(
        "`pool` of your own",
        plain(pool="clips"),
        limit("pool"),
        note="Airflow starts such a wait whatever the pool.",
    ),
    Feature(
        "`max_active_tis_per_dag`",
        plain(max_active_tis_per_dag=1),
        limit("max_active_tis_per_dag"),
        note="As for pools.",
    ),
    Feature(
        "`max_active_tis_per_dagrun`",
        plain(max_active_tis_per_dagrun=1),
        limit("max_active_tis_per_dagrun"),
        note="As for pools.",
    ),
    Feature(
        "`priority_weight`, `weight_rule`, `queue`", plain(priority_weight=5, weight_rule="upstream", queue="clips")
    ),
    Feature("`depends_on_past`, `wait_for_downstream`", plain(depends_on_past=True, wait_for_downstream=True)),
    Feature("`params` of the task", plain(params={"width": 640})),
]

DOWNSTREAM = [
    Feature("assets as `outlets`", scenarios.outlet, finishing("outlets")),
    Feature(
        "`AssetAlias` as an outlet",
        scenarios.alias,
        finishing("outlets"),
        note="It gets what `outlet_events` is given in `pre_execute`.",
    ),
    Feature(
        "`Asset.ref(…)` as an outlet",
        scenarios.outlet_by_name,
        finishing("outlets"),
        on_2=dict.fromkeys(COLUMNS, ABSENT),
    ),
    Feature("assets as `inlets`", plain(inlets=[Asset("trim://inlet")])),
    Feature(
        "the link **Video**",
        tests=["tests/airflow/test_downstream.py::test_the_link_of_a_finished_task", f"{_LIVE}::test_a_cleared_task"],
    ),
    Feature(
        "OpenLineage facets",
        given_up=FINISHES,
        note="They are asked for in the worker that ends a task.",
        tests=[
            "tests/airflow/test_downstream.py::test_lineage_says_which_video_came_out_of_which",
            f"{_LIVE}::test_wait_that_ends_in_the_triggerer_starts_no_worker",
        ],
    ),
    Feature(
        "listeners (plugins)",
        tests=[
            f"{_LIVE}::test_wait_that_starts_in_the_triggerer_starts_one_worker",
            f"{_LIVE}::test_wait_that_ends_in_the_triggerer_starts_no_worker",
        ],
        given_up=FINISHES,
        note="They are called in the worker that ends a task.",
    ),
]

RUNS = [
    Feature("`dag.test()`", scenarios.output, note="All of the wait happens in that process."),
    Feature("`airflow dags test`", tests=[f"{_HERE}/test_combinations.py::test_dags_test"]),
    Feature(
        "`airflow tasks test`",
        tests=[f"{_HERE}/test_combinations.py::test_tasks_test"],
        note="A deferred wait is waited for in that process.",
    ),
    Feature("`airflow tasks render`", tests=[f"{_HERE}/test_combinations.py::test_tasks_render"]),
    Feature(
        "serialization, equal over hash seeds",
        tests=[f"{_HERE}/test_combinations.py::test_serialized_alike_by_any_process"],
    ),
    Feature("`pickle`, `copy.deepcopy`", tests=[f"{_HERE}/test_combinations.py::test_copies"]),
    Feature(
        "clearing a task that has ended",
        tests=[
            "tests/operators/test_video_operator_killed.py::test_cleared_after_success",
            f"{_LIVE}::test_a_cleared_task",
        ],
        note="`TrimVideoOperator` returns the trim that is there; the others query again.",
    ),
    Feature(
        "clearing or failing a deferred task",
        tests=[
            f"{_LIVE}::test_a_task_that_is_cleared_while_deferred",
            "tests/operators/test_video_operator_killed.py::test_killed_while_waiting",
        ],
        note="The trim goes on: the service has no call to cancel one.",
    ),
    Feature(
        "backfills, catchup, several runs",
        tests=[
            "tests/operators/test_video_operator.py::test_runs_and_map_indexes_submit_their_own",
            f"{_LIVE}::test_a_backfill",
        ],
        note="Each run submits its own trims.",
    ),
]

TABLE = {
    "Results": RESULTS,
    "Arguments": ARGUMENTS,
    "Mapped tasks": MAPPING,
    "The DAG's shape": SHAPES,
    "Code of your own": AUTHORS,
    "Options": OPTIONS,
    "Downstream": DOWNSTREAM,
    "Runs": RUNS,
}
"""Under its heading, every feature."""

FEATURES = [feature for features in TABLE.values() for feature in features]
