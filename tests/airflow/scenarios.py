# SPDX-License-Identifier: Apache-2.0
"""What authors build around a wait, for any of our classes in any mode, and what must come of it.

Each scenario adds tasks to the DAG that is being made and returns what each of them must show: the name of the video
that came out, or a list of such; what a task of the author's returned; or the state of one that did not succeed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import (
    Asset,
    AssetAlias,
    TaskGroup,
    chain,
    setup,
    task,
    task_group,
    teardown,
)
from pendulum import duration

from airflow_provider_trim.operators.trim import TrimVideoInfoOperator, TrimVideoOperator
from airflow_provider_trim.sensors.trim import TrimTaskStatusSensor

Shown = dict[str, Any]
Scenario = Callable[["Cell"], Shown]


@dataclass(frozen=True)
class Column:
    """One of our classes in one mode.

    :param name: for test ids
    :param how: the arguments that make the mode
    """

    name: str
    kind: Any
    how: Mapping[str, Any]


COLUMNS = {
    column.name: column
    for column in (
        Column("poke", TrimTaskStatusSensor, {"mode": "poke", "deferrable": False}),
        Column("reschedule", TrimTaskStatusSensor, {"mode": "reschedule", "deferrable": False}),
        Column("deferrable", TrimTaskStatusSensor, {"deferrable": True}),
        Column("start", TrimTaskStatusSensor, {"start_from_trigger": True}),
        Column("finish", TrimTaskStatusSensor, {"finish_in_triggerer": True}),
        Column("both", TrimTaskStatusSensor, {"start_from_trigger": True, "finish_in_triggerer": True}),
        Column("info", TrimVideoInfoOperator, {"deferrable": False}),
        Column("info-deferrable", TrimVideoInfoOperator, {"deferrable": True}),
        Column("video", TrimVideoOperator, {"deferrable": False}),
        Column("video-deferrable", TrimVideoOperator, {"deferrable": True}),
    )
}


@dataclass
class Cell:
    """A column in a scenario: makes tasks, and keeps what their clips are called.

    :param prefix: of all clips, to tell them from those of other scenarios
    :param clips: which trims the tasks expect to be there
    :param called: what callbacks and hooks leave here
    :param fails_at_first: the service responds the first query by an error, or the first trim fails
    """

    column: Column
    prefix: str
    clips: list[str] = field(default_factory=list)
    called: list[str] = field(default_factory=list)
    fails_at_first: bool = False

    @property
    def submits(self) -> bool:
        return self.column.kind is TrimVideoOperator

    @property
    def field(self) -> str:
        """The parameter that says which clip it is about."""
        return "filename" if self.submits else "trans_no"

    def id(self, name: str) -> str:
        return f"{self.column.name}_{name}"

    def clip(self) -> str:
        """Return a new value of :attr:`field`; the video that comes out is called :func:`named` after it."""
        clip = f"{self.prefix}-{self.column.name}-{len(self.clips)}"
        self.clips.append(clip)
        return clip

    def named(self, clip: str) -> str:
        return clip if self.submits else f"trim-{clip}"

    def arguments(self, **arguments: Any) -> dict[str, Any]:
        interval = "poke_interval" if self.column.kind is TrimTaskStatusSensor else "poll_interval"
        trim = {"video_id": "V1", "seek_start": 30, "duration": 12, "first_poll_after": 0.05} if self.submits else {}
        return {interval: 0.05, "timeout": 300, **trim, **self.column.how, **arguments}

    @property
    def wrong(self) -> dict[str, Any]:
        """Arguments with which a task fails."""
        return {"seek_start": -1, "filename": "never"} if self.submits else {"trans_no": "x" * 33}

    def task(self, name: str = "wait", kind: Any = None, **arguments: Any) -> Any:
        if self.field not in arguments:
            arguments[self.field] = self.clip()
        return (kind or self.column.kind)(task_id=self.id(name), **self.arguments(**arguments))

    def note(self, name: str) -> Callable[..., None]:
        """Return a callback that leaves its name in :attr:`called`."""
        return lambda *context, **more: self.called.append(name)

    def partial(self, name: str = "wait", **arguments: Any) -> Any:
        return self.column.kind.partial(task_id=self.id(name), **self.arguments(**arguments))

    def upstream(self, value: Any, name: str = "up") -> Any:
        """Add a task that returns a value."""

        @task(task_id=self.id(name))
        def up() -> Any:
            return value

        return up()

    def name_of(self, video: Any, name: str = "after", **arguments: Any) -> Any:
        """Add a task that returns the name of the video that it is given."""

        @task(task_id=self.id(name), **arguments)
        def after(video: Any) -> str:
            return str(video["videoName"])

        return after(video)

    def shows(self, **more: Any) -> Shown:
        """Return what is expected of the task called ``wait``, unless there is none, and of others by their names."""
        names = [self.named(clip) for clip in self.clips]
        expected = {"wait": names[0] if len(names) == 1 else names, **more}
        return {self.id(name): value for name, value in expected.items() if value is not None}


def plain(**arguments: Any) -> Scenario:
    """One task with these arguments."""

    def scenario(cell: Cell) -> Shown:
        cell.task(**arguments)
        return cell.shows()

    return scenario


# --- results ---


def output(cell: Cell) -> Shown:
    cell.name_of(cell.task().output)
    return cell.shows(after=cell.named(cell.clips[0]))


def key_of_output(cell: Cell) -> Shown:
    @task(task_id=cell.id("after"))
    def after(trans_no: Any) -> bool:
        return isinstance(trans_no, str)

    after(cell.task().output["trans_no"])
    return cell.shows(after=True)


def multiple_outputs(cell: Cell) -> Shown:
    @task(task_id=cell.id("after"))
    def after(name: Any) -> Any:
        return name

    after(cell.task(multiple_outputs=True).output["videoName"])
    return cell.shows(after=cell.named(cell.clips[0]))


def _several(cell: Cell) -> Any:
    """Add waits for two clips, in one task where that takes a list, and return their output."""
    clips = [cell.clip(), cell.clip()]
    if cell.submits:
        return cell.partial().expand(filename=clips).output
    return cell.task(trans_no=clips).output


def _names(cell: Cell) -> list[str]:
    return [cell.named(clip) for clip in cell.clips]


def map_over_output(cell: Cell) -> Shown:
    @task(task_id=cell.id("after"))
    def after(name: Any) -> Any:
        return name

    after.expand(name=_several(cell).map(lambda info: info["videoName"]))
    return cell.shows(after=_names(cell))


def zip_outputs(cell: Cell) -> Shown:
    @task(task_id=cell.id("after"))
    def after(pair: Any) -> Any:
        return [pair[0], pair[1]["videoName"]]

    after.expand(pair=cell.upstream([1, 2]).zip(_several(cell)))
    return cell.shows(up=[1, 2], after=[[1, _names(cell)[0]], [2, _names(cell)[1]]])


def concat_outputs(cell: Cell) -> Shown:
    @task(task_id=cell.id("after"))
    def after(info: Any) -> Any:
        return info["videoName"]

    after.expand(info=_several(cell).concat(cell.upstream([{"videoName": "own"}])))
    return cell.shows(up=["own"], after=[*_names(cell), "own"])


def expand_task_over_output(cell: Cell) -> Shown:
    @task(task_id=cell.id("after"))
    def after(info: Any) -> Any:
        return info["videoName"]

    after.expand(info=_several(cell))
    return cell.shows(after=_names(cell))


# --- arguments from other tasks ---


def argument_from_output(cell: Cell) -> Shown:
    clip = cell.clip()
    cell.task(**{cell.field: cell.upstream(clip)})
    return cell.shows(up=clip)


def argument_by_template(pull: str) -> Scenario:
    def scenario(cell: Cell) -> Shown:
        clip = cell.clip()
        up = cell.upstream(clip)
        up >> cell.task(**{cell.field: f"{{{{ ti.xcom_pull({pull % cell.id('up')}) }}}}"})
        return cell.shows(up=clip)

    return scenario


def list_by_template(cell: Cell) -> Shown:
    clips = [cell.clip(), cell.clip()]
    pull = f"{{{{ ti.xcom_pull(task_ids='{cell.id('up')}', map_indexes=-1) }}}}"
    cell.upstream(clips) >> cell.task(trans_no=pull)
    return cell.shows(up=clips)


def submitted_by_another(cell: Cell) -> Shown:
    """A clip that one task submits and another one waits for."""
    submit = TrimVideoOperator(
        task_id=cell.id("up"),
        video_id="V1",
        seek_start=30,
        duration=12,
        filename=cell.id("submitted"),
        wait_for_completion=False,
    )
    cell.name_of(cell.task(trans_no=submit.output).output)
    name = cell.id("submitted")
    return {cell.id("wait"): name, cell.id("after"): name}


def connection_from_output(cell: Cell) -> Shown:
    cell.task(trim_conn_id=cell.upstream("trim_default"))
    return cell.shows(up="trim_default")


def outputs_in_a_list(cell: Cell) -> Shown:
    clips = [cell.clip(), cell.clip()]
    cell.task(trans_no=[cell.upstream(clips[0]), clips[1]])
    return cell.shows(up=clips[0])


def durations(cell: Cell) -> Shown:
    interval = "poke_interval" if cell.column.kind is TrimTaskStatusSensor else "poll_interval"
    times = {"seek_start": duration(minutes=1), "duration": timedelta(seconds=3)} if cell.submits else {}
    limits = {interval: duration(seconds=0.05), "timeout": timedelta(minutes=5), "first_poll_after": timedelta(0)}
    cell.task(**limits, **times)
    return cell.shows()


def number_by_template(cell: Cell) -> Shown:
    cell.task(timeout="{{ params.timeout }}")
    return cell.shows()


def switch_as_text(cell: Cell) -> Shown:
    cell.task(deferrable="false")
    return cell.shows()


def callable_argument(cell: Cell) -> Shown:
    """Airflow calls what a template field is given."""
    clip = cell.clip()
    cell.task(**{cell.field: lambda context, jinja_env: clip})
    return cell.shows()


# --- mapping ---


def expand(cell: Cell) -> Shown:
    clips = [cell.clip(), cell.clip()]
    cell.partial().expand(**{cell.field: cell.upstream(clips)})
    return cell.shows(up=clips)


def expand_literally(cell: Cell) -> Shown:
    cell.partial().expand(**{cell.field: [cell.clip(), cell.clip()]})
    return cell.shows()


def expand_kwargs(cell: Cell) -> Shown:
    clips = [cell.clip(), cell.clip()]
    cell.partial().expand_kwargs(cell.upstream([{cell.field: clip} for clip in clips], name="kwargs"))
    return cell.shows()


def expand_over_two(cell: Cell) -> Shown:
    clips = [cell.clip(), cell.clip()]
    cell.partial().expand(**{cell.field: clips, "trim_conn_id": ["trim_default"]})
    return cell.shows()


def mapped_clips_as_a_list(cell: Cell) -> Shown:
    """Clips that mapped tasks submit, and one task waits for."""
    submit = TrimVideoOperator.partial(
        task_id=cell.id("submit"), video_id="V1", seek_start=30, duration=12, wait_for_completion=False
    ).expand(filename=[cell.id("a"), cell.id("b")])
    cell.task(trans_no=submit.output)
    return {cell.id("wait"): [cell.id("a"), cell.id("b")]}


def result_as_clips(cell: Cell) -> Shown:
    """Clips that are cut out of the videos of others."""
    cut = TrimVideoOperator.partial(
        task_id=cell.id("cut"), seek_start=0, duration=1, poll_interval=0.05, first_poll_after=0.05
    )
    source = _several(cell).map(lambda info: {"video_id": info["videoId"], "filename": f"of {info['videoName']}"})
    cut.expand_kwargs(source)
    return cell.shows(cut=[f"of {name}" for name in _names(cell)])


def expand_over_lists(cell: Cell) -> Shown:
    first, second, third = cell.clip(), cell.clip(), cell.clip()
    cell.partial().expand(trans_no=[[first, second], [third]])
    a, b, c = _names(cell)
    return cell.shows(wait=[[a, b], [c]])


def expand_over_nothing(cell: Cell) -> Shown:
    cell.partial().expand(**{cell.field: cell.upstream([])})
    return {cell.id("wait"): "skipped"}


def ignored_failure(cell: Cell) -> Shown:
    """What failed is None, also where it is mapped over."""

    @task(task_id=cell.id("after"))
    def after(info: Any) -> Any:
        return info and info["videoName"]

    clip = cell.clip()
    after.expand(info=cell.task(trans_no=[clip, "unknown"], on_failure="ignore").output)
    return cell.shows(wait=[cell.named(clip), None], after=[cell.named(clip), None])


def mapped_group(cell: Cell) -> Shown:
    clips = [cell.clip(), cell.clip()]

    @task_group(group_id=cell.id("group"))
    def waits(clip: Any) -> None:
        cell.name_of(cell.task(**{cell.field: clip}).output)

    waits.expand(clip=clips)
    names = [cell.named(clip) for clip in clips]
    return {f"{cell.id('group')}.{cell.id(name)}": names for name in ("wait", "after")}


def map_index_template(cell: Cell) -> Shown:
    template = f"{{{{ task.{cell.field} }}}}"
    cell.partial(map_index_template=template).expand(**{cell.field: [cell.clip(), cell.clip()]})
    return cell.shows()


# --- the shape of the DAG ---


def group(cell: Cell) -> Shown:
    with TaskGroup(cell.id("group"), default_args={"retries": 1}):
        cell.name_of(cell.task().output)
    (name,) = _names(cell)
    return {f"{cell.id('group')}.{cell.id(one)}": name for one in ("wait", "after")}


def between_setup_and_teardown(cell: Cell) -> Shown:
    @setup
    @task(task_id=cell.id("setup"))
    def begin() -> str:
        return "begun"

    @teardown
    @task(task_id=cell.id("teardown"))
    def end() -> str:
        return "ended"

    begin() >> cell.task() >> end()
    return cell.shows(setup="begun", teardown="ended")


def as_setup_and_as_teardown(cell: Cell) -> Shown:
    first, last = cell.task("first").as_setup(), cell.task("last")
    first >> cell.upstream("worked", "work") >> last.as_teardown(setups=first)
    return cell.shows(wait=None, first=_names(cell)[0], work="worked", last=_names(cell)[1])


def branching(cell: Cell) -> Shown:
    @task.branch(task_id=cell.id("branch"))
    def branch() -> str:
        return cell.id("wait")

    branch() >> [cell.task(), cell.task("other", **{cell.field: "never"}), cell.upstream("never", "another")]
    return cell.shows(other="skipped", another="skipped")


def trigger_rules(cell: Cell) -> Shown:
    """A wait that runs because another task has failed, and a task that runs because a wait has."""

    @task(task_id=cell.id("fails"))
    def fails() -> None:
        raise ValueError("as planned")

    wait = cell.task(trigger_rule="one_failed")
    fails() >> wait
    broken = cell.task("broken", **cell.wrong)

    @task(task_id=cell.id("after"), trigger_rule="all_failed")
    def after() -> str:
        return "ran"

    broken >> after()
    return cell.shows(wait=_names(cell)[0], fails="failed", broken="failed", after="ran")


def chained(cell: Cell) -> Shown:
    chain(cell.task("first"), [cell.task("second"), cell.task("third")], cell.upstream("joined", "join"))
    first, second, third = _names(cell)
    return cell.shows(wait=None, first=first, second=second, third=third, join="joined")


# --- what a task may ask for ---


def default_args(cell: Cell) -> Shown:
    """Shared by all three classes, and mapped tasks; each takes what it knows."""
    shared = {
        "trim_conn_id": "trim_default",
        "poke_interval": 0.05,
        "poll_interval": 0.05,
        "timeout": 300,
        "retries": 1,
    }
    with TaskGroup(cell.id("group"), default_args={**shared, "max_consecutive_failures": 5}, prefix_group_id=False):
        wait = cell.task()
        mapped = cell.partial("mapped").expand(**{cell.field: [cell.clip()]})
        assert (wait.max_consecutive_failures, mapped.unmap({cell.field: "T"}).max_consecutive_failures) == (5, 5)
    first, second = _names(cell)
    return cell.shows(wait=first, mapped=[second])


def hooks(*names: str) -> Scenario:
    """Callbacks and hooks of a task that succeeds."""

    def scenario(cell: Cell) -> Shown:
        cell.task(**{name: cell.note(name) for name in names})
        return {**cell.shows(), CALLED: set(names)}

    return scenario


def failing_hooks(cell: Cell) -> Shown:
    cell.task(on_failure_callback=cell.note("on_failure_callback"), **cell.wrong)
    return {**cell.shows(wait="failed"), CALLED: {"on_failure_callback"}}


CALLED = "called"
"""Under this name a scenario says which callbacks must have been called."""


def _with_fields(kind: Any) -> Any:
    """An author's own version: another default, and a template field."""

    class Fields(kind):
        template_fields = (*kind.template_fields, "ending")

        def __init__(self, *, ending: str = "", max_consecutive_failures: int = 3, **arguments: Any) -> None:
            super().__init__(max_consecutive_failures=max_consecutive_failures, **arguments)
            self.ending = ending

    return Fields


