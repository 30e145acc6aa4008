# SPDX-License-Identifier: Apache-2.0
"""Errors about one trim name it, since a caller of the hook may have queried several."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from airflow_provider_trim.vod.errors import (
    TransNoIllegalError,
    TransNoNotFoundError,
    TrimApiError,
    VideoProcessingError,
)
from airflow_provider_trim.vod.redaction import excerpt

_ABOUT_THE_TRIM = (TransNoIllegalError, TransNoNotFoundError, VideoProcessingError, TrimApiError)


@contextlib.contextmanager
def naming(trans_no: str) -> Iterator[None]:
    """Add the trim's name to an error about it; the messages of a wait have it already."""
    try:
        yield
    except _ABOUT_THE_TRIM as error:
        label = f"trim {excerpt(str(trans_no).strip())}"
        if error.code is not None and not error.message.startswith(label):
            error.message = f"{label}: {error.message}"
        raise
