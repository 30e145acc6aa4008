# SPDX-License-Identifier: Apache-2.0
"""Values as templates leave them, read as a person means them.

Jinja makes text of everything: of a value that is missing, the text ``None``; of a list, its Python notation. Native
rendering (``render_template_as_native_obj``) makes a number of digits, and leaves Jinja's own object in the place of a
value that is missing. XComs bring numpy's types along.
"""

from __future__ import annotations

import ast
import contextlib
import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Undefined

from airflow_provider_trim.vod.errors import TransNoEmptyError, TransNoIllegalError, TrimParameterError
from airflow_provider_trim.vod.protocol import TRANS_NO_MAX_LENGTH, check_trans_no
from airflow_provider_trim.vod.redaction import truncate
from airflow_provider_trim.vod.validation import NATIVE_RENDERING, plain
from airflow_provider_trim.waiting.options import TEXTS, shown

MAX_LIST_TEXT = 2**20
"""Characters of a list that was rendered as text; Python's notation takes much memory to parse."""

_BRACKETS = {"[": "]", "(": ")", "{": "}"}
_CHECK_TEMPLATE = "check what the template refers to"


def is_missing(value: object) -> bool:
    """Return whether a value counts as not given."""
    return value is None or isinstance(value, Undefined) or (isinstance(value, str) and value.strip() in ("", "None"))


def _fault_of_missing(value: object, otherwise: str) -> str:
    if isinstance(value, Undefined):
        name = value._undefined_name
        return f"is undefined{'' if name is None else f' ({truncate(repr(name), 80)})'}; {_CHECK_TEMPLATE}"
    if isinstance(value, str) and value.strip():
        return f"is the text 'None', as a template renders a value that is missing; {_CHECK_TEMPLATE}"
    return otherwise


def optional(value: object) -> Any:
    """Return a value that may be left out, None where it is missing."""
    return None if is_missing(value) else plain(value)


def required(name: str, value: object) -> Any:
    """Return a value that must be there.

    :param name: the argument's name, for the message
    :raises TrimParameterError: it is missing
    """
    if is_missing(value):
        what = _fault_of_missing(value, "is empty, and must be given")
        raise TrimParameterError(f"{name}: {what}", parameter=name)
    return plain(value)


def connection_id(value: object) -> str:
    """Return ``trim_conn_id``.

    :raises TrimParameterError: it is missing, or no text
    """
    given = required("trim_conn_id", value)
    with contextlib.suppress(ValueError):  # an integer of more digits than Python writes
        if isinstance(given, str) or type(given) is int:
            return str(given).strip()
    text = f"trim_conn_id: must be the id of a connection, such as 'trim_default', not {shown(given)}"
    raise TrimParameterError(text, parameter="trim_conn_id")


def trans_nos(value: object) -> tuple[tuple[str, ...], bool]:
    """Read one transNo or several.

    :returns: the transNos, and whether they were a list
    :raises TransNoEmptyError: one is missing
    :raises TransNoIllegalError: one is no text, too long, or holds what can't be sent or stored
    """
    parts = _listed(value) if isinstance(value, str) else value
    if isinstance(parts, Mapping):
        fields = truncate(", ".join(map(str, itertools.islice(parts, 5))), 80)
        raise TransNoIllegalError(
            f"trans_no must be a string or a list, not an object ({fields}); name its field that is one"
        )
    # Jinja's Undefined can be iterated over as if it were an empty list.
    if isinstance(parts, Iterable) and not isinstance(parts, (*TEXTS, Undefined)):
        return tuple(_trans_no(part, f"trans_no[{place}]") for place, part in enumerate(parts)), True
    return (_trans_no(parts, "trans_no"),), False


def _listed(text: str) -> object:
    """Return the list that a text is the notation of, in JSON or in Python, or else the text."""
    stripped = text.strip()
    if not stripped or _BRACKETS.get(stripped[0]) != stripped[-1] or len(stripped) > MAX_LIST_TEXT:
        return text
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(stripped)
        # What neither can read is a transNo with brackets in it, and refused for its length if it is long.
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
        if isinstance(value, list | tuple | set | Mapping):
            return sorted(value, key=str) if isinstance(value, set) else value
    return text


def _trans_no(value: object, name: str) -> str:
    if is_missing(value):
        what = _fault_of_missing(value, "is empty")
        raise TransNoEmptyError(f"{name} {what}; it must be the transNo with which the trim was submitted")
    text = plain(value)
    if isinstance(text, bool | float):
        raise TransNoIllegalError(f"{name} must be a string, not {type(text).__name__} ({text!r}); {NATIVE_RENDERING}")
    if isinstance(text, int) and abs(text) < 10**TRANS_NO_MAX_LENGTH:
        text = str(text)
    return check_trans_no(text, name)
