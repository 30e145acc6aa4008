# SPDX-License-Identifier: Apache-2.0
"""Logging that can't fail: what a handler raises must not end what logs."""

from __future__ import annotations

import contextlib
import logging
from typing import Any


class ContainedLogger(logging.LoggerAdapter[logging.Logger]):
    """Logs as its logger does, and drops what a handler raises.

    The handlers of a triggerer are Airflow's and its users', and write to files, sockets and stores. The poll loop and
    its supervision log where something has failed already.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log a message of that level, of the line that calls a method of this logger."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        with contextlib.suppress(Exception):
            super().log(level, msg, *args, **kwargs)


def contained_logger(name: str) -> ContainedLogger:
    """Return the logger of a module."""
    return ContainedLogger(logging.getLogger(name))
