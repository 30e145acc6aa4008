# SPDX-License-Identifier: Apache-2.0
"""What the service takes as the parameters of a new trim, and with which code it refuses the rest. No I/O.

Parameters, codes 1561 to 1565 and the sampling rates of flv are those of the vendor's documentation; that all other
ill-formed parameters are answered with the common code 1000, and the wording of all messages, are this emulator's
assumptions. So is its strictness: an optional parameter that is empty or null is ill-formed, not left out. A number may
be a string of digits in a JSON body, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from airflow_provider_trim.emulator.video_info import Clip
from airflow_provider_trim.emulator.wire import PARAMETER_ERROR, is_text

SamplingRateParameter = Literal["samplingRate", "tassamplingRatekId"]
"""The older page of the documentation has the first, the newer ones the second, which is a slip of theirs."""

FRAME_RATE_ILLEGAL = 1561
SAMPLING_RATE_ILLEGAL = 1562
VIDEO_BIT_RATE_ILLEGAL = 1563
AUDIO_BIT_RATE_ILLEGAL = 1564
RESOLUTION_ILLEGAL = 1565

DEFAULT_SUFFIX = "flv"
FLV_SAMPLING_RATES = (44100, 22050, 11025)
"""The sampling rates that flv takes, in Hz."""

_DIGITS = re.compile("[0-9]{1,18}")
_RESOLUTION = re.compile("0{0,8}[1-9][0-9]{0,8}x0{0,8}[1-9][0-9]{0,8}")


class ParameterError(Exception):
    """A parameter is missing or ill-formed; ``str()`` of the exception names it, ``code`` goes into the answer."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Rule(NamedTuple):
    """``read`` gives a parameter's value in its documented type, or None if it is not ``expected``."""

    name: str
    read: Callable[[Any], object]
    expected: str
    code: int = PARAMETER_ERROR
    required: bool = False


def read_parameters(parameters: Mapping[str, Any], sampling_rate_parameter: str) -> dict[str, Any]:
    """Those of ``parameters`` that the service knows, ``transNo`` aside, in their documented types.

    :param sampling_rate_parameter: the name under which the sampling rate is known
    :raises ParameterError: for the first that is missing or ill-formed
    """
    sampling_rate = _Rule(sampling_rate_parameter, _positive, "a positive integer", SAMPLING_RATE_ILLEGAL)
    known: dict[str, Any] = {}
    for rule in (*_RULES, sampling_rate):
        if rule.name in parameters:
            known[rule.name] = _read(rule, parameters[rule.name])
        elif rule.required:
            raise ParameterError(rule.code, f"{rule.name} is missing")
    rate = known.get(sampling_rate_parameter)
    if rate is not None and known.get("suffix", DEFAULT_SUFFIX) == "flv" and rate not in FLV_SAMPLING_RATES:
        allowed = ", ".join(map(str, FLV_SAMPLING_RATES))
        raise ParameterError(SAMPLING_RATE_ILLEGAL, f"{sampling_rate_parameter} of flv is none of {allowed}")
    return known


def requested_clip(known: Mapping[str, Any]) -> Clip:
    """The clip that parameters, as :func:`read_parameters` gave them, ask for."""
    clip = Clip(
        known["filename"],
        known["duration"],
        video_bit_rate=known.get("videoBitRate"),
        audio_bit_rate=known.get("audioBitRate"),
    )
    if "resolution" not in known:
        return clip
    width, height = map(int, known["resolution"].split("x"))
    return Clip(clip.name, clip.seconds, width, height, clip.video_bit_rate, clip.audio_bit_rate)


def _read(rule: _Rule, value: object) -> object:
    read = rule.read(value)
    if read is None:
        raise ParameterError(rule.code, f"{rule.name} is not {rule.expected}")
    return read


def _text(value: object) -> str | None:
    return value if is_text(value) and value else None


def _integer(value: object) -> int | None:
    # By its text, so that what is an int to Python but not to JSON, True and False, is none here either.
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
    _Rule("videoId", _text, "a string with something in it", required=True),
    _Rule("seekStart", _integer, "an integer of 0 or more", required=True),
    _Rule("duration", _positive, "an integer above 0", required=True),
    _Rule("filename", _text, "a string with something in it", required=True),
    _Rule("suffix", _suffix, "flv or mp4"),
    _Rule("notifyUrl", _http_url, "an http or https URL"),
    _Rule("enableVideoTranscode", _zero_or_one, "0 or 1"),
    _Rule("resolution", _resolution, "WxH in positive integers", RESOLUTION_ILLEGAL),
    _Rule("frameRate", _positive, "a positive integer", FRAME_RATE_ILLEGAL),
    _Rule("videoBitRate", _positive, "a positive integer", VIDEO_BIT_RATE_ILLEGAL),
    _Rule("audioBitRate", _positive, "a positive integer", AUDIO_BIT_RATE_ILLEGAL),
)