def _with_methods(kind: Any) -> Any:
    """One that does something with the result."""

    class Methods(_with_fields(kind)):  # type: ignore[misc]
        def execute(self, context: Any) -> Any:
            return self.mine(super().execute(context))

        def execute_complete(self, context: Any, event: Any = None, trans_no: Any = None) -> Any:
            return self.mine(super().execute_complete(context, event, trans_no))

        def mine(self, info: Any) -> Any:
            return {"videoName": info["videoName"] + self.ending}

    return Methods


def subclass_with_fields(cell: Cell) -> Shown:
    cell.task(kind=_with_fields(cell.column.kind), ending="{{ '-mine' }}")
    return cell.shows()


def subclass_with_methods(cell: Cell) -> Shown:
    cell.task(kind=_with_methods(cell.column.kind), ending="{{ '-mine' }}")
    return cell.shows(wait=f"{_names(cell)[0]}-mine")


def parameter(cell: Cell) -> Shown:
    clip = cell.clip()
    cell.task(**{cell.field: "{{ params.clip }}", "params": {"clip": clip}})
    return cell.shows()


def macros(cell: Cell) -> Shown:
    """``user_defined_macros`` of the DAG; the suite's DAGs have one that is called ``clip_named``."""
    clip = cell.clip()
    cell.task(**{cell.field: f"{{{{ clip_named('{clip}') }}}}"})
    return cell.shows()


