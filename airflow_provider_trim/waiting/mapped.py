# SPDX-License-Identifier: Apache-2.0
"""Arguments of mapped tasks, as each of them will have them."""

from __future__ import annotations

import difflib
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

from airflow_provider_trim.compat import BaseOperator, XComArg
from airflow_provider_trim.waiting.options import TEXTS, to_reusable

Check = Callable[[Mapping[str, Any]], None]
"""Checks what is known of a task's arguments; raises ``ValueError``."""

PACKAGE = __name__.partition(".")[0]

_UNKNOWN = object()
"""Stands for an argument whose value is not known yet."""

_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _parameters(kind: type) -> list[inspect.Parameter]:
    parameters = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
    return [it for it in parameters if it.kind in _NAMED and it.name != "self"]


def own_parameters(kind: type) -> set[str]:
    """Return the names of an operator's parameters that Airflow's base operator does not have."""
    kinds = kind.__mro__[: kind.__mro__.index(BaseOperator)]
    return {it.name for one in kinds if "__init__" in vars(one) for it in _parameters(one)}


def _authors_parameters(kind: type) -> set[str]:
    """Return parameters that an author's own class has declared; only that class knows what they may be."""
    own = itertools.takewhile(lambda one: not one.__module__.startswith(f"{PACKAGE}."), kind.__mro__)
    return {it.name for one in own if "__init__" in vars(one) for it in _parameters(one)}


