# SPDX-License-Identifier: Apache-2.0
"""Which video came out of which, for OpenLineage, where its provider is installed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

NAMESPACE = "cloudvod"
"""Of all videos: their ids are the same at each of the service's hosts."""


def lineage_of(sources: Iterable[str], outcomes: Iterable[str]) -> Any:
    """Return facets of a finished task, or None where the OpenLineage provider is not installed.

    :param sources: ids of the videos that were trimmed
    :param outcomes: ids of the videos that came out
    """
    try:
        from airflow.providers.common.compat.openlineage.facet import Dataset
        from airflow.providers.openlineage.extractors import OperatorLineage
    except ImportError:
        return None
    return OperatorLineage(
        inputs=[Dataset(namespace=NAMESPACE, name=video_id) for video_id in sources],
        outputs=[Dataset(namespace=NAMESPACE, name=video_id) for video_id in outcomes],
    )
