# SPDX-License-Identifier: Apache-2.0
"""A local emulator of the Cloud VoD trimming service, for experiments without an account and for tests.

::

    with TrimEmulator() as emulator:
        emulator.add_trim("clip-1", seconds=5)
        ...  # a connection with the host emulator.url, the login emulator.user and the password emulator.token

It follows the service's documentation and shares no code with this package's client, so a bug in one cannot hide in
the other. From a shell: ``python -m airflow_provider_trim.emulator --help``.
"""

from airflow_provider_trim.emulator.authentication import Authentication, AuthenticationError
from airflow_provider_trim.emulator.callbacks import Callback, CallbackFault, Delivered, Forged, Late, Lost, Repeated
from airflow_provider_trim.emulator.exchange import Exchange
from airflow_provider_trim.emulator.faults import (
    ConnectionReset,
    Delay,
    Fault,
    Hold,
    HttpError,
    NoFault,
    RawResponse,
    ResetMidResponse,
    ServiceCode,
    ServiceData,
)
from airflow_provider_trim.emulator.records import Call
from airflow_provider_trim.emulator.server import TrimEmulator
from airflow_provider_trim.emulator.service import QUERY_PATH, SUBMIT_PATH
from airflow_provider_trim.emulator.submissions import DUPLICATE_CODE, Submission
from airflow_provider_trim.emulator.trims import Trim
from airflow_provider_trim.emulator.video_info import Clip
from airflow_provider_trim.emulator.wire import Response, ServiceRequest

__all__ = [
    "DUPLICATE_CODE",
    "QUERY_PATH",
    "SUBMIT_PATH",
    "Authentication",
    "AuthenticationError",
    "Call",
    "Callback",
    "CallbackFault",
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
    "NoFault",
    "RawResponse",
    "Repeated",
    "ResetMidResponse",
    "Response",
    "ServiceCode",
    "ServiceData",
    "ServiceRequest",
    "Submission",
    "Trim",
    "TrimEmulator",
]
