# SPDX-License-Identifier: Apache-2.0
"""From a request to its answer: addresses, the gateway's refusals, faults, and the service itself."""

from __future__ import annotations

import asyncio
import functools
import itertools
import secrets
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from aiohttp import web

from airflow_provider_trim.emulator.authentication import Authentication, AuthenticationRefused
from airflow_provider_trim.emulator.connections import Connection
from airflow_provider_trim.emulator.exchange import Exchange
from airflow_provider_trim.emulator.faults import Fault, FaultPlan, Moment, SubmissionFaultPlan
from airflow_provider_trim.emulator.posters import draw_poster, trans_no_of
from airflow_provider_trim.emulator.quota import MovingWindow
from airflow_provider_trim.emulator.records import Call, CallLog
from airflow_provider_trim.emulator.submissions import SubmissionDesk
from airflow_provider_trim.emulator.trims import TrimStore
from airflow_provider_trim.emulator.wire import (
    JSON_HEADERS,
    PARAMETER_ERROR,
    REQUEST_ID_HEADER,
    Answer,
    ServiceRequest,
    UnreadableBody,
    envelope,
    parse_parameters,
)

QUERY_PATH = "/vod/videoManage/videoClipQuery"
"""Get Trimming Task Status; the same path at all of the vendor's front doors."""

SUBMIT_PATH = "/vod/videoManage/videoClip"
"""Submit a trim. Documented for POST; GET is let in as for the query."""

_PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
NOT_FOUND = Answer(404, b"404: Not Found", _PLAIN)
METHOD_NOT_ALLOWED = Answer(405, b"405: Method Not Allowed", {**_PLAIN, "Allow": "GET,POST"})


class TrimService:
    """Answers requests.

    Authentication and quota stand in front, as a gateway does: a call they refuse meets no fault. The quota counts a
    call when it arrives, whatever becomes of it then.
    """

    def __init__(
        self,
        *,
        trims: TrimStore,
        desk: SubmissionDesk,
        faults: FaultPlan,
        submission_faults: SubmissionFaultPlan,
        log: CallLog,
        authentication: Authentication,
        quota: MovingWindow | None,
        quota_retry_after: bool,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._trims = trims
        self._desk = desk
        self._faults = faults
        self._submission_faults = submission_faults
        self._log = log
        self._authentication = authentication
        self._quota = quota
        self._quota_retry_after = quota_retry_after
        self._clock = clock
        self._wall_clock = wall_clock
        self._request_id_prefix = secrets.token_hex(8)
        self._request_numbers = itertools.count(1)
        self.refused = 0
        """How many calls the quota refused."""

    async def handle(self, http_request: web.BaseRequest, connection: Connection) -> web.StreamResponse:
        """Answer one request that came over ``connection``. A request for a poster is no call of the service."""
        if http_request.method == "GET" and (poster_of := trans_no_of(http_request.rel_url.raw_path)) is not None:
            return self._poster(poster_of)
        arrived = self._clock()
        request, refusal = await self._receive(http_request, arrived)
        when, fault = self._planned(request) if refusal is None else ("before", None)
        request_id = f"{self._request_id_prefix}-{next(self._request_numbers):x}"

        def record(answer: Answer | None) -> None:
            self._log.note(lambda: _call(arrived, request, request_id, answer, connection, fault))

        own_headers = {REQUEST_ID_HEADER: request_id, "Date": formatdate(self._wall_clock(), usegmt=True)}
        exchange = Exchange(http_request, request, own_headers, self._ordinary(request), record)
        try:
            if refusal is not None:
                return await exchange.reply(refusal)
            if when == "after":
                exchange.ordinary()
            if fault is not None:
                return await fault.apply(exchange)
            return await exchange.reply(exchange.ordinary())
        except asyncio.CancelledError:
            exchange.abandon()
            raise

    def _poster(self, trans_no: str) -> web.Response:
        try:
            poster = draw_poster(self._trims.get(trans_no).output)
        except KeyError:
            poster = NOT_FOUND
        return web.Response(status=poster.http_status, body=poster.body, headers=poster.headers)

    async def _receive(self, http_request: web.BaseRequest, now: float) -> tuple[ServiceRequest, Answer | None]:
        """The request as received, and what it is answered if it is not let in."""
        url = http_request.rel_url
        headers = http_request.headers
        body = await http_request.read()
        parameters: dict[str, Any] = {}
        unreadable = None
        try:
            content_type = http_request.content_type if "Content-Type" in headers else ""
            parameters = parse_parameters(http_request.method, url.raw_query_string, content_type, body)
        except UnreadableBody as error:
            unreadable = envelope(PARAMETER_ERROR, str(error))
        request = ServiceRequest(http_request.method, url.raw_path, url.raw_query_string, headers, body, parameters)
        refusal = self._misaddressed(request)
        if refusal is None and not (unreadable and self._authentication.reads_parameters):
            refusal = self._refused_by_gateway(request, now)
        return request, refusal or unreadable

    def _misaddressed(self, request: ServiceRequest) -> Answer | None:
        if request.path not in (QUERY_PATH, SUBMIT_PATH):
            return NOT_FOUND
        return None if request.method in ("GET", "POST") else METHOD_NOT_ALLOWED

    def _refused_by_gateway(self, request: ServiceRequest, now: float) -> Answer | None:
        try:
            account = self._authentication.authenticate(request)
        except AuthenticationRefused as error:
            return envelope(error.code, str(error), http_status=error.http_status)
        retry_after = self._quota.refusal(account, now) if self._quota else None
        if retry_after is None:
            return None
        self.refused += 1
        headers = {**JSON_HEADERS, "Retry-After": str(retry_after)} if self._quota_retry_after else JSON_HEADERS
        return envelope(429, "too many requests", http_status=429, headers=headers)

    def _planned(self, request: ServiceRequest) -> tuple[Moment, Fault | None]:
        """The fault a request meets, and when."""
        if request.path == SUBMIT_PATH:
            return self._submission_faults.take() or ("before", None)
        return "before", self._faults.take(request.trans_no)

    def _ordinary(self, request: ServiceRequest) -> Callable[[], Answer]:
        """What gives the answer of a service that behaves."""
        if request.path == SUBMIT_PATH:
            # Once: a fault that comes after the submission was accepted asks for the same answer again.
            return functools.cache(lambda: self._desk.submit(request.parameters))
        return lambda: self._trims.answer(request.parameters.get("transNo"), self._clock())


def _call(
    arrived: float,
    request: ServiceRequest,
    request_id: str,
    answer: Answer | None,
    connection: Connection,
    fault: Fault | None,
) -> Call:
    return Call(
        time=arrived,
        method=request.method,
        path=request.path,
        query_string=request.query_string,
        headers=request.headers,
        body=request.body,
        parameters=request.parameters,
        trans_no=request.trans_no,
        http_status=answer.http_status if answer else None,
        code=answer.code if answer else None,
        trim_status=answer.trim_status if answer else None,
        request_id=request_id,
        connection=connection.number,
        peer_port=connection.peer_port,
        fault=type(fault).__name__ if fault else None,
    )
