# SPDX-License-Identifier: Apache-2.0
"""The trims of the emulated service, and the response to a query of each at a given time. No I/O, no clock."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from airflow_provider_trim.emulator.posters import poster_path
from airflow_provider_trim.emulator.video_info import Clip, default_clip, generate_video_info
from airflow_provider_trim.emulator.wire import SUCCESS_CODE, SUCCESS_MESSAGE, Response, envelope, is_text

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

    ``added`` and ``ends`` are in seconds of the emulator's clock, ``uploaded_at`` in Unix seconds. ``video_info`` is
    the ``videoInfo`` of a success; None generates one. ``processing_code``, such as 1560, replaces status 1 in
    responses while the trim runs. ``clip`` is the video that it makes; None derives one from ``trans_no``. The callback
    goes to ``notify_url`` when the trim ends. ``seconds_from_first_poll`` is set until the first poll, from which that
    many seconds are then counted.
    """

    trans_no: str
    task_id: str
    added: float
    uploaded_at: float
    ends: float
    outcome: Outcome = "success"
    video_info: Any = None
    processing_code: int | None = None
    clip: Clip | None = None
    notify_url: str | None = None
    seconds_from_first_poll: float | None = None

    def status(self, now: float) -> int:
        """Return the ``status`` at ``now``: 1 processing, 2 successful, 3 failed."""
        if now < self.ends:
            return PROCESSING
        return SUCCESSFUL if self.outcome == "success" else FAILED

    @property
    def output(self) -> Clip:
        """The clip that the trim makes."""
        return self.clip or default_clip(self.trans_no)

    def result(self, base_url: str = "") -> Any:
        """Return the ``videoInfo`` of a success; the poster of a generated one is below ``base_url``."""
        if self.video_info is not None:
            return self.video_info
        image_url = base_url + poster_path(self.trans_no)
        updated_at = self.uploaded_at + self.ends - self.added
        return generate_video_info(self.trans_no, self.output, self.uploaded_at, updated_at, image_url)

    def response(self, now: float, base_url: str = "") -> Response:
        """Return the response to a query at ``now``; ``base_url`` is as for :meth:`result`."""
        status = self.status(now)
        if status == PROCESSING and self.processing_code is not None:
            message = PROCESSING_MESSAGES.get(self.processing_code, "processing")
            return envelope(self.processing_code, message)
        data: dict[str, Any] = {"taskId": self.task_id, "transNo": self.trans_no, "status": status}
        if status == SUCCESSFUL:
            data["videoInfo"] = self.result(base_url)
        return envelope(SUCCESS_CODE, SUCCESS_MESSAGE, data, trim_status=status)


def require_trans_no(trans_no: str) -> None:
    """Check the transNo of a trim that a test starts.

    :raises ValueError: if it is no string of 1 to 32 characters
    """
    if not isinstance(trans_no, str) or not 0 < len(trans_no) <= MAX_TRANS_NO_LENGTH:
        raise ValueError(f"transNo must have 1 to {MAX_TRANS_NO_LENGTH} characters, not {trans_no!r}")


def derive_task_id(trans_no: str) -> str:
    """Return the task id of a trim: 32 hexadecimal digits, the same for the same ``transNo``."""
    return hashlib.blake2b(trans_no.encode(), digest_size=16, person=b"taskId").hexdigest()


def parse_trans_no(value: object) -> str | Response:
    """Return ``value`` if it is a valid ``transNo``, else the response to it."""
    if value is None or value == "":
        return TRANS_NO_EMPTY
    if not is_text(value) or len(value) > MAX_TRANS_NO_LENGTH:
        return TRANS_NO_ILLEGAL
    return value


class TrimStore:
    """All trims by their ``transNo``. Safe to use from any thread.

    :param started: called with a trim whose end has become known at its first poll
    """

    def __init__(self, started: Callable[[Trim], object] = lambda _: None) -> None:
        self.base_url = ""
        """Where posters are served; set before the first query."""
        self._started = started
        self._lock = threading.Lock()
        self._trims: dict[str, Trim] = {}
        self._responses: dict[str, tuple[int, Response]] = {}
        self._callback_sent: set[str] = set()

    def add(self, trim: Trim) -> None:
        """Add a trim.

        :raises ValueError: if its ``transNo`` is invalid, or has a trim already
        """
        require_trans_no(trim.trans_no)
        if not self.add_if_absent(trim):
            raise ValueError(f"trim {trim.trans_no!r} exists already")

    def add_if_absent(self, trim: Trim) -> bool:
        """Add a trim with a valid ``transNo``, unless it has one already. Return whether it was added."""
        with self._lock:
            return self._trims.setdefault(trim.trans_no, trim) is trim

    def __contains__(self, trans_no: str) -> bool:
        """Return whether ``trans_no`` has a trim, running or ended."""
        return trans_no in self._trims

    def running(self, now: float) -> list[str]:
        """Return the ``transNo`` of each trim that runs at ``now``, in the order of their addition."""
        with self._lock:
            return [trim.trans_no for trim in self._trims.values() if trim.status(now) == PROCESSING]

    def end(self, trans_no: str, now: float, outcome: Outcome, video_info: Any = None) -> None:
        """End a trim at ``now``, unless it has ended before, and set its outcome and, if given, its ``videoInfo``.

        :raises KeyError: if there is no such trim
        """
        with self._lock:
            trim = self.get(trans_no)
            info = trim.video_info if video_info is None else video_info
            self._trims[trans_no] = replace(trim, ends=min(trim.ends, now), outcome=outcome, video_info=info)
            self._responses.pop(trans_no, None)

    def remove(self, trans_no: str) -> None:
        """Remove a trim.

        :raises KeyError: if there is no such trim
        """
        with self._lock:
            del self._trims[trans_no]
            self._responses.pop(trans_no, None)
            self._callback_sent.discard(trans_no)

    def claim_callback(self, trans_no: str, now: float) -> Trim | None:
        """Return a trim that has ended by ``now`` and has a ``notify_url``; only the first call returns it."""
        with self._lock:
            trim = self._trims.get(trans_no)
            if trim is None or not trim.notify_url or trim.status(now) == PROCESSING or trans_no in self._callback_sent:
                return None
            self._callback_sent.add(trans_no)
            return trim

    def get(self, trans_no: str) -> Trim:
        """Return a trim.

        :raises KeyError: if there is no such trim
        """
        try:
            return self._trims[trans_no]
        except KeyError:
            raise KeyError(f"there is no trim {trans_no!r}; add_trim() or a submission starts one") from None

    def query(self, value: object, now: float) -> Response:
        """Return the response to a query at ``now``, whose ``transNo`` is ``value``."""
        trans_no = parse_trans_no(value)
        if isinstance(trans_no, Response):
            return trans_no
        with self._lock:
            trim = self._trims.get(trans_no)
            if trim is None:
                return TRANS_NO_UNKNOWN
            if trim.seconds_from_first_poll is not None:
                ends = min(trim.ends, now + trim.seconds_from_first_poll)
                trim = self._trims[trans_no] = replace(trim, ends=ends, seconds_from_first_poll=None)
                self._started(trim)
            status = trim.status(now)
            cached = self._responses.get(trans_no)
            if cached is None or cached[0] != status:
                cached = self._responses[trans_no] = (status, trim.response(now, self.base_url))
            return cached[1]
