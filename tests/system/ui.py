# SPDX-License-Identifier: Apache-2.0
"""Airflow's web UI with this package in it, for people to try. ``make ui`` runs it; Ctrl-C ends all that it started.

The service is the emulator. Everything is created again each time, in ``.ui``.
"""

from __future__ import annotations

import contextlib
import math
import shutil
import signal
import sys
import time
from pathlib import Path
from threading import Timer

from airflow_provider_trim.emulator import Call, TrimEmulator
from tests.support.airflow_ui import AirflowUI

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".ui"
TRIM_SECONDS = 30.0
REST_SECONDS = 120.0
TRANS_NOS = ("036b6f4a01611000a79c3a7800000000", "trim-1", "trim-2", "trim-3")
"""Those that the examples wait for by default."""

WHAT_TO_CLICK = """
Airflow with its web UI: {url}   (no login)
Emulator of the service: {service}   (login {user}, token {token})

  Dags → example_trim_wait → Trigger: it waits {seconds:.0f} s for a trim, deferred, then hands on its videoInfo.
    In its run: task "wait" → Logs, XCom, and the link "Video".
  Dags → example_trim_many and example_trim_highlights → Trigger: several trims at once; three clips of one video.
  Admin → Connections → trim_default → Edit, then Test: the connection form.
    Add Connection → type "Cloud VoD Trim" begins an empty one; a wrong token shows what a refusal looks like.

Logs of the processes: {home}. Ctrl-C ends everything.
"""


class ExampleService(TrimEmulator):
    """An emulator whose trims for the examples begin with their first poll, so that a run has to wait.

    A while after a trim's end was last polled it starts again.
    """

    def __init__(self, seconds: float = TRIM_SECONDS) -> None:
        super().__init__(duration=seconds, record=False, on_call=self._answered)
        self._timers: dict[str, Timer] = {}
        for trans_no in TRANS_NOS:
            self.add_trim(trans_no, start_on_first_poll=True)

    def _answered(self, call: Call) -> None:
        trans_no = call.trans_no
        if trans_no not in TRANS_NOS or call.trim_status != 2:
            return
        if trans_no in self._timers:
            self._timers[trans_no].cancel()
        timer = self._timers[trans_no] = Timer(REST_SECONDS, self._restart, [trans_no])
        timer.daemon = True
        timer.start()

    def _restart(self, trans_no: str) -> None:
        self.remove_trim(trans_no)
        self.add_trim(trans_no, start_on_first_poll=True)


def what_to_click(airflow: AirflowUI, service: TrimEmulator) -> str:
    """Return the text for the user."""
    return WHAT_TO_CLICK.format(
        url=airflow.url,
        service=service.url,
        user=service.user,
        token=service.token,
        seconds=TRIM_SECONDS,
        home=HOME.relative_to(ROOT),
    )


def main() -> int:
    """Serve until SIGINT or SIGTERM, and return the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a background job of a shell has the first ignored
        signal.signal(number, signal.default_int_handler)
    shutil.rmtree(HOME, ignore_errors=True)
    started = time.monotonic()
    print("Starting Airflow (half a minute) …", flush=True)
    try:
        with ExampleService() as service, AirflowUI(HOME, service) as airflow:
            print(what_to_click(airflow, service))
            print(f"Ready after {time.monotonic() - started:.0f} s.", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                airflow.wait_for(lambda: False, math.inf, "it is over", pause=1.0)
            print("\nEnding it (some ten seconds) …", flush=True)
    except KeyboardInterrupt:
        pass  # of the start; what had been started has ended
    except RuntimeError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print("All ended.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
