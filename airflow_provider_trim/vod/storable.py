# SPDX-License-Identifier: Apache-2.0
"""Which JSON values fit every store between the service and a downstream task: msgpack, JSON text, PostgreSQL's JSONB.

Airflow's triggerer process ends, with all of its triggers, if an event can't be encoded, and begins again with the same
event. So such a value is refused where a response is parsed, and fails only the wait it belongs to.
"""

from __future__ import annotations

import math

MAX_DEPTH = 64
"""Objects and arrays within each other. A documented response has five; encoders recurse, and give up far beyond it."""

_RESERVED = ({"__classname__"}, {"__id__"}, {"__type", "__var"})
"""Names of an object in an XCom that mean something else to Airflow, if the object has all of them."""

_INT64 = range(-(2**63), 2**63)


def unstorable(value: object, path: str) -> str | None:
    """Say what in a JSON value some store can't hold, or return None.

    :param value: of plain JSON types
    :param path: the value's name, for the message
    :returns: the field and the reason, such as ``data.taskId is an integer of more than 64 bits``
    """
    todo = [(path, value, 0)]
    while todo:
        where, part, depth = todo.pop()
        if isinstance(part, dict | list):
            if depth == MAX_DEPTH:
                return f"{where} has more than {MAX_DEPTH} levels"
            named = part.items() if isinstance(part, dict) else enumerate(part)
            for name, inner in named:
                if isinstance(name, str) and (what := unstorable_character(name)):
                    return f"a name in {where} contains {what}"
                todo.append((f"{where}.{name}", inner, depth + 1))
        elif why := _scalar_fault(part):
            return f"{where} {why}"
    return None


def reserved_names(value: object, path: str) -> str | None:
    """Say which names of objects in an XCom Airflow takes for its own, or return None.

    It raises an ``AttributeError`` about ``__classname__`` and ``__id__`` when the XCom is pushed. An object that has
    both ``__type`` and ``__var`` is another value when it is pulled, or no value at all. Other names of its
    serialization pass as they are (``airflow.serialization.serde`` of 2.11 to 3.1, ``airflow.sdk.serde`` since).

    :param value: of plain JSON types, of at most :data:`MAX_DEPTH` levels
    :param path: the value's name, for the message
    """
    todo = [(path, value)]
    while todo:
        where, part = todo.pop()
        if isinstance(part, dict):
            for names in _RESERVED:
                if names <= part.keys():
                    return f"{where} has the {' and the '.join(f'name {name!r}' for name in sorted(names))}"
        if isinstance(part, dict | list):
            named = part.items() if isinstance(part, dict) else enumerate(part)
            todo += [(f"{where}.{name}", inner) for name, inner in named]
    return None


def _scalar_fault(value: object) -> str | None:
    if isinstance(value, str):
        what = unstorable_character(value)
        return what and f"contains {what}"
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a finite number"
    if isinstance(value, int) and value not in _INT64:
        return "is an integer of more than 64 bits"
    return None


def unstorable_character(text: str) -> str | None:
    """Name what in a text some store can't hold, or return None."""
    if "\0" in text:
        return "the character NUL"
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "an unpaired surrogate"
    return None
