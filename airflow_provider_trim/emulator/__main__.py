# SPDX-License-Identifier: Apache-2.0
"""The emulator from a shell: ``python -m airflow_provider_trim.emulator``, or ``trim-emulator``."""

from __future__ import annotations

import argparse
import math
import signal
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import get_args

from airflow_provider_trim.emulator.authentication import Scheme
from airflow_provider_trim.emulator.callbacks import Callback
from airflow_provider_trim.emulator.records import Call
from airflow_provider_trim.emulator.server import TrimEmulator
from airflow_provider_trim.emulator.service import SUBMIT_PATH
from airflow_provider_trim.emulator.trims import MAX_TRANS_NO_LENGTH, Outcome
from airflow_provider_trim.emulator.wire import SUCCESS_CODE

DEFAULT_PORT = 8766

_TRIM_STATUS_WORDS = {1: "processing", 2: "successful", 3: "failed"}


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM.

    :param argv: the arguments, by default those of the command line
    :return: the exit code: 0, or 1 if the address can't be listened on
    :raises SystemExit: with code 2 if the arguments are wrong
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    emulator = TrimEmulator(
        arguments.host,
        arguments.port,
        arguments.user,
        arguments.token,
        arguments.duration,
        auth=arguments.auth,
        record=False,
        on_call=None if arguments.quiet else _print_call,
        on_callback=None if arguments.quiet else _print_callback,
    )
    for trans_no, seconds, outcome in arguments.trim:
        try:
            emulator.add_trim(trans_no, seconds, outcome, start_on_first_poll=True)
        except ValueError as error:
            parser.error(f"argument --trim: {error}")
    return _serve(emulator)


def _serve(emulator: TrimEmulator) -> int:
    # Blocked here, the signals are blocked in the server's thread as well, and come to sigwait() and nowhere else.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        emulator.start()
    except OSError as error:
        print(f"can't listen: {error}", file=sys.stderr)
        return 1
    else:
        print(f"Trim emulator on {emulator.url} (user {emulator.user})", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
        return 0
    finally:
        emulator.stop()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trim-emulator",
        description="Emulates the Cloud VoD trimming service on this machine.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="TCP port; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--auth",
        choices=get_args(Scheme),
        default="token",
        metavar="SCHEME",
        help=f"authentication scheme: {', '.join(get_args(Scheme))} (default: %(default)s)",
    )
    parser.add_argument(
        "--user",
        type=_filled,
        default="emulator",
        help="userId, AccessKey ID or user name that is let in (default: %(default)s)",
    )
    parser.add_argument(
        "--token",
        type=_filled,
        default="emulator-token",
        help="its verification token, AccessKey Secret or API key (default: %(default)s)",
    )
    parser.add_argument(
        "--duration", type=_seconds, default=5.0, metavar="SECONDS", help="how long a trim takes (default: %(default)s)"
    )
    parser.add_argument(
        "--trim",
        type=_trim,
        action="append",
        default=[],
        metavar="TRANSNO[:SECONDS[:success|fail]]",
        help="a trim that is done SECONDS after its first poll, instead of --duration; repeatable",
    )
    parser.add_argument("--quiet", action="store_true", help="print no line for each call and callback")
    return parser


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"a port is an integer from 0 to 65535, not {text!r}")


def _filled(text: str) -> str:
    if text:
        return text
    raise argparse.ArgumentTypeError("may not be empty")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if 0 <= seconds < math.inf:
        return seconds
    raise argparse.ArgumentTypeError(f"a time is a number of seconds, 0 or more, not {text!r}")


def _trim(text: str) -> tuple[str, float | None, str]:
    trans_no, *rest = text.split(":")
    if not 0 < len(trans_no) <= MAX_TRANS_NO_LENGTH or len(rest) > 2:
        raise argparse.ArgumentTypeError(
            f"a trim is TRANSNO[:SECONDS[:success|fail]] with a TRANSNO of 1 to {MAX_TRANS_NO_LENGTH} characters,"
            f" not {text!r}"
        )
    seconds = _seconds(rest[0]) if rest else None
    outcome = rest[1] if len(rest) == 2 else "success"
    if outcome not in get_args(Outcome):
        raise argparse.ArgumentTypeError(f"a trim ends in {' or '.join(get_args(Outcome))}, not {outcome!r}")
    return trans_no, seconds, outcome


def _print_call(call: Call) -> None:
    _print(f"{call.method} {call.trans_no!a}: {_answered(call)}")


def _print_callback(callback: Callback) -> None:
    answer = "no answer" if callback.http_status is None else f"HTTP {callback.http_status}"
    _print(f"callback {callback.trans_no!a}: {answer}")


def _print(text: str) -> None:
    print(f"{datetime.now().astimezone():%H:%M:%S} {text}", flush=True)


def _answered(call: Call) -> str:
    if call.trim_status is not None:
        return _TRIM_STATUS_WORDS[call.trim_status]
    submission = call.path == SUBMIT_PATH
    if submission and call.code == SUCCESS_CODE:
        return "submitted"
    answer = "no answer" if call.http_status is None else f"HTTP {call.http_status}"
    if call.code is not None:
        answer = f"code {call.code} ({answer})"
    return f"submission, {answer}" if submission else answer


if __name__ == "__main__":
    sys.exit(main())