def alias(cell: Cell) -> Shown:
    cell.task(outlets=[AssetAlias(cell.id("alias"))])
    return cell.shows()


def outlet(cell: Cell) -> Shown:
    cell.task(outlets=[Asset(f"trim://{cell.prefix}/{cell.column.name}")])
    return cell.shows()


def retries(cell: Cell) -> Shown:
    """The first try fails for a reason that may pass."""
    cell.fails_at_first = True
    backoff = {"retries": 2, "retry_delay": timedelta(milliseconds=50), "retry_exponential_backoff": True}
    cell.task(
        max_consecutive_failures=1,
        max_retry_delay=timedelta(milliseconds=100),
        on_retry_callback=cell.note("on_retry_callback"),
        **backoff,
    )
    return {**cell.shows(), CALLED: {"on_retry_callback"}}


def outlet_by_name(cell: Cell) -> Shown:
    name = cell.id("outlet")

    @task(task_id=cell.id("up"), outlets=[Asset(name=name, uri=f"trim://by-name/{name}")])
    def up() -> str:
        return "announced"

    up() >> cell.task(outlets=[Asset.ref(name=name)])
    return cell.shows(up="announced")


def nothing_pushed(cell: Cell) -> Shown:
    cell.task(do_xcom_push=False)
    return {cell.id("wait"): None}
