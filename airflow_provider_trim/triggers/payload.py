# SPDX-License-Identifier: Apache-2.0
"""How the verdicts of a wait travel from the triggerer to the task, without secrets.

An event is encoded several times on its way (msgpack, JSON, PostgreSQL's JSONB), and one that can't be ends the
triggerer with all of its triggers. So its content travels as JSON *text* in ASCII, which fits all of these whatever it
is about. Airflow also logs it, in one line; so a long text, of a long list, is compressed.

Decoding fails closed: what is missing, malformed or of an unknown kind is an error, never a success. Events of earlier
commits, which did not say which transNos they are about, are still understood.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from typing import Any

from airflow_provider_trim.polling.verdicts import Failure, Success, TimedOut, Verdict
from airflow_provider_trim.vod import errors
from airflow_provider_trim.vod.errors import TrimError
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from airflow_provider_trim.waiting.trans_nos import TransNos

_CONTEXT_FIELDS = ("code", "request_id", "http_status", "retryable", "retry_after")
_MALFORMED = (
    AttributeError,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
    errors.TransNoEmptyError,
    zlib.error,
)
_CONTENT = "content"
_COMPRESSED = "compressed content"

MAX_PLAIN = 64 * 1024
"""Characters of a text that is not compressed."""


def encode_event(trans_nos: TransNos, verdicts: Sequence[Verdict | None]) -> dict[str, Any]:
    """Return the payload of a trigger's event.

    :param verdicts: one for each transNo, None where the wait was given up undecided
    """
    encoded = [None if verdict is None else _encode_verdict(verdict) for verdict in verdicts]
    text = json.dumps({"trans_nos": trans_nos.argument, "verdicts": encoded})
    if len(text) <= MAX_PLAIN:
        return {_CONTENT: text}
    return {_COMPRESSED: base64.b64encode(zlib.compress(text.encode("ascii"))).decode("ascii")}


def encode_refusal(error: TrimError) -> dict[str, Any]:
    """Return the payload of an event about an argument that names no trims."""
    return {_CONTENT: json.dumps({"error": _encode_error(error)})}


def decode_event(
    event: Any, *, deferred: object = None, argument: object = None
) -> tuple[TransNos, list[Verdict | None]]:
    """Read a payload back.

    :param deferred: the transNos with which the task was deferred, None where that is not known
    :param argument: the task's own argument, for events that do not say which transNos they are about
    :raises TransNoEmptyError, TransNoIllegalError: what was to be waited for are no transNos
    :raises TrimError: the event is not one that :func:`encode_event` makes, or is about other trims
    """
    if not (isinstance(event, dict) and isinstance(event.get(_CONTENT, event.get(_COMPRESSED)), str)):
        trans_nos = TransNos.parse(argument if deferred is None else deferred)
        return trans_nos, _decode_untexted(event, trans_nos)
    try:
        content = json.loads(_text_of(event))
        if "error" in content:
            refusal = _decode_error(content["error"])
        else:
            refusal = None
            trans_nos = TransNos.parse(content["trans_nos"])
            payloads = content["verdicts"]
            verdicts = [
                None if payload is None else _decode_verdict(payload, name)
                for name, payload in zip(trans_nos, payloads, strict=True)
            ]
            # A wait is given up undecided only because another one of the list has failed.
            if None in verdicts and not any(isinstance(v, Failure | TimedOut) for v in verdicts):
                raise ValueError("no verdict")
    except _MALFORMED as error:
        raise _not_understood(_subject(deferred), f"{type(error).__name__} in it") from None
    if refusal is not None:
        raise refusal
    if deferred is not None and TransNos.parse(deferred) != trans_nos:
        raise _not_understood(_subject(deferred), "it is about other trims")
    return trans_nos, verdicts


def _text_of(event: dict[str, Any]) -> str | bytes:
    text: str | None = event.get(_CONTENT)
    return zlib.decompress(base64.b64decode(event[_COMPRESSED])) if text is None else text


def _decode_untexted(event: Any, trans_nos: TransNos) -> list[Verdict | None]:
    """Read an event whose content is no text, as triggerers sent it before and may still hold."""
    subject = _subject(trans_nos.argument)
    payloads = [event]
    if trans_nos.is_list:
        if not (isinstance(event, dict) and isinstance(event.get("verdicts"), list)):
            raise _not_understood(subject, "there is none" if event is None else "it is of an unknown kind")
        payloads = event["verdicts"]
        if len(payloads) != len(trans_nos):
            raise _not_understood(subject, "it has another number of verdicts")
    try:
        return [
            None if payload is None and trans_nos.is_list else _decode_verdict(payload, name)
            for name, payload in zip(trans_nos, payloads, strict=True)
        ]
    except (KeyError, TypeError, ValueError) as error:
        why = "there is none" if event is None else f"{type(error).__name__} in it"
        raise _not_understood(subject, why) from None


def _encode_verdict(verdict: Verdict) -> dict[str, Any]:
    match verdict:
        case Success(task):
            return {"verdict": "success", "data": task.raw, "request_id": task.request_id}
        case Failure(error, worth_retrying):
            return {"verdict": "failure", "error": _encode_error(error), "worth_retrying": worth_retrying}
        case TimedOut(last_error):
            return {"verdict": "timed_out", "error": None if last_error is None else _encode_error(last_error)}


def _decode_verdict(payload: Any, trans_no: str) -> Verdict:
    """Read one verdict.

    :raises KeyError, TypeError, ValueError: it is malformed
    """
    match payload:
        case {"verdict": "success", "data": data}:
            return Success(_decode_task(data, trans_no, payload.get("request_id")))
        case {"verdict": "failure", "error": error}:
            return Failure(_decode_error(error), bool(payload.get("worth_retrying")))
        case {"verdict": "timed_out"}:
            error = payload.get("error")
            return TimedOut(None if error is None else _decode_error(error))
    raise ValueError("of an unknown kind")


def _encode_error(error: TrimError) -> dict[str, Any]:
    context = {name: getattr(error, name) for name in _CONTEXT_FIELDS}
    return {"type": type(error).__name__, "message": error.message, **context}


def _decode_error(payload: dict[str, Any]) -> TrimError:
    kind = getattr(errors, str(payload["type"]), TrimError)
    if not (isinstance(kind, type) and issubclass(kind, TrimError)):
        kind = TrimError
    return kind(str(payload["message"]), **{name: payload.get(name) for name in _CONTEXT_FIELDS})


def _decode_task(data: Any, trans_no: str, request_id: str | None) -> TrimTask:
    task = TrimTask.model_validate(data).model_copy(update={"request_id": request_id})
    if task.status is not TrimStatus.SUCCESSFUL or task.video_info is None:
        raise ValueError("success without a result")
    if task.trans_no not in ("", trans_no):
        raise ValueError("another trim's success")
    return task


def _subject(trans_no: object) -> str:
    if trans_no is None:
        return "this task's trims"
    return f"trim {trans_no}" if isinstance(trans_no, str) else f"{len(TransNos.parse(trans_no))} trims"


def _not_understood(subject: str, why: str) -> TrimError:
    return TrimError(
        f"cannot decode the trigger event for {subject} ({why}). Are triggerer and workers on the same version of "
        "airflow-provider-trim? Restart triggerers after an upgrade."
    )
