# SPDX-License-Identifier: Apache-2.0
"""A client that calls the emulator with plain ``requests``, and a clock that only a test moves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider_trim.emulator import TrimEmulator
from tests.support.clocks import Clock

PATH = "/vod/videoManage/videoClipQuery"
SUBMIT_PATH = "/vod/videoManage/videoClip"

CLIP = {"videoId": "V1", "seekStart": 30, "duration": 12, "filename": "goal.flv"}
"""The required parameters of a submission."""


class Client:
    """Calls one emulator over one kept-alive connection, by default with the right user and token."""

    def __init__(self, emulator: TrimEmulator) -> None:
        self.emulator = emulator
        self.session = requests.Session()

    def parameters(self, trans_no: Any = None, **others: Any) -> dict[str, Any]:
        """Return the parameters of a query, without those that are None."""
        parameters = {"userId": self.emulator.user, "token": self.emulator.token, "timeStamp": "1516182478"}
        parameters |= {"transNo": trans_no, **others}
        return {name: value for name, value in parameters.items() if value is not None}

    def post(self, trans_no: Any = None, *, headers: dict[str, str] | None = None, **others: Any) -> requests.Response:
        data = self.parameters(trans_no, **others)
        return self.session.post(self.emulator.url + PATH, data=data, headers=headers, timeout=60)

    def get(self, trans_no: Any = None, **others: Any) -> requests.Response:
        return self.session.get(self.emulator.url + PATH, params=self.parameters(trans_no, **others), timeout=60)

    def post_json(self, trans_no: Any = None, **others: Any) -> requests.Response:
        return self.session.post(self.emulator.url + PATH, json=self.parameters(trans_no, **others), timeout=60)

    def submit(self, trans_no: Any = None, **others: Any) -> requests.Response:
        """Submit a trim as a form."""
        data = self.parameters(trans_no, **CLIP | others)
        return self.session.post(self.emulator.url + SUBMIT_PATH, data=data, timeout=60)

    def submit_json(self, trans_no: Any = None, **others: Any) -> requests.Response:
        data = self.parameters(trans_no, **CLIP | others)
        return self.session.post(self.emulator.url + SUBMIT_PATH, json=data, timeout=60)

    def submit_get(self, trans_no: Any = None, **others: Any) -> requests.Response:
        params = self.parameters(trans_no, **CLIP | others)
        return self.session.get(self.emulator.url + SUBMIT_PATH, params=params, timeout=60)

    def in_background(self, trans_no: str, call: str = "post") -> Background:
        """Start a call in a thread, such as one that will be held."""
        return Background(self.emulator, trans_no, call)


class Background:
    """A call in a thread, over its own connection."""

    def __init__(self, emulator: TrimEmulator, trans_no: str, call: str) -> None:
        self._client = Client(emulator)
        self._trans_no = trans_no
        self._call = call
        self._outcome: requests.Response | Exception
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with self._client.session:
                self._outcome = getattr(self._client, self._call)(self._trans_no)
        except requests.RequestException as error:
            self._outcome = error

    def result(self) -> requests.Response:
        """Return the response once it is complete, or raise its error."""
        self._thread.join(60)
        assert not self._thread.is_alive(), "the call has no response yet"
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def emulator_options(clock: Clock) -> dict[str, Any]:
    return {"clock": clock, "wall_clock": lambda: 1516180828.5, "token_header": "X-Token"}


@pytest.fixture
def client(emulator: TrimEmulator) -> Iterator[Client]:
    client = Client(emulator)
    with client.session:
        yield client
