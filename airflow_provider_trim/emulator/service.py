# SPDX-License-Identifier: Apache-2.0
"""Request handling: routing, the gateway, faults, and the service itself."""

from __future__ import annotations

import asyncio
import functools
import itertools
import secrets
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from aiohttp import web

from airflow_provider_trim.emulator.connections import Connection
from airflow_provider_trim.emulator.exchange import Exchange
from airflow_provider_trim.emulator.faults import Fault, Moment, Plan, SubmissionFaultPlan
from airflow_provider_trim.emulator.gateway import Gateway
from airflow_provider_trim.emulator.posters import draw_poster, trans_no_of
from airflow_provider_trim.emulator.records import Call, CallLog
from airflow_provider_trim.emulator.submissions import SubmissionHandler
from airflow_provider_trim.emulator.trims import TrimStore
from airflow_provider_trim.emulator.wire import (
    PARAMETER_ERROR,
    REQUEST_ID_HEADER,
    Response,
    ServiceRequest,
    UnreadableBodyError,
    envelope,
    parse_parameters,
)

QUERY_PATH = "/vod/videoManage/videoClipQuery"
"""Path of *Get Trimming Task Status*, the same on all of the vendor's hosts."""

SUBMIT_PATH = "/vod/videoManage/videoClip"
"""Path that submits a trim. The vendor documents POST; the emulator accepts GET as well, as for the query."""

_PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
NOT_FOUND = Response(404, b"404: Not Found", _PLAIN)
METHOD_NOT_ALLOWED = Response(405, b"405: Method Not Allowed", {**_PLAIN, "Allow": "GET,POST"})


class TrimService:
    """Responds to requests.

    The gateway comes first: a call that it rejects meets no fault. It counts a call on arrival, whatever comes after.

    :param clock: seconds at which calls arrive and trims end
    :param wall_clock: Unix seconds for the ``Date`` of responses
    """

    def __init__(
        self,
        *,
        trims: TrimStore,
        submission_handler: SubmissionHandler,
        faults: Plan[Fault],
        submission_faults: SubmissionFaultPlan,
        log: CallLog,
        gateway: Gateway,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._trims = trims
        self._submission_handler = submission_handler
        self._faults = faults
        self._submission_faults = submission_faults
        self._log = log
        self._gateway = gateway
        self._clock = clock
        self._wall_clock = wall_clock
        prefix = secrets.token_hex(8)
        self._request_ids = (f"{prefix}-{number:x}" for number in itertools.count(1))

    async def handle(self, http_request: web.BaseRequest, connection: Connection) -> web.StreamResponse:
        """Respond to one request that arrived on ``connection``. A request for a poster is no call of the service."""
        if http_request.method == "GET" and (poster_of := trans_no_of(http_request.rel_url.raw_path)) is not None:
            return self._poster(poster_of)
        arrived = self._clock()
        request, rejection = await self._receive(http_request, arrived)
        when, fault = self._next_fault(request) if rejection is None else ("before", None)
        request_id = next(self._request_ids)

        def record(response: Response | None) -> None:
            self._log.record_call(lambda: _call(arrived, request, request_id, response, connection, fault))

        default_headers = {REQUEST_ID_HEADER: request_id, "Date": formatdate(self._wall_clock(), usegmt=True)}
        exchange = Exchange(http_request, request, default_headers, self._default_response(request), record)
        try:
            if rejection is not None:
                return await exchange.reply(rejection)
            if when == "after":
                exchange.default_response()
            if fault is not None:
                return await fault.apply(exchange)
            return await exchange.reply(exchange.default_response())
        except asyncio.CancelledError:
            exchange.abandon()
            raise

    def _poster(self, trans_no: str) -> web.Response:
        try:
            poster = draw_poster(self._trims.get(trans_no).output)
        except KeyError:
            poster = NOT_FOUND
        return web.Response(status=poster.http_status, body=poster.body, headers=poster.headers)

    async def _receive(self, http_request: web.BaseRequest, now: float) -> tuple[ServiceRequest, Response | None]:
        """Return the request, and the response to it if it is rejected."""
        url = http_request.rel_url
        headers = http_request.headers
        body = await http_request.read()
        parameters: dict[str, Any] = {}
        unreadable = None
        try:
            content_type = http_request.content_type if "Content-Type" in headers else ""
            parameters = parse_parameters(http_request.method, url.raw_query_string, content_type, body)
        except UnreadableBodyError as error:
            unreadable = envelope(PARAMETER_ERROR, str(error))
        request = ServiceRequest(http_request.method, url.raw_path, url.raw_query_string, headers, body, parameters)
        rejection = _route_error(request)
        if rejection is None and not (unreadable and self._gateway.authentication.reads_parameters):
            rejection = self._gateway.reject(request, now)
        return request, rejection or unreadable

    def _next_fault(self, request: ServiceRequest) -> tuple[Moment, Fault | None]:
        if request.path == SUBMIT_PATH:
            return self._submission_faults.pop() or ("before", None)
        return "before", self._faults.pop(request.trans_no)

    def _default_response(self, request: ServiceRequest) -> Callable[[], Response]:
        if request.path == SUBMIT_PATH:
            # Cached: a fault after the acceptance needs the same response a second time, not a second submission.
            return functools.cache(lambda: self._submission_handler.submit(request.parameters))
        return lambda: self._trims.query(request.parameters.get("transNo"), self._clock())


def _route_error(request: ServiceRequest) -> Response | None:
    if request.path not in (QUERY_PATH, SUBMIT_PATH):
        return NOT_FOUND
    return None if request.method in ("GET", "POST") else METHOD_NOT_ALLOWED


def _call(
    arrived: float,
    request: ServiceRequest,
    request_id: str,
    response: Response | None,
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
        http_status=response.http_status if response else None,
        code=response.code if response else None,
        trim_status=response.trim_status if response else None,
        request_id=request_id,
        connection=connection.number,
        peer_port=connection.peer_port,
        fault=type(fault).__name__ if fault else None,
    )
