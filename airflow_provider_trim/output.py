# SPDX-License-Identifier: Apache-2.0
"""The standard output of a command: whether it can be written to, and who else writes there."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


class OutputError(Exception):
    """The standard output can't be written to; says why.

    :param error: what the system said
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"can't write to the standard output: {error.strerror or error}")
        self.closed_pipe = isinstance(error, BrokenPipeError)
        """Whether its reader has gone, which is no error where it has read enough."""


def check_standard_streams() -> None:
    """Prepare for what a shell has closed (``>&-``).

    :raises OutputError: the standard output is closed
    """
    if sys.stderr is None:
        # What is said there is lost. Without this, print() would say it on the standard output, and the next file that
        # is opened would get what is written to descriptor 2.
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  for as long as the process lives
        os.dup2(sys.stderr.fileno(), 2)
    if sys.stdout is None:
        raise OutputError(OSError(errno.EBADF, os.strerror(errno.EBADF)))


@contextmanager
def own_output() -> Iterator[TextIO]:
    """Yield the standard output, and send what others write to it, such as Airflow's log, to the standard error."""
    sys.stdout.flush()
    output = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")
    os.dup2(2, 1)
    try:
        yield output
    finally:
        with suppress(OSError):
            sys.stdout.flush()
        os.dup2(output.fileno(), 1)
        with suppress(OSError):  # what can't be written, as writing() has said
            output.close()


@contextmanager
def writing(output: TextIO) -> Iterator[None]:
    """Write all of what is printed meanwhile.

    :raises OutputError: it can't be written
    """
    try:
        yield
        output.flush()
    except OSError as error:
        raise OutputError(error) from error


def discard_output() -> None:
    """Drop what is left to write, so that the interpreter does not try again, and complain, when it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def say(text: str) -> None:
    """Print a line on the standard error, if it can be written to."""
    with suppress(OSError):
        print(text, file=sys.stderr)
