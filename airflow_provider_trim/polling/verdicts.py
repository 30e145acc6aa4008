# SPDX-License-Identifier: Apache-2.0
"""What a poll decides: how a wait has ended, or when it goes on."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.models import TrimTask


@dataclass(frozen=True, slots=True)
class Success:
    """The trim is done."""

    task: TrimTask


@dataclass(frozen=True, slots=True)
class Failure:
    """The wait is over without a result.

    :param error: the last cause
    :param worth_retrying: whether a retry of the Airflow task can help
    """

    error: TrimError
    worth_retrying: bool = False


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The deadline has passed and the trim was not done at the last poll.

    :param last_error: why the last poll failed, None where it showed a trim that is processing
    """

    last_error: TrimError | None = None


@dataclass(frozen=True, slots=True)
class PollAgain:
    """Nothing is decided yet.

    :param at: when the next poll is due
    :param message: what a reader of the log should know, None where nothing has changed
    :param level: of the message, as in :mod:`logging`
    """

    at: float
    message: str | None = None
    level: int = logging.WARNING


Verdict = Success | Failure | TimedOut
Decision = Verdict | PollAgain
