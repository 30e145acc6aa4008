# SPDX-License-Identifier: Apache-2.0
"""The ``videoInfo`` of a successful trim, made up from what the trim was to make. No I/O, no clock."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

DEFAULT_VIDEO_RATE = 152_003
DEFAULT_AUDIO_RATE = 8_000
"""Bytes a second of the first rendition where no bit rate was asked for. Odd, so that no size is round by chance."""

BYTES_A_SECOND = 125
"""Of one kbit/s."""


@dataclass(frozen=True, slots=True)
class Clip:
    """The video a trim makes.

    ``seconds`` is its length; ``width`` and ``height``, in pixels, are those of its first rendition, and so are the
    bit rates, in kbit/s. A bit rate that is None is the service's to choose.
    """

    name: str
    seconds: int
    width: int = 1280
    height: int = 720
    video_bit_rate: int | None = None
    audio_bit_rate: int | None = None

    @property
    def rate(self) -> int:
        """Bytes a second of the first rendition."""
        video = DEFAULT_VIDEO_RATE if self.video_bit_rate is None else self.video_bit_rate * BYTES_A_SECOND
        audio = DEFAULT_AUDIO_RATE if self.audio_bit_rate is None else self.audio_bit_rate * BYTES_A_SECOND
        return video + audio


def clip_of(trans_no: str) -> Clip:
    """The clip of a trim of which no more is known than its ``transNo``: 30 to 285 seconds, always the same."""
    return Clip(f"trim-{trans_no}", 30 + _digest(trans_no)[0])


def generate_video_info(
    trans_no: str, clip: Clip, uploaded_at: float, updated_at: float, image_url: str
) -> dict[str, Any]:
    """A ``videoInfo`` with every documented field, in the types of the wire; the same for the same arguments.

    The sizes of the resolutions add up to ``videoSize``, as they do in the vendor's example.

    :param uploaded_at: ``uploadTime`` in Unix seconds
    :param updated_at: ``updateTime`` in Unix seconds
    :param image_url: ``imageUrl``, the address of the poster
    """
    resolutions = [
        {"clarity": clarity, "fileSize": clip.seconds * rate, "height": height, "serverType": server, "width": width}
        for clarity, rate, height, width, server in (
            (1, clip.rate, clip.height, clip.width, 1),
            (2, 48_701, 360, 640, 0),
            (3, 80_341, 480, 854, 0),
        )
    ]
    return {
        "encrypt": 0,
        "imageUrl": image_url,
        "playerId": "DF2DAF233DDA",
        "playerName": "基础播放器",
        "publishDomain": "vod.example.com",
        "transcodeState": "1",
        "updateTime": str(int(updated_at)),
        "uploadTime": str(int(uploaded_at)),
        "videoClassification": "",
        "videoDescription": "",
        "videoDuration": str(clip.seconds),
        "videoId": _digest(trans_no).hex().upper(),
        "videoName": clip.name,
        "videoResolutions": resolutions,
        "videoSize": str(sum(resolution["fileSize"] for resolution in resolutions)),
        "videoSourceCode": 4,
        "videoState": "0",
    }


def _digest(trans_no: str) -> bytes:
    return hashlib.blake2b(trans_no.encode(), digest_size=16, person=b"videoId").digest()
