# SPDX-License-Identifier: Apache-2.0
"""Records of calls, for tests to inspect."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar


class Record(Protocol):
    """A record that a :class:`RecordLog` keeps."""

    @property
    def trans_no(self) -> str | None:
        """The ``transNo`` that the record is found by."""


RecordT = TypeVar("RecordT", bound=Record)


@dataclass(frozen=True, slots=True)
class Call:
    """One call as received, and its response.

    ``path`` is ``QUERY_PATH`` or ``SUBMIT_PATH``. ``time`` is its arrival, in seconds of the emulator's clock.
    ``http_status`` is None if no response was sent: the connection was reset, or the client disconnected first.
    ``code`` is the code of the envelope and ``trim_status`` the ``status`` of the trim, or None. ``connection`` is the
    number of the connection, counted from 1, and ``peer_port`` the client's port. ``fault`` is the class name of the
    fault met, or None. ``repr()`` leaves out fields that may hold a token.
    """

    time: float
    method: str
    path: str
    query_string: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    parameters: Mapping[str, Any] = field(repr=False)
    trans_no: str | None
    http_status: int | None
    code: int | None
    trim_status: int | None
    request_id: str
    connection: int
    peer_port: int
    fault: str | None


class RecordLog(Generic[RecordT]):
    """Records in the order of their addition. Safe to use from any thread.

    :param noun: the plural that messages call them by
    :param record: False keeps no records
    """

    def __init__(self, noun: str, record: bool) -> None:
        self.record = record
        self._noun = noun
        self._changed = threading.Condition()
        self._records: list[RecordT] = []
        self._by_trans_no: defaultdict[str | None, list[RecordT]] = defaultdict(list)

    def add(self, record: RecordT) -> None:
        """Keep a record, unless ``record`` is False."""
        if not self.record:
            return
        with self._changed:
            self._records.append(record)
            self._by_trans_no[record.trans_no].append(record)
            self._changed.notify_all()

    def all(self, trans_no: str | None = None) -> list[RecordT]:
        """Return a copy of all records, or of those for one ``transNo``, oldest first."""
        with self._changed:
            return list(self._select(trans_no))

    def clear(self) -> None:
        """Remove all records."""
        with self._changed:
            self._records.clear()
            self._by_trans_no.clear()

    def wait(self, count: int, timeout: float, trans_no: str | None = None) -> list[RecordT]:
        """Block until there are at least ``count`` records, and return them all.

        :param timeout: seconds of real time
        :raises RuntimeError: if ``record`` is False
        :raises TimeoutError: after ``timeout`` seconds
        """
        if not self.record:
            raise RuntimeError(f"{self._noun} are not recorded: record=False")
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._select(trans_no)) >= count, timeout):
                raise TimeoutError(f"{len(self._select(trans_no))} of {count} {self._noun} after {timeout} s")
            return list(self._select(trans_no))

    def _select(self, trans_no: str | None) -> list[RecordT]:
        if trans_no is None:
            return self._records
        return self._by_trans_no.get(trans_no, [])


class CallLog(RecordLog[Call]):
    """The calls so far, and their count. Safe to use from any thread.

    :param record: False counts the calls and keeps no records
    :param on_call: called with every call in the server's thread, even if ``record`` is False
    """

    def __init__(self, record: bool, on_call: Callable[[Call], None] | None) -> None:
        super().__init__("calls", record)
        self.count = 0
        self._on_call = on_call

    def record_call(self, build: Callable[[], Call]) -> None:
        """Count a call. Build its record only if it is kept or ``on_call`` is set."""
        call = build() if self.record or self._on_call else None
        with self._changed:
            self.count += 1
            if call is not None:
                self.add(call)
        if call is not None and self._on_call:
            self._on_call(call)

    def clear(self) -> None:
        """Remove all records and reset the count."""
        with self._changed:
            self.count = 0
            super().clear()
