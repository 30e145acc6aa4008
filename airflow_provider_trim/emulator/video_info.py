# SPDX-License-Identifier: Apache-2.0
"""Generates the ``videoInfo`` of a successful trim from the clip that was requested. No I/O, no clock."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

DEFAULT_VIDEO_RATE = 152_003
DEFAULT_AUDIO_RATE = 8_000
"""Bytes per second of the first rendition if no bit rate is requested. Uneven, so that no size is round by chance."""

BYTES_PER_KBIT = 125
"""Bytes in one kilobit."""


@dataclass(frozen=True, slots=True)
class Clip:
    """The video that a trim makes.

    ``seconds`` is its length. ``width`` and ``height`` in pixels and the bit rates in kbit/s are those of its first
    rendition. The service chooses a bit rate that is None.
    """

    name: str
    seconds: int
    width: int = 1280
    height: int = 720
    video_bit_rate: int | None = None
    audio_bit_rate: int | None = None

    @property
    def rate(self) -> int:
        """Bytes per second of the first rendition."""
        video = DEFAULT_VIDEO_RATE if self.video_bit_rate is None else self.video_bit_rate * BYTES_PER_KBIT
        audio = DEFAULT_AUDIO_RATE if self.audio_bit_rate is None else self.audio_bit_rate * BYTES_PER_KBIT
        return video + audio


def default_clip(trans_no: str) -> Clip:
    """Return the clip of a trim without parameters: 30 to 285 seconds long, the same for the same ``transNo``."""
    return Clip(f"trim-{trans_no}", 30 + _digest(trans_no)[0])


def generate_video_info(
    trans_no: str, clip: Clip, uploaded_at: float, updated_at: float, image_url: str
) -> dict[str, Any]:
    """Return a ``videoInfo`` with every documented field, in its documented type; same arguments, same result.

    ``videoSize`` is the sum of the sizes of the resolutions, as in the vendor's example.

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
