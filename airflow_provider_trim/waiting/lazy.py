# SPDX-License-Identifier: Apache-2.0
"""Lazy imports of what runs a wait.

A DAG file is parsed over and over, and imports the sensor and the operators each time. What they need to run brings
HTTP clients and pydantic along, so it is imported when it is first used, as an attribute of this module.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_trim.hooks.trim import TrimApiHook as TrimApiHook
    from airflow_provider_trim.polling.group import WaitGroup as WaitGroup
    from airflow_provider_trim.polling.options import WaitOptions as WaitOptions
    from airflow_provider_trim.polling.sync import SyncPoller as SyncPoller
    from airflow_provider_trim.polling.verdicts import Failure as Failure
    from airflow_provider_trim.polling.verdicts import Success as Success
    from airflow_provider_trim.triggers.payload import decode_event as decode_event
    from airflow_provider_trim.triggers.results import unwrap_verdicts as unwrap_verdicts
    from airflow_provider_trim.triggers.trim import TrimTaskStatusTrigger as TrimTaskStatusTrigger
    from airflow_provider_trim.vod.advice import callback_note as callback_note
    from airflow_provider_trim.vod.callbacks import callback_address as callback_address
    from airflow_provider_trim.vod.errors import TransNoEmptyError as TransNoEmptyError
    from airflow_provider_trim.vod.errors import TransNoIllegalError as TransNoIllegalError
    from airflow_provider_trim.vod.errors import TransNoNotFoundError as TransNoNotFoundError
    from airflow_provider_trim.vod.errors import TrimAuthError as TrimAuthError
    from airflow_provider_trim.vod.errors import TrimError as TrimError
    from airflow_provider_trim.vod.errors import TrimParameterError as TrimParameterError
    from airflow_provider_trim.vod.errors import TrimTaskFailedError as TrimTaskFailedError
    from airflow_provider_trim.vod.errors import VideoProcessingError as VideoProcessingError
    from airflow_provider_trim.vod.models import TrimStatus as TrimStatus
    from airflow_provider_trim.vod.models import TrimTask as TrimTask
    from airflow_provider_trim.vod.redaction import truncate as truncate
    from airflow_provider_trim.vod.submission import TrimSubmission as TrimSubmission
    from airflow_provider_trim.vod.times import as_seconds as as_seconds
    from airflow_provider_trim.waiting.rendered import connection_id as connection_id
    from airflow_provider_trim.waiting.rendered import optional as optional
    from airflow_provider_trim.waiting.rendered import required as required
    from airflow_provider_trim.waiting.results import TrimResults as TrimResults
    from airflow_provider_trim.waiting.trans_nos import TransNos as TransNos

PLACES = {
    "Failure": "polling.verdicts",
    "Success": "polling.verdicts",
    "SyncPoller": "polling.sync",
    "TransNoEmptyError": "vod.errors",
    "TransNoIllegalError": "vod.errors",
    "TransNoNotFoundError": "vod.errors",
    "TransNos": "waiting.trans_nos",
    "TrimApiHook": "hooks.trim",
    "TrimAuthError": "vod.errors",
    "TrimError": "vod.errors",
    "TrimParameterError": "vod.errors",
    "TrimResults": "waiting.results",
    "TrimStatus": "vod.models",
    "TrimSubmission": "vod.submission",
    "TrimTask": "vod.models",
    "TrimTaskFailedError": "vod.errors",
    "TrimTaskStatusTrigger": "triggers.trim",
    "VideoProcessingError": "vod.errors",
    "WaitGroup": "polling.group",
    "WaitOptions": "polling.options",
    "as_seconds": "vod.times",
    "callback_address": "vod.callbacks",
    "callback_note": "vod.advice",
    "connection_id": "waiting.rendered",
    "decode_event": "triggers.payload",
    "optional": "waiting.rendered",
    "required": "waiting.rendered",
    "truncate": "vod.redaction",
    "unwrap_verdicts": "triggers.results",
}
"""By name, the module of this package that has it."""


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"airflow_provider_trim.{PLACES[name]}"), name)
    return found
