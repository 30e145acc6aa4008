# SPDX-License-Identifier: Apache-2.0
"""The posters of the emulator's videos, so that the ``imageUrl`` of a ``videoInfo`` leads somewhere. No I/O."""

from __future__ import annotations

from html import escape
from urllib.parse import quote, unquote

from airflow_provider_trim.emulator.video_info import Clip
from airflow_provider_trim.emulator.wire import Response

_PREFIX, _SUFFIX = "/posters/", ".svg"
# A page that shows the image runs no script of it; the policy is for a browser that opens it by itself.
_HEADERS = {"Content-Type": "image/svg+xml", "Content-Security-Policy": "default-src 'none'"}
_MAX_NAME_LENGTH = 24
"""Characters of a name that fit into the picture."""


def poster_path(trans_no: str) -> str:
    """The path at which the poster of a trim's video is served."""
    return f"{_PREFIX}{quote(trans_no, safe='')}{_SUFFIX}"


def trans_no_of(raw_path: str) -> str | None:
    """The ``transNo`` whose poster a path means, or None for any other path."""
    if raw_path.startswith(_PREFIX) and raw_path.endswith(_SUFFIX):
        return unquote(raw_path.removeprefix(_PREFIX).removesuffix(_SUFFIX))
    return None


def draw_poster(clip: Clip) -> Response:
    """A picture of 320 by 180 pixels with the clip's name and length."""
    # XML 1.0 has no control characters, not even escaped.
    name = "".join(character for character in clip.name[:_MAX_NAME_LENGTH] if character.isprintable())
    minutes, seconds = divmod(clip.seconds, 60)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="180" font-family="sans-serif" fill="white"'
        ' text-anchor="middle"><rect width="320" height="180" fill="#243b53"/>'
        '<path d="M140 45v50l45-25z" fill="#9fb3c8"/>'
        f'<text x="160" y="130" font-size="18">{escape(name)}</text>'
        f'<text x="160" y="155" font-size="14">{minutes}:{seconds:02}</text></svg>'
    )
    return Response(200, svg.encode(), _HEADERS)
