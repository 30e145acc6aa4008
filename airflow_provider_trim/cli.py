# SPDX-License-Identifier: Apache-2.0
"""The command line: ``trim status``, ``trim wait`` and ``trim submit``, over an Airflow connection.

The exit code says how the trims are: 0 all are successful (or submitted), 1 one has failed or can't be queried, 2 the
arguments are wrong, 3 one is still processing. It is 1 as well if the output can't be written; as shells report
signals, it is 130 after an interrupt, and 141 where the output's reader has gone.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from airflow_provider_trim.output import OutputError, check_standard_streams, discard_output, own_output, say, writing
from airflow_provider_trim.polling.group import WaitGroup
from airflow_provider_trim.polling.options import WaitOptions
from airflow_provider_trim.polling.sync import SyncPoller
from airflow_provider_trim.polling.verdicts import Failure, Success, TimedOut, Verdict
from airflow_provider_trim.vod.errors import TrimError, TrimParameterError, TrimTaskFailedError, VideoProcessingError
from airflow_provider_trim.vod.models import TrimStatus, TrimTask
from airflow_provider_trim.vod.protocol import check_trans_no
from airflow_provider_trim.vod.redaction import truncate
from airflow_provider_trim.vod.submission import TrimSubmission

if TYPE_CHECKING:
    from airflow_provider_trim.hooks.trim import TrimApiHook

SUCCESSFUL, FAILED, USAGE, PROCESSING = range(4)
"""Exit codes."""

INTERRUPTED, CLOSED_PIPE = 128 + 2, 128 + 13
"""As shells report SIGINT and SIGPIPE."""

MAX_CELL = 1000
"""Characters of a table's cell: an error says at its end what to do."""

_OPTIONS = [name for name in TrimSubmission.model_fields if name not in ("video_id", "trans_no")]
_REQUIRED = [name for name in _OPTIONS if TrimSubmission.model_fields[name].is_required()]

_HELP = {
    "seek_start": "where the clip begins: seconds, or HH:MM:SS",
    "duration": "its length: seconds, or HH:MM:SS",
    "filename": "its name at the service",
    "enable_video_transcode": "true or false",
    "suffix": "flv (the service's default) or mp4",
}

Outcome = TrimTask | TrimError | None
"""Of a trim: what the service says, or why it can't be queried; None while it is processing."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    :param argv: the arguments, by default those of the process
    :returns: the exit code
    :raises SystemExit: with code 2, the arguments are wrong
    """
    try:
        return _run(_parse(argv))
    except TrimError as error:
        say(f"trim: {error}")
        return USAGE if isinstance(error, TrimParameterError) else FAILED
    except OutputError as error:
        discard_output()
        if not error.closed_pipe:
            say(f"trim: {error}")
        return CLOSED_PIPE if error.closed_pipe else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    try:
        return _parser().parse_args(argv)
    except SystemExit:
        if sys.stdout is not None:
            with writing(sys.stdout):
                pass  # the text of --help
        raise


def _run(arguments: argparse.Namespace) -> int:
    check_standard_streams()
    # As Airflow's own commands do: a process that runs no task reads stored connections from the database.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    with own_output() as arguments.output:
        # Airflow takes some seconds to import, which neither --help nor a wrong argument needs, and may log meanwhile.
        from airflow_provider_trim.hooks.trim import TrimApiHook

        with TrimApiHook(arguments.conn_id) as hook:
            return int(arguments.run(hook, arguments))


def status(hook: TrimApiHook, arguments: argparse.Namespace) -> int:
    """Query trims once."""
    return _report(arguments, [_query(hook, name) for name in arguments.trans_nos])


def wait(hook: TrimApiHook, arguments: argparse.Namespace) -> int:
    """Wait for trims."""
    return _report(arguments, _wait(hook, arguments))


def submit(hook: TrimApiHook, arguments: argparse.Namespace) -> int:
    """Start a trim, and wait for it if that is wanted."""
    if arguments.timeout is not None and not arguments.wait:
        raise TrimParameterError("--timeout must come with --wait", parameter="timeout")
    parameters = {name: value for name in _OPTIONS if (value := getattr(arguments, name)) is not None}
    if arguments.trans_no is not None:
        parameters["trans_no"] = arguments.trans_no
    arguments.trans_nos = [hook.submit_trim(video_id=arguments.video_id, **parameters)]
    (trans_no,) = arguments.trans_nos
    submitted = f"trim: submitted, transNo {trans_no}"
    if arguments.wait:
        say(submitted)  # whatever becomes of the wait
        return wait(hook, arguments)
    try:
        with writing(arguments.output):
            print(json.dumps({"transNo": trans_no}) if arguments.json else trans_no, file=arguments.output)
    except OutputError:
        say(submitted)  # it runs, and is paid
        raise
    return SUCCESSFUL


def _query(hook: TrimApiHook, trans_no: str) -> Outcome:
    try:
        task = hook.get_task(trans_no)
    except VideoProcessingError:
        return None
    except TrimError as error:
        return error
    return None if task.status == TrimStatus.PROCESSING else task