def checkable(kind: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those arguments whose values this package can check."""
    theirs = _authors_parameters(kind)
    return {name: value for name, value in arguments.items() if name not in theirs}


def reusable(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments that all mapped tasks can read: of an iterator, all but the first would get nothing."""
    return {name: to_reusable(value) if name == "trans_no" else value for name, value in arguments.items()}


def _reusable_lists(mapped: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``expand()`` likewise."""
    values = mapped.get("trans_no")
    if not isinstance(values, Sequence) or isinstance(values, TEXTS):
        return {**mapped}
    parts = map(to_reusable, values)
    return {**mapped, "trans_no": tuple(parts) if isinstance(values, tuple) else list(parts)}


def _reusable_dicts(tasks: Any) -> Any:
    """Return the argument of ``expand_kwargs()`` likewise."""
    if not isinstance(tasks, Sequence) or isinstance(tasks, TEXTS):
        return tasks
    parts = (reusable(one) if isinstance(one, Mapping) else one for one in tasks)
    return tuple(parts) if isinstance(tasks, tuple) else list(parts)


def with_default_args(kind: type, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``partial()`` with what their own ``default_args`` say.

    Airflow takes from these what its base operator knows, and drops the rest (2.11.2, 3.3.2).
    """
    defaults = arguments.get("default_args") or {}
    return {**{name: defaults[name] for name in own_parameters(kind) & set(defaults)}, **arguments}


def mapped_arguments(kind: type, partial: Any) -> dict[str, Any]:
    """Return all arguments that are known before the task is mapped, the DAG's and the group's defaults among them.

    :param partial: the checked ``OperatorPartial``, which has of these what its base operator knows
    """
    dag, group = partial.kwargs.get("dag"), partial.kwargs.get("task_group")
    defaults = {
        **(getattr(dag, "default_args", None) or {}),
        **(getattr(group, "default_args", None) or {}),
        **(partial.given.get("default_args") or {}),
    }
    # Airflow 2.11.2 takes the base operator's "multiple_outputs" of these only when the task runs.
    names = {"multiple_outputs", *own_parameters(kind)} & set(defaults)
    return {**{name: defaults[name] for name in names}, **partial.kwargs}


def checked_partial(partial: Any, given: Mapping[str, Any], check: Check) -> Any:
    """Return an ``OperatorPartial`` whose ``expand()`` and ``expand_kwargs()`` check what they are given literally.

    What other tasks return is checked when it is there.

    :param partial: Airflow's own, which is done with
    :param given: the arguments that the DAG's author gave to ``partial()``
    """
    partial._expand_called = True  # Airflow would warn that it never was
    checked = _checked_class(type(partial))(
        operator_class=partial.operator_class, kwargs=partial.kwargs, params=partial.params
    )
    checked.given, checked.check = given, check
    return checked


# Longer than other functions: the base of the class is known only when a DAG is read.
def _checked_class(base: Any) -> Any:
    class CheckedOperatorPartial(base):  # type: ignore[misc]
        """Airflow has no hook for this: its ``MappedOperator`` makes the first task in a worker (2.11.2, 3.3.2)."""

        given: Mapping[str, Any]
        check: Check

        def expand(self, **mapped: Any) -> Any:
            mapped = _reusable_lists(mapped)
            for name in mapped.keys() & self._defaults():
                del self.kwargs[name]
            self._check_each(_of_lists(mapped))
            return super().expand(**mapped)

        def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> Any:
            kwargs = self._with_overridden_defaults(_reusable_dicts(kwargs))
            taken = set(self.kwargs) if strict else set()
            self._check_each(_of_dicts(self.operator_class, kwargs, taken))
            return super().expand_kwargs(kwargs, strict=strict)

        def _defaults(self) -> Set[str]:
            """Return the arguments that ``default_args`` gave to ``partial()``, which a mapped one overrides."""
            return (set(self.kwargs) - set(self.given)) & own_parameters(self.operator_class)

        def _with_overridden_defaults(self, tasks: Any) -> Any:
            """Move defaults that a task overrides to all tasks: Airflow refuses what ``partial()`` gives as well."""
            if not (isinstance(tasks, Sequence) and all(isinstance(one, Mapping) for one in tasks)):
                return tasks
            moved = {name: self.kwargs.pop(name) for name in self._defaults() & set().union(*tasks)}
            return [{**moved, **one} for one in tasks] if moved else tasks

        def _check_each(self, tasks: Iterator[tuple[str, Mapping[str, Any]]]) -> None:
            """Check the literal arguments of tasks, each with the place where it is given."""
            known = mapped_arguments(self.operator_class, self)
            required = {it.name for it in _parameters(self.operator_class) if it.default is it.empty}
            self._expand_called = True  # or Airflow would warn, too, that it never was
            for place, arguments in tasks:
                literal = {name: value for name, value in arguments.items() if _is_literal(value)}
                try:
                    _check_given(required, {**known, **arguments})
                    _check_not_empty(required, checkable(self.operator_class, {**known, **arguments}))
                    self.check(checkable(self.operator_class, {**known, **literal}))
                except ValueError as error:
                    raise ValueError(f"{error} ({place})") from None

    return CheckedOperatorPartial


def _is_literal(value: object) -> bool:
    return value is not _UNKNOWN and not isinstance(value, XComArg)


def _of_lists(mapped: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield tasks that have one argument of ``expand()`` each; whatever the others are, it must be right."""
    others = dict.fromkeys(mapped, _UNKNOWN)
    yield "expand()", others
    for name, values in mapped.items():
        if isinstance(values, Sequence | Mapping) and not isinstance(values, str | bytes):
            for place, value in enumerate(values.items() if isinstance(values, Mapping) else values):
                yield f"expand(), {name}[{place}]", {**others, name: value}


def _of_dicts(kind: type, tasks: Any, taken: Set[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tasks of ``expand_kwargs()``.

    :param taken: names that must not be among them
    """
    names = own_parameters(kind) | {it.name for it in _parameters(BaseOperator)}
    for place, arguments in enumerate(tasks if isinstance(tasks, Sequence) else ()):
        if not isinstance(arguments, Mapping):
            continue  # another task's output, or what Airflow refuses
        where = f"expand_kwargs(), element {place}"
        for name, value in arguments.items():
            if isinstance(value, XComArg):  # neither a dependency, nor rendered (2.11.2, 3.3.2)
                raise ValueError(
                    f"{name} is another task's output, which Airflow does not resolve here; write expand({name}=…), or "
                    f"have that task return what expand_kwargs() is given ({where})"
                )
            if name not in names:
                close = difflib.get_close_matches(str(name), names, 1)
                instead = f", or write {close[0]!r}" if close else ""
                raise ValueError(f"{name!r} is no argument of {kind.__name__}; remove it{instead} ({where})")
            if name in taken:
                raise ValueError(f"{name} is given by partial() as well, or can't be mapped; remove it here ({where})")
        yield where, arguments


def _check_given(required: Set[str], arguments: Mapping[str, Any]) -> None:
    for name in required:
        if name not in arguments:
            raise ValueError(f"{name} must be given, by partial() or for each mapped task")


def _check_not_empty(required: Set[str], arguments: Mapping[str, Any]) -> None:
    for name in required & arguments.keys():
        value = arguments[name]
        if value is None or (isinstance(value, str) and not value):
            raise ValueError(f"{name} is empty, and must be given")
