# SPDX-License-Identifier: Apache-2.0
"""What it takes to submit a trim (``videoClip``), checked before it is sent.

Sources: the vendor's pages `Video Trimming <https://documents.cdnetworks.com/document/cloud-vod/20390-video-trimming>`_
and `VideoClip <https://documents.cdnetworks.com/document/api-doc/26637>`_, and its Python SDK
(``wangsu-sdk-python``, ``wangsu.mediaprocessing``).
"""

from __future__ import annotations

import contextlib
import itertools
import json
import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasGenerator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from airflow_provider_trim.vod.errors import TrimParameterError
from airflow_provider_trim.vod.protocol import JSON_SCHEMES, check_trans_no
from airflow_provider_trim.vod.redaction import truncate
from airflow_provider_trim.vod.settings import TrimSettings
from airflow_provider_trim.vod.storable import unstorable_character
from airflow_provider_trim.vod.times import as_seconds
from airflow_provider_trim.vod.validation import NATIVE_RENDERING, Optional, first_problem, number, on_text, plain

FLV_SAMPLING_RATES = (44100, 22050, 11025)
"""Hz; what the container flv takes."""

_NEWER_HOSTS = ("api.cdnetworks.com", "open.chinanetcenter.com")
_MAY_HOLD_SECRETS = ("notify_url",)
_ALLOWED = {
    **dict.fromkeys(("video_id", "filename"), "must be a text, and not empty"),
    "resolution": "must be width x height in pixels, such as 640x480",
    "frame_rate": "must be a whole number of frames per second, such as 25",
    "video_bit_rate": "must be a whole number of kbit/s, such as 2000",
    "audio_bit_rate": "must be a whole number of kbit/s, such as 128",
    "sampling_rate": "must be a whole number of Hz, such as 44100",
    "notify_url": "must be an http or https URL",
    "enable_video_transcode": "must be true or false",
}
_SIZE = r"^[1-9][0-9]{0,4}x[1-9][0-9]{0,4}$"


def _shown(value: object) -> str:
    # A repr may be as long as what it shows, and Python refuses to write out very long integers.
    if isinstance(value, str):
        return repr(value[:80])
    if value is None or isinstance(value, timedelta | float) or (isinstance(value, int) and abs(value) <= 10**18):
        return repr(value)
    if isinstance(value, Mapping):
        fields = truncate(", ".join(map(str, itertools.islice(value, 5))), 80)
        return f"an object with the fields {fields}; name the one that is meant"
    return f"a value of type {type(value).__name__}"


def _no_float(value: object) -> object:
    if isinstance(value, bool | float):
        # "4E10" is another video than "40000000000.0", whose trim would be paid for.
        raise ValueError(f"must be a text, not {type(value).__name__}; {NATIVE_RENDERING}")
    return value


def _as_text(value: object) -> object:
    # Python itself refuses to write out very long integers, by a ValueError.
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    # The service may repeat it in its response, as the name of the video, and then the wait would fail.
    if isinstance(text, str) and (what := unstorable_character(text)):
        raise ValueError(f"must not contain {what}, which Airflow can't store")
    return text


def _web_address(value: str) -> str:
    with contextlib.suppress(ValueError):
        parts = urlsplit(value)
        if parts.scheme in ("http", "https") and parts.hostname and all("!" <= letter <= "~" for letter in value):
            return value
    raise ValueError(_ALLOWED["notify_url"])


_Time = Annotated[float, BeforeValidator(as_seconds)]
_Positive = Annotated[int, Field(gt=0, lt=10**9), BeforeValidator(number)]
_Text = Annotated[Annotated[str, Field(min_length=1)], BeforeValidator(_as_text), BeforeValidator(_no_float)]


class TrimSubmission(BaseModel):
    """The parameters of one trim. Optional ones may be None or empty, as templates leave them.

    The service cuts at whole seconds; a clip that begins or ends between two is widened to contain all of it.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=AliasGenerator(serialization_alias=to_camel),
        hide_input_in_errors=True,
    )

    trans_no: str
    """The caller's own id of the trim, at most 32 characters, unique on the caller's side."""
    video_id: Annotated[_Text, on_text(str.strip)]
    seek_start: _Time
    """Seconds from the video's beginning."""
    duration: _Time
    """Seconds."""
    filename: _Text
    resolution: Optional[Annotated[str, Field(pattern=_SIZE), BeforeValidator(_as_text)]] = None
    frame_rate: Optional[_Positive] = None
    """Hz."""
    video_bit_rate: Optional[_Positive] = None
    """kbit/s."""
    audio_bit_rate: Optional[_Positive] = None
    """kbit/s."""
    sampling_rate: Optional[_Positive] = None
    """Hz; for flv one of 44100, 22050, 11025."""
    notify_url: Optional[Annotated[str, AfterValidator(_web_address)]] = None
    suffix: Optional[Annotated[Literal["flv", "mp4"], on_text(str.lower)]] = None
    """Container; the service's default is flv."""
    enable_video_transcode: Optional[bool] = None
    """Transcode even where that is not needed."""

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.duration <= 0:
            raise ValueError("duration: must be > 0 seconds")
        flv = self.suffix in (None, "flv")
        if flv and self.sampling_rate is not None and self.sampling_rate not in FLV_SAMPLING_RATES:
            raise ValueError(f"sampling_rate: flv takes only {', '.join(map(str, FLV_SAMPLING_RATES))} Hz")
        return self

    @classmethod
    def parse(cls, **parameters: Any) -> Self:
        """Validate parameters, as an operator or a hook is given them.

        :raises TransNoEmptyError, TransNoIllegalError: ``trans_no`` can't be one
        :raises TrimParameterError: any other that is missing, unknown or wrong, by its name
        """
        parameters = {name: plain(value) for name, value in parameters.items()}
        trans_no = check_trans_no(parameters.get("trans_no"))
        try:
            return cls(**{**parameters, "trans_no": trans_no})
        except ValidationError as error:
            (name, *_), text, unknown = first_problem(error, _ALLOWED)
            if unknown:
                text = f"is unknown; allowed are {', '.join(cls.model_fields)}"
            shown = name in parameters and not unknown and name not in _MAY_HOLD_SECRETS
            given = f" (given: {_shown(parameters[name])})" if shown else ""
            raise TrimParameterError(f"{name}: {text}{given}", parameter=name) from None

    def to_wire(self, settings: TrimSettings) -> Mapping[str, str | int]:
        """Return the parameters under the names that the connection's host understands."""
        given = self._wire()
        newer = settings.auth in JSON_SCHEMES or urlsplit(settings.base_url).hostname in _NEWER_HOSTS
        if newer and "samplingRate" in given:
            # Their documentation and SDK have only this name, probably a misspelling.
            given["tassamplingRatekId"] = given.pop("samplingRate")
        return given

    def identity(self) -> str:
        """Return what is cut out of which video, and how, as canonical JSON: the same for the same output.

        Neither ``trans_no`` nor ``notify_url`` is part of it, and it is the same whatever host it is sent to.
        """
        given = self._wire()
        del given["transNo"]
        given.pop("notifyUrl", None)
        return json.dumps(given, sort_keys=True)

    def _wire(self) -> dict[str, str | int]:
        given = self.model_dump(by_alias=True, exclude_none=True)
        start = math.floor(self.seek_start)
        given["seekStart"] = start
        given["duration"] = math.ceil(round(self.seek_start + self.duration, 6)) - start
        if self.enable_video_transcode is not None:
            given["enableVideoTranscode"] = int(self.enable_video_transcode)
        return given
