# SPDX-License-Identifier: Apache-2.0
"""Responses of the trimming API, as typed values.

Source of every field: the vendor's page `Get Trimming Task Status
<https://documents.cdnetworks.com/document/cloud-vod/20391-get-trimming-task-status>`_.
Enumerations keep values that the page does not list (its own example has one), empty strings stand for "not known",
and unknown fields are left to ``raw``.
"""

from __future__ import annotations

import re
from enum import IntEnum, StrEnum
from typing import Annotated, Any, Self

import pendulum
from pydantic import AliasGenerator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, model_validator
from pydantic.alias_generators import to_camel

from airflow_provider_trim.vod.validation import Optional

MAX_RESOLUTIONS = 100
"""Renditions of a video; the vendor's documentation has six kinds."""


class _OpenIntEnum(IntEnum):
    """An integer enumeration that keeps unknown values, as new members, and reads digits as integers."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
            return cls(int(value))
        if type(value) is not int:
            return None
        member = int.__new__(cls, value)
        member._name_, member._value_ = f"UNKNOWN_{value}", value
        return member


class _OpenStrEnum(StrEnum):
    """A string enumeration that keeps unknown values, as new members, and reads integers as digits."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if type(value) is int:
            return cls(str(value))
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_, member._value_ = f"UNKNOWN_{value}", value
        return member


class TrimStatus(_OpenIntEnum):
    """``status``: the progress of a trim."""

    PROCESSING = 1
    SUCCESSFUL = 2
    FAILED = 3


class Encryption(_OpenIntEnum):
    """``encrypt``."""

    UNENCRYPTED = 0
    ENCRYPTED = 1


class VideoState(_OpenStrEnum):
    """``videoState``; the vendor's older pages type it as string, newer ones as integer."""

    ENABLED = "0"
    DISABLED = "1"


class TranscodeState(_OpenStrEnum):
    """``transcodeState``. What 2 means depends on ``encrypt``.

    Of an unencrypted video 2 is "not transcoded"; of an encrypted one it is "transcoded without encryption", and 5 is
    "not transcoded".
    """

    TRANSCODED = "1"
    INCOMPLETE = "2"
    TRANSCODING = "3"
    FAILED = "4"
    ENCRYPTED_NOT_TRANSCODED = "5"


class VideoSource(_OpenIntEnum):
    """``videoSourceCode``: where a video came from."""

    OTHER = 0
    UPLOADED = 1
    LIVE_TO_VOD = 2
    PULLED = 3
    TRIMMING = 4
    SPLICING = 5
    EDGE_PULL_RECORDING = 6
    UNIVERSAL_LIVE_RECORDING = 10
    UPLOAD_SDK = 11
    UPLOAD_TOOL = 12


class Clarity(_OpenIntEnum):
    """``clarity`` of a rendition."""

    ORIGINAL = 1
    LD = 2
    SD = 3
    HD = 4
    UHD = 5
    RECORDED_FILE = -99


class ServerType(_OpenIntEnum):
    """``serverType`` of a rendition; the page's own example has -1, which the page does not list."""

    PC = 0
    ORIGINAL_VIDEO = 1


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be an integer, not a boolean")
    return value


def _utc_time(value: Any) -> pendulum.DateTime | None:
    if value is None or value == "" or isinstance(value, pendulum.DateTime):
        return value or None
    try:
        return pendulum.from_timestamp(float(value))
    except (TypeError, ValueError, OverflowError, OSError):
        raise ValueError("must be a time in Unix seconds") from None


def _duration(value: Any) -> pendulum.Duration | None:
    if value is None or value == "" or isinstance(value, pendulum.Duration):
        return None if value == "" else value
    try:
        return pendulum.duration(seconds=float(value))
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be a duration in seconds") from None


def _bounded_list(value: object) -> object:
    """Refuse long lists before their elements are validated, each of which costs a hundred times its bytes."""
    if isinstance(value, list) and len(value) > MAX_RESOLUTIONS:
        raise ValueError(f"must have at most {MAX_RESOLUTIONS} elements, not {len(value)}")
    return () if value in (None, "") else value


Integer = Annotated[int, BeforeValidator(_not_bool)]
_Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
_Time = Annotated[pendulum.DateTime | None, PlainValidator(_utc_time)]
_Duration = Annotated[pendulum.Duration | None, PlainValidator(_duration)]


class _WireModel(BaseModel):
    """An object of the API: camelCase on the wire, snake_case and frozen here."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=AliasGenerator(validation_alias=to_camel),
        coerce_numbers_to_str=True,
        extra="ignore",
    )

    raw: dict[str, Any] = Field(default_factory=dict, repr=False)
    """The object as on the wire."""

    @model_validator(mode="before")
    @classmethod
    def _keep_raw(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        # What ``model_dump`` made, as Airflow does for an XCom, has names of Python; ``raw`` in it has everything.
        dumped = isinstance(value.get("raw"), dict) and value.keys() <= cls.model_fields.keys()
        raw = value["raw"] if dumped else value
        return {**raw, "raw": raw}


class VideoResolution(_WireModel):
    """One rendition of a video (an element of ``videoResolutions``)."""

    clarity: Optional[Clarity] = None
    server_type: Optional[ServerType] = None
    width: Optional[Integer] = None
    """Pixels."""
    height: Optional[Integer] = None
    """Pixels."""
    file_size: Optional[Integer] = None
    """Bytes. The page says bits, but the sizes in its example add up to ``videoSize`` and make sense only as bytes."""


class VideoInfo(_WireModel):
    """The video that a trim has made (``videoInfo``)."""

    video_id: _Text = ""
    video_name: _Text = ""
    encrypt: Optional[Encryption] = None
    video_size: Optional[Integer] = None
    """Bytes, of the original and all transcoded videos together."""
    duration: _Duration = Field(default=None, validation_alias="videoDuration")
    upload_time: _Time = None
    """UTC."""
    update_time: _Time = None
    """UTC."""
    video_description: _Text = ""
    video_classification: _Text = ""
    image_url: _Text = ""
    """Address of the poster, "" where there is none."""
    publish_domain: _Text = ""
    player_name: _Text = ""
    player_id: _Text = ""
    video_state: Optional[VideoState] = None
    transcode_state: Optional[TranscodeState] = None
    video_source_code: Optional[VideoSource] = None
    video_resolutions: Annotated[tuple[VideoResolution, ...], BeforeValidator(_bounded_list)] = ()

    @classmethod
    def from_xcom(cls, value: dict[str, Any]) -> Self:
        """Return the result of the sensor or of an operator, typed.

        :param value: ``videoInfo`` as on the wire, from XCom
        :raises ValueError: it is not of the documented shape
        """
        return cls.model_validate(value)


class TrimTask(_WireModel):
    """A trim as the service sees it (``data`` of the response)."""

    task_id: _Text = ""
    """The service's own id of the trim."""
    trans_no: _Text = ""
    """The caller's id of the trim, at most 32 characters."""
    status: Annotated[TrimStatus, BeforeValidator(_not_bool)]
    video_info: Optional[VideoInfo] = None
    """The resulting video; None unless ``status`` is ``SUCCESSFUL``."""
    request_id: str | None = None
    """The service's id of the request, for its support."""