def _wait(hook: TrimApiHook, arguments: argparse.Namespace) -> list[Outcome]:
    deadline = None if arguments.timeout is None else time.time() + arguments.timeout
    options = WaitOptions(interval=arguments.poll_interval, deadline=deadline)
    group = WaitGroup.begin(arguments.trans_nos, options, stop_at_failure=False)
    console = _StandardError(stderr=True)
    with _progress(group, console) as update:

        def sleep(seconds: float) -> None:
            update()
            time.sleep(seconds)

        verdicts = SyncPoller(hook, _Log(console), sleep=sleep).wait(group)
        update()
    return [_outcome(verdict) for verdict in verdicts]


class _StandardError(Console):
    """One that is closed is not written to; the wait goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class _Log:
    """Shows what the poller logs above the progress bar."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def log(self, level: int, msg: str, /, *args: Any) -> None:
        if level >= logging.WARNING:
            with suppress(OSError):
                self._console.print(Text(msg % args))


def _outcome(verdict: Verdict | None) -> Outcome:
    if isinstance(verdict, Success):
        return verdict.task
    if isinstance(verdict, TimedOut):
        return verdict.last_error  # at the end of the wait, nothing is known of this trim
    return verdict.error if isinstance(verdict, Failure) else None


@contextmanager
def _progress(group: WaitGroup, console: Console) -> Iterator[Callable[[], None]]:
    """Show a bar while a group waits, where a terminal is; yields what brings it up to date."""
    columns = (TextColumn("Trims"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(group.states))
        yield lambda: progress.update(bar, completed=group.successful + group.failed)


def _report(arguments: argparse.Namespace, outcomes: Sequence[Outcome]) -> int:
    """Print a line for each trim, and return the exit code."""
    rows = [_row(name, outcome) for name, outcome in zip(arguments.trans_nos, outcomes, strict=True)]
    with writing(arguments.output):
        if arguments.json:
            for row in rows:
                print(json.dumps(row), file=arguments.output)
        else:
            console = Console(file=arguments.output)
            with console.capture() as captured:  # rich itself ends the process where a pipe is closed
                console.print(_table(rows))
            print(captured.get(), end="", file=arguments.output)
    states = {row["status"] for row in rows}
    if states <= {"successful"}:
        return SUCCESSFUL
    return FAILED if states & {"failed", "unknown"} else PROCESSING


def _row(trans_no: str, outcome: Outcome) -> dict[str, Any]:
    if outcome is None:
        return {"transNo": trans_no, "status": "processing"}
    if isinstance(outcome, TrimError):
        status = "failed" if isinstance(outcome, TrimTaskFailedError) else "unknown"
        return {"transNo": trans_no, "status": status, "code": outcome.code, "error": str(outcome)}
    return {
        "transNo": trans_no,
        "status": "successful",
        "videoInfo": outcome.video_info.raw if outcome.video_info else None,
    }


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table()
    for name in ("transNo", "status", "video", "name", "renditions", "error"):
        table.add_column(name, overflow="fold")
    for row in rows:
        info = row.get("videoInfo") or {}
        renditions = ", ".join(f"{one.get('width')}x{one.get('height')}" for one in info.get("videoResolutions") or [])
        named = (info.get("videoId", ""), info.get("videoName", ""))
        cells = (row["transNo"], row["status"], *named, renditions, row.get("error", ""))
        # Text, since a name may have what rich takes for markup.
        table.add_row(*(Text(truncate(str(cell), MAX_CELL)) for cell in cells))
    return table


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--conn-id", default="trim_default", help="Airflow connection (%(default)s)")
    common.add_argument("--json", action="store_true", help="print a JSON object for each trim")
    waiting = argparse.ArgumentParser(add_help=False)
    waiting.add_argument("--timeout", type=_seconds, metavar="SECONDS", help="for the whole wait (no end)")
    waiting.add_argument(
        "--poll-interval",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="minimum between two polls of a trim (%(default)s)",
    )
    parser = argparse.ArgumentParser(
        prog="trim",
        description="Queries, waits for and submits trims of the Cloud VoD API over an Airflow connection.",
        epilog="Exit codes: 0 successful, 1 failed or an error, 2 wrong arguments, 3 still processing.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for run, parents in ((status, [common]), (wait, [common, waiting])):
        command = commands.add_parser(run.__name__, parents=parents, help=run.__doc__, description=run.__doc__)
        command.add_argument("trans_nos", nargs="+", type=_trans_no, metavar="TRANSNO")
        command.set_defaults(run=run)
    command = commands.add_parser(
        "submit", parents=[common, waiting], help=submit.__doc__, description="Starts a trim and prints its transNo."
    )
    command.add_argument("video_id", metavar="VIDEO_ID", help="of the video to cut")
    command.add_argument("--trans-no", type=_trans_no, help="its transNo (by default a random one)")
    for name in _OPTIONS:
        option = f"--{name.replace('_', '-')}"
        command.add_argument(option, required=name in _REQUIRED, help=_HELP.get(name))
    command.add_argument("--wait", action="store_true", help="wait until the trim has finished")
    command.set_defaults(run=submit)
    return parser


def _trans_no(text: str) -> str:
    try:
        return check_trans_no(text)
    except TrimError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if 0 < seconds < 1e9:
        return seconds
    raise argparse.ArgumentTypeError(f"must be a number of seconds > 0, not {text!r}")


if __name__ == "__main__":
    sys.exit(main())
