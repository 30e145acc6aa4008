# SPDX-License-Identifier: Apache-2.0
"""Templates that the triggerer renders, judged when the DAG is read: what it can't know, or never learns.

It renders them with Jinja's default settings, without the DAG's. Of what a template may request from Airflow's API, it
passes on a part (``ToTriggerSupervisor`` of Airflow 3.3.2), and the template hangs at the rest.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Set
from typing import TYPE_CHECKING, Any, NamedTuple

import airflow
from jinja2 import Environment, TemplateSyntaxError, nodes

if TYPE_CHECKING:
    from airflow_provider_trim.compat import BaseSensorOperator

ARE_RENDERED = not airflow.__version__.startswith(("2.", "3.0."))
"""Whether the wait gets what its templates render to: 3.1 and 3.2 begin it in a worker, which does."""

INSTEAD = "write deferrable=True instead of start_from_trigger=True"
"""What always works."""

_HANGS = f"hangs there; {INSTEAD}"
_UNKNOWN = f"is not known there; {INSTEAD}"
_NAMES = {
    **dict.fromkeys(("prev_start_date_success", "prev_end_date_success"), _HANGS),
    **dict.fromkeys(("prev_data_interval_start_success", "prev_data_interval_end_success"), _HANGS),
    **dict.fromkeys(("inlet_events", "task_state_store"), _HANGS),
    **dict.fromkeys(("triggering_asset_events", "asset_state_store"), _UNKNOWN),
}
"""By name in a template's context, what becomes of it."""
_METHODS = {
    **dict.fromkeys(("get_previous_dagrun", "get_first_reschedule_date", "get_task_breadcrumbs", "get_dag"), _HANGS),
    "get_previous_ti": _UNKNOWN,
}
"""Likewise of the task instance's methods; ``xcom_pull`` depends on its arguments."""
_TASK_INSTANCE = ("ti", "task_instance")
_BEGINNINGS = ("{{", "{%", "{#")
_OTHER_FILES: tuple[type[nodes.Node], ...] = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)
_ACCESSES: tuple[type[nodes.Node], ...] = (nodes.Getattr, nodes.Getitem, nodes.Filter)
_SETTINGS = ("finalize", "autoescape")
"""Of an environment: what changes a result, and can't be seen in a parsed template."""


class TriggererTemplates:
    """Which of a sensor's templates the triggerer can render.

    :param sensor: whose DAG says how they are written
    """

    def __init__(self, sensor: BaseSensorOperator) -> None:
        dag: Any = sensor.dag if sensor.has_dag() else None
        self._sensor = sensor
        self._has_settings = bool(getattr(dag, "jinja_environment_kwargs", None))
        self._macros = frozenset(getattr(dag, "user_defined_macros", None) or ())
        self._filters = frozenset(getattr(dag, "user_defined_filters", None) or ())

    def unsupported_reason(self, text: str) -> str:
        """Say why the triggerer can't render a text, and what to write instead; "" where it can."""
        if not self._has_settings and not any(beginning in text for beginning in _BEGINNINGS):
            return ""
        return self._why_not_rendered(text) if ARE_RENDERED else self._why_never_rendered(text)

    @functools.cached_property
    def _dags(self) -> Environment:
        return self._sensor.get_template_env()

    def _why_never_rendered(self, text: str) -> str:
        template = _parse(self._dags, text)
        is_template = template is None or not _is_text(template, text)
        version = ".".join(airflow.__version__.split(".")[:2])
        return f"cannot be a template on Airflow {version}, which does not render it; {INSTEAD}" if is_template else ""

    def _why_not_rendered(self, text: str) -> str:
        if not self._has_settings and (fault := _first_fault(text, self._own)) is not None:
            return fault
        template, in_worker = _parse(_triggerers()[0], text), _parse(self._dags, text)
        if in_worker is None:
            return ""  # as Airflow will say when it renders it
        if template is None or template != in_worker or (self._changes_values and not _is_text(template, text)):
            return f"is rendered there with Jinja's default settings instead of the DAG's; {INSTEAD}"
        return next(_faults(template, self._own), "")

    @functools.cached_property
    def _changes_values(self) -> bool:
        return any(getattr(self._dags, name) != getattr(_triggerers()[0], name) for name in _SETTINGS)

    @functools.cached_property
    def _own(self) -> _Own:
        own = _Own(self._macros, self._filters, frozenset())
        if not self._has_settings:
            return own
        triggerers, globals_ = _triggerers()  # extensions may have some more
        return _Own(
            own.macros | (self._dags.globals.keys() - globals_),
            own.filters | (self._dags.filters.keys() - triggerers.filters.keys()),
            self._dags.tests.keys() - triggerers.tests.keys(),
        )


