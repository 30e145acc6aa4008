# SPDX-License-Identifier: Apache-2.0
"""How a wait's verdict travels from the triggerer to the task: as plain JSON values, without secrets.

Decoding fails closed: what is missing, malformed or of an unknown kind is an error, never a success.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_trim.polling.state import Failure, Success, TimedOut, Verdict
from airflow_provider_trim.vod import errors
from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from airflow_provider_trim.waiting.trans_nos import TransNos

_FACTS = ("code", "request_id", "http_status", "retryable", "retry_after")


def encode(verdict: Verdict) -> dict[str, Any]:
    """Return the payload of a trigger's event."""
    match verdict:
        case Success(task):
            return {"verdict": "success", "data": task.raw, "request_id": task.request_id}
        case Failure(error, worth_retrying):
            return {"verdict": "failure", "error": _encode_error(error), "worth_retrying": worth_retrying}
        case TimedOut(last_error):
            return {"verdict": "timed_out", "error": None if last_error is None else _encode_error(last_error)}


def decode(event: Any, trans_no: str) -> Verdict:
    """Read a payload back.

    :param event: what Airflow hands over when it resumes the task
    :param trans_no: whose verdict it should be
    :raises TrimError: it is not one that :func:`encode` makes
    """
    try:
        match event:
            case {"verdict": "success", "data": data}:
                return Success(_decode_task(data, trans_no, event.get("request_id")))
            case {"verdict": "failure", "error": error}:
                return Failure(_decode_error(error), bool(event.get("worth_retrying")))
            case {"verdict": "timed_out"}:
                error = event.get("error")
                return TimedOut(None if error is None else _decode_error(error))
    except (KeyError, TypeError, ValueError) as error:
        raise _not_understood(f"trim {trans_no}", f"{type(error).__name__} in it") from None
    raise _not_understood(f"trim {trans_no}", "there is none" if event is None else "it is of an unknown kind")


def decode_event(event: Any, trans_nos: TransNos) -> list[Verdict | None]:
    """Read what the trigger tells about a task's trims.

    :raises TrimError: it is not understood
    """
    return decode_many(event, trans_nos.names) if trans_nos.is_list else [decode(event, trans_nos.names[0])]


def encode_many(verdicts: Sequence[Verdict | None]) -> dict[str, Any]:
    """Return the payload of an event about several waits, some of which may have been given up."""
    return {"verdicts": [None if verdict is None else encode(verdict) for verdict in verdicts]}


def decode_many(event: Any, trans_nos: Sequence[str]) -> list[Verdict | None]:
    """Read such a payload back; otherwise as :func:`decode`."""
    match event:
        case {"verdicts": [*payloads]} if len(payloads) == len(trans_nos):
            pairs = zip(payloads, trans_nos, strict=True)
            return [None if payload is None else decode(payload, trans_no) for payload, trans_no in pairs]
    raise _not_understood(f"{len(trans_nos)} trims", "there is none" if event is None else "it is of an unknown kind")


def _encode_error(error: TrimError) -> dict[str, Any]:
    return {"type": type(error).__name__, "message": error.message, **{name: getattr(error, name) for name in _FACTS}}


def _decode_error(payload: dict[str, Any]) -> TrimError:
    kind = getattr(errors, str(payload["type"]), TrimError)
    if not (isinstance(kind, type) and issubclass(kind, TrimError)):
        kind = TrimError
    return kind(str(payload["message"]), **{name: payload.get(name) for name in _FACTS})


def _decode_task(data: Any, trans_no: str, request_id: str | None) -> TrimTask:
    task = TrimTask.model_validate(data).model_copy(update={"request_id": request_id})
    if task.status is not TrimStatus.SUCCESSFUL or task.video_info is None:
        raise ValueError("success without a result")
    if task.trans_no not in ("", trans_no):
        raise ValueError("another trim's success")
    return task


def _not_understood(subject: str, why: str) -> TrimError:
    return TrimError(
        f"the event about {subject} is not understood ({why}); are the triggerer and the workers of the same "
        "version of airflow-provider-trim, and was the triggerer restarted after an upgrade?"
    )
