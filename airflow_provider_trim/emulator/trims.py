# SPDX-License-Identifier: Apache-2.0
"""The trims the emulated service knows, and what it answers about each at a given time. No I/O, no clock."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, replace
from typing import Any, Literal

from airflow_provider_trim.emulator.wire import SUCCESS_CODE, SUCCESS_MESSAGE, Answer, envelope

Outcome = Literal["success", "fail"]

PROCESSING, SUCCESSFUL, FAILED = 1, 2, 3
"""The values of a trim's ``status``."""

MAX_TRANS_NO_LENGTH = 32

TRANS_NO_EMPTY = envelope(1601, "transNo is empty")
TRANS_NO_ILLEGAL = envelope(1602, "transNo is illegal")
TRANS_NO_UNKNOWN = envelope(1603, "transNo does not exist")

PROCESSING_MESSAGES = {1560: "video is being processed"}


@dataclass(frozen=True, slots=True)
class Trim:
    """One trim.

    ``added`` and ``ends`` are in seconds of the emulator's clock, ``added_at`` in Unix seconds. ``video_info`` is what
    a success carries, exactly as it is; None generates one. ``processing_code``, such as 1560, is answered instead of
    status 1 as long as the trim runs.
    """

    trans_no: str
    task_id: str
    added: float
    added_at: float
    ends: float
    outcome: Outcome = "success"
    video_info: Any = None
    processing_code: int | None = None

    def status(self, now: float) -> int:
        """The trim's ``status`` at ``now``: 1 processing, 2 successful, 3 failed."""
        if now < self.ends:
            return PROCESSING
        return SUCCESSFUL if self.outcome == "success" else FAILED

    def result(self) -> Any:
        """The ``videoInfo`` of the trim's success."""
        if self.video_info is not None:
            return self.video_info
        return generate_video_info(self.trans_no, self.added_at, self.added_at + self.ends - self.added)

    def answer(self, now: float) -> Answer:
        """What a query of this trim is answered at ``now``."""
        status = self.status(now)
        if status == PROCESSING and self.processing_code is not None:
            message = PROCESSING_MESSAGES.get(self.processing_code, "processing")
            return envelope(self.processing_code, message)
        data: dict[str, Any] = {"taskId": self.task_id, "transNo": self.trans_no, "status": status}
        if status == SUCCESSFUL:
            data["videoInfo"] = self.result()
        return envelope(SUCCESS_CODE, SUCCESS_MESSAGE, data, trim_status=status)


def task_id_of(trans_no: str) -> str:
    """The task id of a trim: 32 hexadecimal digits, always the same for one ``transNo``."""
    return hashlib.blake2b(trans_no.encode(), digest_size=16, person=b"taskId").hexdigest()


def generate_video_info(trans_no: str, uploaded_at: float, updated_at: float) -> dict[str, Any]:
    """A ``videoInfo`` with every documented field, in the types of the wire; the same for the same arguments.

    The sizes of the resolutions add up to ``videoSize``, as they do in the vendor's example.

    :param uploaded_at: ``uploadTime`` in Unix seconds
    :param updated_at: ``updateTime`` in Unix seconds
    """
    digest = hashlib.blake2b(trans_no.encode(), digest_size=16, person=b"videoId")
    seconds = 30 + digest.digest()[0]
    resolutions = [
        {"clarity": clarity, "fileSize": seconds * rate, "height": height, "serverType": server, "width": width}
        for clarity, rate, height, width, server in (
            (1, 160_003, 720, 1280, 1),
            (2, 48_701, 360, 640, 0),
            (3, 80_341, 480, 854, 0),
        )
    ]
    return {
        "encrypt": 0,
        "imageUrl": f"http://poster.example.com/{trans_no}.jpg",
        "playerId": "DF2DAF233DDA",
        "playerName": "基础播放器",
        "publishDomain": "vod.example.com",
        "transcodeState": "1",
        "updateTime": str(int(updated_at)),
        "uploadTime": str(int(uploaded_at)),
        "videoClassification": "",
        "videoDescription": "",
        "videoDuration": str(seconds),
        "videoId": digest.hexdigest().upper(),
        "videoName": f"trim-{trans_no}",
        "videoResolutions": resolutions,
        "videoSize": str(sum(resolution["fileSize"] for resolution in resolutions)),
        "videoSourceCode": 4,
        "videoState": "0",
    }


class TrimStore:
    """All trims by their ``transNo``. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trims: dict[str, Trim] = {}
        self._answers: dict[str, tuple[int, Answer]] = {}

    def add(self, trim: Trim) -> None:
        """Add a trim.

        :raises ValueError: if its ``transNo`` could never be asked for, or is known already
        """
        if not 0 < len(trim.trans_no) <= MAX_TRANS_NO_LENGTH:
            raise ValueError(f"a transNo has 1 to {MAX_TRANS_NO_LENGTH} characters, not {trim.trans_no!r}")
        with self._lock:
            if trim.trans_no in self._trims:
                raise ValueError(f"there is a trim {trim.trans_no!r} already")
            self._trims[trim.trans_no] = trim

    def end(self, trans_no: str, now: float, outcome: Outcome, video_info: Any = None) -> None:
        """Complete a trim at ``now`` unless it is over already, with this outcome and, if given, this ``videoInfo``.

        :raises KeyError: if there is none
        """
        with self._lock:
            trim = self._trims[trans_no]
            info = trim.video_info if video_info is None else video_info
            self._trims[trans_no] = replace(trim, ends=min(trim.ends, now), outcome=outcome, video_info=info)
            self._answers.pop(trans_no, None)

    def remove(self, trans_no: str) -> None:
        """Forget a trim.

        :raises KeyError: if there is none
        """
        with self._lock:
            del self._trims[trans_no]
            self._answers.pop(trans_no, None)

    def get(self, trans_no: str) -> Trim:
        """The trim of that ``transNo``.

        :raises KeyError: if there is none
        """
        return self._trims[trans_no]

    def answer(self, trans_no: object, now: float) -> Answer:
        """What a query of ``trans_no`` is answered at ``now``."""
        if trans_no is None or trans_no == "":
            return TRANS_NO_EMPTY
        if not isinstance(trans_no, str) or len(trans_no) > MAX_TRANS_NO_LENGTH:
            return TRANS_NO_ILLEGAL
        with self._lock:
            trim = self._trims.get(trans_no)
            if trim is None:
                return TRANS_NO_UNKNOWN
            status = trim.status(now)
            cached = self._answers.get(trans_no)
            if cached is None or cached[0] != status:
                cached = self._answers[trans_no] = (status, trim.answer(now))
            return cached[1]
