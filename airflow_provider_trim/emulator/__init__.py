# SPDX-License-Identifier: Apache-2.0
"""The Cloud VoD trimming service, emulated: for trying things out without an account, and for tests.

It takes what the service's documentation says and shares no code with this package's client, so that an error of the
one can't hide in the other. From a shell: ``python -m airflow_provider_trim.emulator --help``.
"""

from airflow_provider_trim.emulator.callbacks import Callback, Delivered, Forged, Late, Lost, Misdelivery, Repeated
from airflow_provider_trim.emulator.exchange import Exchange
from airflow_provider_trim.emulator.faults import (
    ConnectionReset,
    Delay,
    Fault,
    Hold,
    HttpError,
    Normal,
    RawAnswer,
    ResetMidAnswer,
    ServiceCode,
    ServiceData,
)
from airflow_provider_trim.emulator.records import Call
from airflow_provider_trim.emulator.server import TrimEmulator
from airflow_provider_trim.emulator.service import QUERY_PATH, SUBMIT_PATH
from airflow_provider_trim.emulator.submissions import DUPLICATE_CODE, Submission
from airflow_provider_trim.emulator.trims import Trim
from airflow_provider_trim.emulator.video_info import Clip
from airflow_provider_trim.emulator.wire import Answer, ServiceRequest

__all__ = [
    "DUPLICATE_CODE",
    "QUERY_PATH",
    "SUBMIT_PATH",
    "Answer",
    "Call",
    "Callback",
    "Clip",
    "ConnectionReset",
    "Delay",
    "Delivered",
    "Exchange",
    "Fault",
    "Forged",
    "Hold",
    "HttpError",
    "Late",
    "Lost",
    "Misdelivery",
    "Normal",
    "RawAnswer",
    "Repeated",
    "ResetMidAnswer",
    "ServiceCode",
    "ServiceData",
    "ServiceRequest",
    "Submission",
    "Trim",
    "TrimEmulator",
]
