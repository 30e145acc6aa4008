# SPDX-License-Identifier: Apache-2.0
"""Where values end: what a response says goes on to the event, the stores behind it, XCom, the log and the link."""

from __future__ import annotations

import json
import logging
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from airflow.sdk.serde import serialize

from airflow_provider_trim.compat import AirflowFailException, AirflowSensorTimeout
from airflow_provider_trim.polling.verdicts import Failure, Success, TimedOut, Verdict
from airflow_provider_trim.triggers.finish_in_triggerer import build_xcoms
from airflow_provider_trim.triggers.payload import decode_event, encode_event
from airflow_provider_trim.triggers.results import unwrap_verdicts
from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from airflow_provider_trim.waiting.results import TrimResults
from airflow_provider_trim.waiting.trans_nos import TransNos

MAX_LINE = 2000
"""Characters of a log line or of an error, about one trim."""

Tells = Callable[[str], bool]


class Lines(logging.Handler):
    """Log lines, as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def verdict_of(outcome: TrimTask | TrimError) -> Verdict:
    """The verdict of a wait that ends with this outcome of a poll."""
    if isinstance(outcome, TrimError):
        return Failure(outcome, outcome.retryable)
    return Success(outcome) if outcome.status is TrimStatus.SUCCESSFUL else TimedOut(None)


def check_journey(verdicts: Sequence[Verdict], trans_nos: TransNos, tells: Tells) -> None:
    """Send verdicts the whole way.

    :param tells: whether a text shows the connection's secret
    """
    event = encode_event(trans_nos, verdicts)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(event)) == event  # the triggerer's channel
    text = json.dumps(event, allow_nan=False)
    check_jsonb(text)
    assert not tells(text)
    arrived, decoded = decode_event(json.loads(text), deferred=trans_nos.argument)
    assert arrived == trans_nos
    assert [type(one) for one in decoded] == [type(one) for one in verdicts]
    lines, tasks = _log(trans_nos, decoded)
    for line in lines:
        check_line(line, MAX_LINE * len(verdicts))
        assert not tells(line)
    if tasks is not None:
        _check_results(TrimResults(trans_nos, tasks), tells)


def _log(trans_nos: TransNos, verdicts: Sequence[Verdict | None]) -> tuple[list[str], list[TrimTask | None] | None]:
    """What the worker logs, or raises, and the trims."""
    log, lines = logging.Logger("journey"), Lines()
    log.addHandler(lines)
    try:
        return lines.texts, unwrap_verdicts(trans_nos, verdicts, "fail", log)
    except (AirflowFailException, AirflowSensorTimeout, TrimError) as error:
        lines.texts.extend(str(error).split("\n  "))  # the rows of a table
    ignored = unwrap_verdicts(trans_nos, verdicts, "ignore", log)
    return lines.texts, ignored


def _check_results(results: TrimResults, tells: Tells) -> None:
    xcoms = {**build_xcoms(results), **results.ids(), "asset": results.asset_extra()}
    for value in xcoms.values():
        text = json.dumps(serialize(value), allow_nan=False)
        check_jsonb(text)
        assert json.loads(text) == value
        assert not tells(text)
    if link := results.url():
        assert link.startswith(("http://", "https://"))
        assert link.isprintable()
        assert not set(link) & set(" \"'<>\\^`{|}") - {"'"}
        assert len(link) < MAX_LINE + 100


def check_jsonb(text: str) -> None:
    """PostgreSQL takes a JSON text as JSONB: no NUL, no half characters, and no number that it can't hold."""
    todo = [json.loads(text)]
    while todo:
        part = todo.pop()
        if isinstance(part, str):
            assert "\0" not in part
            part.encode()
        elif isinstance(part, dict):
            todo += [*part, *part.values()]
        elif isinstance(part, list):
            todo += part
        elif isinstance(part, int):
            assert -(2**63) <= part < 2**63


def check_line(line: str, limit: int) -> None:
    """One line, which commands no terminal and is not read in another order."""
    odd = not line.isprintable() and [
        character for character in line if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs")
    ]
    assert not odd, ascii(line)
    assert len(line) <= limit, len(line)


def any_value(value: Any) -> dict[str, Any]:
    """A response of a finished trim with a value where the service may put anything."""
    return {"taskId": "1", "transNo": "", "status": 2, "videoInfo": {"videoId": "V", "later": value}}
