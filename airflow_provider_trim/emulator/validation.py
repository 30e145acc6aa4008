# SPDX-License-Identifier: Apache-2.0
"""Validates the parameters of a submission. No I/O.

The parameters, the codes 1561 to 1565 and the sampling rates of flv come from the vendor's documentation. The rest is
this emulator's assumption: code 1000 for every other invalid parameter, the wording of the messages, and that an empty
or null optional parameter is invalid. In a JSON body, a number may also be a string of digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_trim.emulator.video_info import Clip
from airflow_provider_trim.emulator.wire import PARAMETER_ERROR, is_text

SamplingRateParameter = Literal["samplingRate", "tassamplingRatekId"]
"""The vendor's older page documents the first name, the newer pages the second, which looks like a typing error."""

FRAME_RATE_ILLEGAL = 1561
SAMPLING_RATE_ILLEGAL = 1562
VIDEO_BIT_RATE_ILLEGAL = 1563
AUDIO_BIT_RATE_ILLEGAL = 1564
RESOLUTION_ILLEGAL = 1565

DEFAULT_SUFFIX = "flv"
FLV_SAMPLING_RATES = (44100, 22050, 11025)
"""The sampling rates of flv, in Hz."""

_DIGITS = re.compile("[0-9]{1,18}")
_RESOLUTION = re.compile("0{0,8}[1-9][0-9]{0,8}x0{0,8}[1-9][0-9]{0,8}")


class ParameterError(Exception):
    """A parameter is missing or invalid. ``str()`` of the exception names it; ``code`` is that of the response."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Rule(NamedTuple):
    """``parse`` returns the value of a parameter in its documented type, or None if the value is not ``expected``."""

    name: str
    parse: Callable[[Any], object]
    expected: str
    code: int = PARAMETER_ERROR
    required: bool = False


def validate_parameters(parameters: Mapping[str, Any], sampling_rate_parameter: str) -> dict[str, Any]:
    """Return the known ones of ``parameters`` in their documented types, without ``transNo``.

    :param sampling_rate_parameter: the name of the sampling rate
    :raises ParameterError: for the first parameter that is missing or invalid
    """
    sampling_rate = _Rule(sampling_rate_parameter, _positive, "a positive integer", SAMPLING_RATE_ILLEGAL)
    known: dict[str, Any] = {}
    for rule in (*_RULES, sampling_rate):
        if rule.name in parameters:
            known[rule.name] = _parse(rule, parameters[rule.name])
        elif rule.required:
            raise ParameterError(rule.code, f"{rule.name} is missing")
    rate = known.get(sampling_rate_parameter)
    if rate is not None and known.get("suffix", DEFAULT_SUFFIX) == "flv" and rate not in FLV_SAMPLING_RATES:
        allowed = ", ".join(map(str, FLV_SAMPLING_RATES))
        raise ParameterError(SAMPLING_RATE_ILLEGAL, f"{sampling_rate_parameter} of flv is none of {allowed}")
    return known


def requested_clip(known: Mapping[str, Any]) -> Clip:
    """Return the clip that a submission requests.

    :param known: the result of :func:`validate_parameters`
    """
    clip = Clip(
        known["filename"],
        known["duration"],
        video_bit_rate=known.get("videoBitRate"),
        audio_bit_rate=known.get("audioBitRate"),
    )
    if "resolution" not in known:
        return clip
    width, height = map(int, known["resolution"].split("x"))
    return replace(clip, width=width, height=height)


def _parse(rule: _Rule, value: object) -> object:
    parsed = rule.parse(value)
    if parsed is None:
        raise ParameterError(rule.code, f"{rule.name} is not {rule.expected}")
    return parsed


def _text(value: object) -> str | None:
    return value if is_text(value) and value else None


def _integer(value: object) -> int | None:
    # By its text: True and False are int in Python, but not in JSON.
    text = str(value) if isinstance(value, int | str) else ""
    return int(text) if _DIGITS.fullmatch(text) else None


def _positive(value: object) -> int | None:
    return _integer(value) or None


def _zero_or_one(value: object) -> int | None:
    number = _integer(value)
    return number if number in (0, 1) else None


def _resolution(value: object) -> str | None:
    return value if isinstance(value, str) and _RESOLUTION.fullmatch(value) else None


def _suffix(value: object) -> str | None:
    return value if isinstance(value, str) and value in ("flv", "mp4") else None


def _http_url(value: object) -> str | None:
    if not is_text(value):
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return value if parts.scheme in ("http", "https") and parts.hostname else None


_RULES = (
    _Rule("videoId", _text, "a non-empty string", required=True),
    _Rule("seekStart", _integer, "an integer of 0 or more", required=True),
    _Rule("duration", _positive, "an integer above 0", required=True),
    _Rule("filename", _text, "a non-empty string", required=True),
    _Rule("suffix", _suffix, "flv or mp4"),
    _Rule("notifyUrl", _http_url, "an http or https URL"),
    _Rule("enableVideoTranscode", _zero_or_one, "0 or 1"),
    _Rule("resolution", _resolution, "WxH in positive integers", RESOLUTION_ILLEGAL),
    _Rule("frameRate", _positive, "a positive integer", FRAME_RATE_ILLEGAL),
    _Rule("videoBitRate", _positive, "a positive integer", VIDEO_BIT_RATE_ILLEGAL),
    _Rule("audioBitRate", _positive, "a positive integer", AUDIO_BIT_RATE_ILLEGAL),
)
