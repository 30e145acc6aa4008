# SPDX-License-Identifier: Apache-2.0
"""The connection's extra ``parameters``: fixed request parameters that an installation wants as well."""

from __future__ import annotations

import json
import re

Parameters = tuple[tuple[str, str], ...]
"""Names and values."""

MAX_PARAMETERS = 20
"""Names that the extra can have."""

_EXAMPLE = '{"format": "json"}'
_RESERVED = {
    "transNo",
    "userId",
    "token",
    "videoId",
    "seekStart",
    "duration",
    "filename",
    "resolution",
    "frameRate",
    "videoBitRate",
    "audioBitRate",
    "samplingRate",
    "tassamplingRatekId",
    "notifyUrl",
    "suffix",
    "enableVideoTranscode",
}
"""Parameters of a query, of a submission and of the scheme ``token``."""


def parse_parameters(value: object) -> Parameters:
    """Return the parameters of a JSON object, or of its text.

    :raises ValueError: they are none, or one of them is not allowed
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, dict) or len(value) > MAX_PARAMETERS:
        raise ValueError(f"must be a JSON object of at most {MAX_PARAMETERS} texts, such as {_EXAMPLE}")
    return tuple(_parse(name, text) for name, text in value.items())


def _parse(name: str, value: object) -> tuple[str, str]:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", name):
        raise ValueError("names must be letters, digits, '_', '.' or '-'")
    if name in _RESERVED:
        raise ValueError(f"{name!r} is set by each call, and can't be replaced")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > 1000 or not value.isprintable():
        raise ValueError(f"the value of {name!r} must be a text of at most 1000 printable characters, or an integer")
    return name, value
