# SPDX-License-Identifier: Apache-2.0
"""Errors of one trim name it: a caller of the hook may have queried several."""

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
    """Have what the service says of a trim name it; a wait does so by itself."""
    try:
        yield
    except _ABOUT_THE_TRIM as error:
        label = f"trim {excerpt(str(trans_no).strip())}"
        if error.code is not None and not error.message.startswith(label):
            error.message = f"{label}: {error.message}"
        raise
