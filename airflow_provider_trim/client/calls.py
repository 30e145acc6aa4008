# SPDX-License-Identifier: Apache-2.0
"""The calls of the API that this package makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from airflow_provider_trim.metrics.catalog import POLL_DURATION, POLLS, SUBMISSIONS
from airflow_provider_trim.vod.advice import credentials_note
from airflow_provider_trim.vod.http import Request, Response
from airflow_provider_trim.vod.models import TrimTask
from airflow_provider_trim.vod.protocol import build_query, build_submission, parse_submission, parse_task
from airflow_provider_trim.vod.response import ParserOptions
from airflow_provider_trim.vod.settings import TrimSettings


@dataclass(frozen=True, slots=True)
class Query:
    """Query a trim's status.

    :param trans_no: of the trim
    """

    counter: ClassVar[str] = POLLS.name
    timer: ClassVar[str | None] = POLL_DURATION.name

    trans_no: str

    def build(self, settings: TrimSettings, now: float) -> Request:
        """Build the signed request; ``now`` is Unix seconds."""
        return build_query(settings, self.trans_no, now)

    def parse(self, response: Response, settings: TrimSettings, now: float) -> TrimTask:
        """Return the trim; raise a :class:`TrimError` unless it is processing or successful."""
        options = _options(settings, now)
        return parse_task(response.status, response.headers, response.body, options, trans_no=self.trans_no)


@dataclass(frozen=True, slots=True)
class Submission:
    """Submit a trim.

    :param parameters: as they go over the wire
    """

    counter: ClassVar[str] = SUBMISSIONS.name
    timer: ClassVar[str | None] = None

    parameters: Mapping[str, Any]

    def build(self, settings: TrimSettings, now: float) -> Request:
        """Build the signed request; ``now`` is Unix seconds."""
        return build_submission(settings, self.parameters, now)

    def parse(self, response: Response, settings: TrimSettings, now: float) -> str:
        """Return ``data`` of the response; raise a :class:`TrimError` where the submission was refused."""
        return parse_submission(response.status, response.headers, response.body, _options(settings, now))


def _options(settings: TrimSettings, now: float) -> ParserOptions:
    secret = settings.password.get_secret_value()
    return ParserOptions(secret, now, settings.max_retry_after, credentials_note(settings))
