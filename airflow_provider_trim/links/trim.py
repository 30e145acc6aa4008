# SPDX-License-Identifier: Apache-2.0
"""The button "Video" of a finished task: the video's poster, or where it is published."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_provider_trim.compat import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow_provider_trim.compat import BaseOperator
    from airflow_provider_trim.vod.models import VideoInfo

_MAX_LENGTH = 2000
_REST = r"(?::\d{1,5})?([/?#][^\s\"<>\\^`{|}]*)?"
_URL = re.compile(rf"(?:https?:)?//(?:[\w-]+(?:\.[\w-]+)*\.?|\[[\da-f:.]+\]){_REST}", re.IGNORECASE)
_HOST = re.compile(rf"(?:(?:[\w-]+\.)+[^\W\d_][\w-]+|\d+(?:\.\d+){{3}}){_REST}")
"""A name or address of a host without a scheme; ``N/A``, ``-`` and ``images/poster.jpg`` begin with none."""

URL_KEY = "video_url"
"""XCom key of the address: a task pushes it there where its video has one, and the link reads it there."""


class TrimVideoLink(BaseOperatorLink):
    """Leads to the poster of the video that a task has handed on, or to its publish address.

    Airflow 3 stores the address at the end of each process of a task, and shows what is stored. Airflow 2.11 calls
    :meth:`get_link` to show it.
    """

    name = "Video"

    @property
    def xcom_key(self) -> str:
        """XCom key under which Airflow 3 stores and reads the address: that of the task itself."""
        return URL_KEY

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the address, or "" where the video has none."""
        # Airflow 3 gets it at the end of each process that a task has had, deferrals included, and logs an error for an
        # XCom that is not there.
        if (known := getattr(operator, "_video_url", None)) is not None:
            return str(known)
        return XCom.get_value(key=URL_KEY, ti_key=ti_key) or ""


def video_url(info: VideoInfo) -> str:
    """Return the address of a video's poster, else of its publish domain, else "".

    It becomes a link in the web UI, so it must be a plain http or https URL. `The vendor's page
    <https://documents.cdnetworks.com/document/cloud-vod/20391-get-trimming-task-status>`_ has one URL and one domain,
    both of which may be empty. A host without a scheme is taken for https; a path without a host, or a text such as
    ``N/A``, leads nowhere.
    """
    return _web_address(info.image_url, needs_path=True) or _web_address(info.publish_domain)


def _web_address(text: str, *, needs_path: bool = False) -> str:
    address = text.strip()
    if len(address) > _MAX_LENGTH or not address.isprintable():
        return ""
    if _URL.fullmatch(address):
        scheme, _, rest = address.partition("//")
        return f"{scheme.lower() or 'https:'}//{rest}"
    host = _HOST.fullmatch(address)
    if host is None or (needs_path and not host[1]):  # a file's name, such as poster.jpg, is no host
        return ""
    return f"https://{address}"
