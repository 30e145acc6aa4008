# SPDX-License-Identifier: Apache-2.0
"""Validators that several models have, and what pydantic found wrong, in the words of this package's own checks."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BeforeValidator, ValidationError
from pydantic_core import PydanticCustomError

_Value = TypeVar("_Value")

NATIVE_RENDERING = "native rendering (render_template_as_native_obj) makes such a value of a text that looks like one"
"""For the message about a number or a boolean in the place of a text."""


def plain(value: object) -> Any:
    """Return a number or a text as Python's own type; anything else as it is."""
    if isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real | Decimal):
        try:
            return float(value)
        except (OverflowError, ValueError):  # beyond all floats, or a signaling NaN
            return value
    # Of an enumeration's member, str() is its name.
    return "".join(value) if isinstance(value, str) else value


class Problem(NamedTuple):
    """The first thing that is wrong with a value."""

    path: tuple[str, ...]
    """Of the field, from the outside in; empty where the value as a whole is wrong."""
    text: str
    """Such as ``must be a valid integer``; never the value itself, which may be a secret."""
    unknown: bool
    """Whether there is no such field."""


_EXPLAINED = ("value_error", "literal_error", "extra_forbidden", "string_unicode")
"""Types of errors whose text says what is wrong: those of this package's own checks, for example."""


_OF_JSON = {
    **dict.fromkeys(("model_type", "dict_type"), "must be an object"),
    **dict.fromkeys(("tuple_type", "list_type"), "must be an array"),
}
"""By type of an error about a JSON value, what to say where pydantic names Python's types and our classes."""


def first_problem(error: ValidationError, allowed: Mapping[str, str] | None = None) -> Problem:
    """Return the first of a validation's errors.

    :param allowed: by field of a model of this package, what to say instead of pydantic's own words
    """
    first = error.errors(include_url=False, include_input=False)[0]
    path = tuple(str(part) for part in first["loc"])
    text = _OF_JSON.get(first["type"]) or first["msg"].removeprefix("Value error, ").replace(
        "Input should ", "must "
    ).replace(" should ", " must ")
    if first["type"] == "missing" and allowed:
        text = "must be given"
    elif path and allowed and first["type"] not in _EXPLAINED:
        text = allowed.get(path[0], text)
    elif not path and allowed:  # a model's own check of several fields, which begins with the name of one
        name, _, text = text.partition(": ")
        path = (name,)
    return Problem(path, text, first["type"] == "extra_forbidden")


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


Optional = Annotated[_Value | None, BeforeValidator(_empty_is_none)]
"""A value that may be None, or an empty text, which is None."""


def on_text(change: Callable[[str], str]) -> BeforeValidator:
    """Return a validator that changes a text, and leaves anything else to those after it."""
    return BeforeValidator(lambda value: change(value) if isinstance(value, str) else value)


def number(value: object) -> object:
    """Refuse True and False, which Python counts as numbers."""
    if isinstance(value, bool):
        raise PydanticCustomError("bool_type", "must be a number")
    return value
