# SPDX-License-Identifier: Apache-2.0
"""The command line: ``python -m airflow_provider_trim.emulator``, or ``trim-emulator``."""

from __future__ import annotations

import argparse
import math
import os
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

_STATUS_NAMES = {1: "processing", 2: "successful", 3: "failed"}


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM.

    :param argv: the arguments, by default those of the process
    :return: the exit code: 0, or 1 if it cannot listen on the address
    :raises SystemExit: with code 2 if the arguments are invalid
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
    # The server's thread inherits the mask, so that only sigwait() receives the signals.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        emulator.start()
    except OSError as error:
        print(f"cannot listen: {error}", file=sys.stderr)
        return 1
    else:
        _print(f"Trim emulator on {emulator.url} (user {emulator.user})")
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
    _add_server_options(parser)
    parser.add_argument(
        "--duration",
        type=_seconds,
        default=5.0,
        metavar="SECONDS",
        help="time a trim takes (default: %(default)s)",
    )
    parser.add_argument(
        "--trim",
        type=_trim,
        action="append",
        default=[],
        metavar="TRANSNO[:SECONDS[:success|fail]]",
        help="a trim that takes SECONDS from its first poll on, instead of --duration; repeatable",
    )
    parser.add_argument("--quiet", action="store_true", help="do not print a line for each call and callback")
    return parser


def _add_server_options(parser: argparse.ArgumentParser) -> None:
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
        type=_non_empty,
        default="emulator",
        help="accepted userId, AccessKey ID or user name (default: %(default)s)",
    )
    parser.add_argument(
        "--token",
        type=_non_empty,
        default="emulator-token",
        help="its verification token, AccessKey Secret or API key (default: %(default)s)",
    )


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be an integer from 0 to 65535, not {text!r}")


def _non_empty(text: str) -> str:
    if text:
        return text
    raise argparse.ArgumentTypeError("must not be empty")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if 0 <= seconds < math.inf:
        return seconds
    raise argparse.ArgumentTypeError(f"must be a number of seconds, 0 or more, not {text!r}")


def _trim(text: str) -> tuple[str, float | None, str]:
    trans_no, *rest = text.split(":")
    if not 0 < len(trans_no) <= MAX_TRANS_NO_LENGTH or len(rest) > 2:
        raise argparse.ArgumentTypeError(
            f"must be TRANSNO[:SECONDS[:success|fail]] with a TRANSNO of 1 to {MAX_TRANS_NO_LENGTH} characters,"
            f" not {text!r}"
        )
    seconds = _seconds(rest[0]) if rest else None
    outcome = rest[1] if len(rest) == 2 else "success"
    if outcome not in get_args(Outcome):
        raise argparse.ArgumentTypeError(f"outcome must be {' or '.join(get_args(Outcome))}, not {outcome!r}")
    return trans_no, seconds, outcome


def _print_call(call: Call) -> None:
    _print_event(f"{call.method} {call.trans_no!a}: {_describe(call)}")


def _print_callback(callback: Callback) -> None:
    _print_event(f"callback {callback.trans_no!a}: {_http_status(callback.http_status)}")


def _print_event(text: str) -> None:
    _print(f"{datetime.now().astimezone():%H:%M:%S} {text}")


def _print(text: str) -> None:
    """Print a line. If it can't be written, no further one is, and the service goes on."""
    try:
        print(text, flush=True)
    except OSError:
        # What is left in the buffer would be tried again, even at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _http_status(status: int | None) -> str:
    return "no response" if status is None else f"HTTP {status}"


def _describe(call: Call) -> str:
    if call.trim_status is not None:
        return _STATUS_NAMES[call.trim_status]
    submission = call.path == SUBMIT_PATH
    if submission and call.code == SUCCESS_CODE:
        return "submitted"
    response = _http_status(call.http_status)
    if call.code is not None:
        response = f"code {call.code} ({response})"
    return f"submission, {response}" if submission else response


if __name__ == "__main__":
    sys.exit(main())
