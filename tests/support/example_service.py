# SPDX-License-Identifier: Apache-2.0
"""The service that the examples are shown with: its trims begin with their first poll, however late that comes."""

from __future__ import annotations

import math
from collections.abc import Callable
from threading import Timer
from typing import Any

from airflow_provider_trim.emulator import Call, TrimEmulator

TRANS_NOS = ("036b6f4a01611000a79c3a7800000000", "trim-1", "trim-2", "trim-3")
"""Those that the examples wait for by default."""
REST_SECONDS = 120.0


class ExampleService(TrimEmulator):
    """An emulator whose trims for the examples begin when they are first polled, so that a run has to wait.

    A while after a trim's end was last polled it can be waited for anew.

    :param seconds: how long each trim takes
    :param on_call: called with every call, in the server's thread
    """

    def __init__(self, seconds: float, on_call: Callable[[Call], None] | None = None) -> None:
        super().__init__(duration=seconds, record=False, on_call=self._answered)
        self._seconds = seconds
        self._also = on_call
        self._timers: dict[str, Timer] = {}
        for trans_no in TRANS_NOS:
            self.add_trim(trans_no, seconds=math.inf)

    def _answered(self, call: Call) -> None:
        if self._also:
            self._also(call)
        trans_no = call.trans_no or ""
        if trans_no not in TRANS_NOS:
            return
        if call.trim_status == 1 and trans_no not in self._timers:
            self._later(self._seconds, self.finish, trans_no)
        elif call.trim_status == 2:
            self._timers[trans_no].cancel()
            self._later(REST_SECONDS, self._begin_anew, trans_no)

    def _later(self, seconds: float, action: Any, trans_no: str) -> None:
        timer = self._timers[trans_no] = Timer(seconds, action, [trans_no])
        timer.daemon = True
        timer.start()

    def _begin_anew(self, trans_no: str) -> None:
        self.remove_trim(trans_no)
        self.add_trim(trans_no, seconds=math.inf)
        del self._timers[trans_no]