class _Own(NamedTuple):
    """Names that the DAG has, and the triggerer has not."""

    macros: Set[str]
    filters: Set[str]
    tests: Set[str]


@functools.cache
def _triggerers() -> tuple[Environment, Set[str]]:
    """Return the environment of a trigger, as ``Templater`` makes it, without its global names; and these."""
    from airflow.sdk.definitions._internal.templater import SandboxedEnvironment

    environment = SandboxedEnvironment()
    globals_ = set(environment.globals)
    environment.globals.clear()  # of what is left here, Jinja does not say that a template uses it
    return environment, globals_


def _is_text(template: nodes.Template, text: str) -> bool:
    return "".join(part.data for part in template.find_all(nodes.TemplateData)) == text


def _parse(environment: Environment, text: str) -> nodes.Template | None:
    try:
        return environment.parse(text)
    except TemplateSyntaxError:
        return None


@functools.lru_cache(maxsize=4096)  # Airflow asks for the arguments of one sensor several times
def _first_fault(text: str, own: _Own) -> str | None:
    """Return what the triggerer can't do, "" if it can do all, or None if the text is no template to it."""
    template = _parse(_triggerers()[0], text)
    return None if template is None else next(_faults(template, own), "")


def _faults(template: nodes.Template, own: _Own) -> Iterator[str]:
    """Yield what the triggerer can't do."""
    if any(template.find_all(_OTHER_FILES)):
        yield f"uses another template's file, which is not known there; {INSTEAD}"
    for applied in template.find_all((nodes.Filter, nodes.Test)):
        if applied.name in (own.filters if isinstance(applied, nodes.Filter) else own.tests):
            yield f"uses {applied.name}, which {_UNKNOWN}"
    given = functools.cache(lambda: _of_the_context(template))  # which takes longer than all else
    names = {**dict.fromkeys(own.macros, _UNKNOWN), **_NAMES}
    used = {name.name for name in template.find_all(nodes.Name)} & names.keys()
    for name in sorted(used & given()) if used else ():
        yield f"uses {name}, which {names[name]}"
    yield from _faults_of_methods(template, given)


def _faults_of_methods(template: nodes.Template, given: Callable[[], Set[str]]) -> Iterator[str]:
    one_by_one = [
        call.node
        for call in template.find_all(nodes.Call)
        if call.dyn_kwargs or any(argument.key == "map_indexes" for argument in call.kwargs)
    ]
    accesses: Iterator[Any] = template.find_all(_ACCESSES)
    for access in accesses:
        name = _attribute(access)
        if name == "xcom_pull" and any(access is called for called in one_by_one):
            continue
        if (name != "xcom_pull" and name not in _METHODS) or not _may_be_task_instance(access.node, given):
            continue
        if name == "xcom_pull":
            yield "hangs at an xcom_pull without map_indexes; write xcom_pull(task_ids=…, map_indexes=-1)"
        else:
            yield f"uses {name}, which {_METHODS[name]}"


def _of_the_context(template: nodes.Template) -> Set[str]:
    """Return the names that a template has from its context, not from itself."""
    from jinja2.exceptions import TemplateAssertionError
    from jinja2.meta import find_undeclared_variables

    try:
        return find_undeclared_variables(template)
    except TemplateAssertionError:  # a filter that does not exist: Airflow will say so
        return frozenset()


def _attribute(access: Any) -> str:
    """Return the name of the attribute that is accessed; "" where it is none, or is computed."""
    if isinstance(access, nodes.Getattr):
        return access.attr
    if isinstance(access, nodes.Filter) and access.name != "attr":
        return ""
    argument = access.arg if isinstance(access, nodes.Getitem) else next(iter(access.args), None)
    return str(argument.value) if isinstance(argument, nodes.Const) else ""


def _may_be_task_instance(node: Any, given: Callable[[], Set[str]]) -> bool:
    """Return whether an expression may be the task instance.

    :param given: returns the names that the template has from its context
    """
    if isinstance(node, nodes.Name):
        return node.name in _TASK_INSTANCE or node.name not in given()
    if isinstance(node, nodes.Getattr | nodes.Getitem):  # of what Airflow gives, none is another task instance
        owner = node.node
        return not (isinstance(owner, nodes.Name) and owner.name in given()) and _may_be_task_instance(owner, given)
    if isinstance(node, nodes.Filter):
        return _may_be_task_instance(node.node, given)
    return not isinstance(node, nodes.Call)
