# SPDX-License-Identifier: Apache-2.0
"""The finished trims of a task as XComs, asset extras and the link's address, for workers and triggerers alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_trim.links.trim import video_url
from airflow_provider_trim.vod.models import TrimTask, VideoInfo
from airflow_provider_trim.waiting.trans_nos import TransNos


@dataclass(frozen=True, slots=True)
class TrimResults:
    """The trims of a task whose wait is over.

    :param trans_nos: which were waited for
    :param tasks: the finished trims in the same order, with None for those that failed and are ignored
    """

    trans_nos: TransNos
    tasks: Sequence[TrimTask | None]

    def video_info(self) -> Any:
        """Return the XCom ``return_value``: ``videoInfo`` as received, or a list with None for ignored ones."""
        return self.trans_nos.shape([info.raw if info else None for info in self._infos()])

    def ids(self) -> dict[str, Any]:
        """Return the XComs that name the trims and their videos, each shaped as the return value is."""
        columns = {
            "trans_no": self.trans_nos.names,
            "trim_task_id": [task.task_id if task else None for task in self.tasks],
            "video_id": [info.video_id if info else None for info in self._infos()],
        }
        return {key: self.trans_nos.shape(values) for key, values in columns.items()}

    def asset_extra(self) -> dict[str, Any]:
        """Return the ``extra`` of this task's asset events; empty where every trim failed."""
        videos: list[dict[str, Any]] = [
            {
                "video_id": info.video_id,
                "trans_no": name,
                "video_name": info.video_name,
                "duration": info.duration.total_seconds() if info.duration else None,
            }
            for name, info in zip(self.trans_nos, self._infos(), strict=True)
            if info
        ]
        if not videos:
            return {}
        return {"videos": videos} if self.trans_nos.is_list else videos[0]

    def video_ids(self) -> list[str]:
        """Return the ids of the videos that came out."""
        return [info.video_id for info in self._infos() if info]

    def url(self) -> str:
        """Return where the link leads: to the first video, or nowhere ("")."""
        return next((video_url(info) for info in self._infos() if info), "")

    def _infos(self) -> list[VideoInfo | None]:
        return [task.video_info if task else None for task in self.tasks]
