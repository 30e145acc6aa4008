# SPDX-License-Identifier: Apache-2.0
"""What pydantic found wrong, in the words of this package's own checks."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import ValidationError


class Problem(NamedTuple):
    """The first thing that is wrong with a value."""

    path: tuple[str, ...]
    """Of the field, from the outside in; empty where the value as a whole is wrong."""
    text: str
    """Such as ``must be a valid integer``; never the value itself, which may be a secret."""
    unknown: bool
    """Whether there is no such field."""


def first_problem(error: ValidationError) -> Problem:
    """Return the first of a validation's errors."""
    first = error.errors(include_url=False, include_input=False)[0]
    text = first["msg"].removeprefix("Value error, ").replace("Input should ", "must ").replace(" should ", " must ")
    return Problem(tuple(str(part) for part in first["loc"]), text, first["type"] == "extra_forbidden")
